"""The numbers of a scope that are fitted after its weights: what is near, and how much is kept."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from brainai.data import decoys
from brainai.data.dataset import SliceRecord
from brainai.data.elsewhere import read_decoys
from brainai.data.store import Store, open_store
from brainai.errors import DataError
from brainai.evaluation.valid import voters
from brainai.model.scope import SIZE, Scope, scan_slices, shows_little

BATCH = 128
CHUNK = 1024  # slices looked at together
ENOUGH = 50  # slices of a source, for it to set a limit
KEPT = 0.995  # of the slices of each source of `valid`, by each limit
KEPT_TUMOR = 0.997  # of those with tumor, by all limits together


def set_limits(scope: Scope, data: str | Path, folders: Iterable[str | Path] = ()) -> None:
    """Limits from the slices and scans of `valid` of a dataset folder: of real patients where there
    are any.

    Args:
        folders: of `read_decoys`; their scans that train nothing help to set the limit of a scan.
    Raises:
        DataError: no data set, no slice of `valid` shows a head, or a folder without decoys.
    """
    planes, records = valid_planes(data)
    margins, reach = find_limits(*measure(scope, planes), records)
    scope.margins.copy_(margins)
    scope.reach.copy_(reach)
    scope.scan_limit.fill_(find_scan_limit(*_scan_evidence(scope, data, records, folders)))


def valid_planes(data: str | Path) -> tuple[Tensor, list[SliceRecord]]:
    """FLAIR `[n, 1, S, S]` uint8 and records of the slices of `valid` that give the limits."""
    store = open_store(data, SIZE, progress=False)
    rows = rows_in_scope(store, "valid")
    rows = sorted(set(rows) & set(voters(store.records).tolist())) or rows
    return flair_planes(store, rows), [store.records[row] for row in rows]


@torch.no_grad()
def fit_distance(scope: Scope, planes: Tensor) -> None:
    """Center and whitening of the features of slices in scope, `[n, 1, S, S]` uint8."""
    features = torch.cat([scope(p.float() / 255)[1] for p in planes.split(BATCH)]).double()
    scope.center.copy_(features.mean(dim=0))
    away = features - features.mean(dim=0)
    spread = away.T @ away / len(away)
    # A little more in every direction: some features are never used, and must not weigh most.
    spread += 0.01 * spread.diagonal().mean() * torch.eye(len(spread))
    values, axes = torch.linalg.eigh(spread)
    scope.whitening.copy_(axes / values.sqrt())


@torch.inference_mode()
def measure(scope: Scope, planes: Tensor) -> tuple[Tensor, Tensor]:
    """`Scope.measure` of slices `[n, 1, S, S]` uint8: `[n, 4]` and `[n]` float64."""
    measured = [scope.measure(part.float() / 255) for part in planes.split(BATCH)]
    return tuple(torch.cat(part).double() for part in zip(*measured, strict=True))


def find_limits(
    log_odds: Tensor, distance: Tensor, records: Sequence[SliceRecord]
) -> tuple[Tensor, Tensor]:
    """Margins `[4]` and reach `[]` that keep `KEPT` of the slices of each source with enough, and
    `KEPT_TUMOR` of its slices with tumor.

    Each limit alone keeps so many of all slices, and all limits together so many of those with
    tumor: a large tumor that is refused is worse than a slice of the neck that is not.
    """
    measures = torch.cat([log_odds, -distance[:, None]], dim=1)  # the more, the surer
    counts = Counter(record.source for record in records)
    large = [name for name, count in counts.items() if count >= ENOUGH] or list(counts)
    limits = []
    for name in large:
        own = torch.tensor([record.source == name for record in records])
        limits.append(torch.quantile(measures[own], 1 - KEPT, dim=0))
        tumor = own & torch.tensor([record.label == 1 for record in records])
        if tumor.sum() >= ENOUGH:
            limits.append(_keep_together(measures[tumor], KEPT_TUMOR))
    limits = torch.stack(limits).amin(dim=0)
    return limits[:-1], -limits[-1]


def find_scan_limit(kept: Sequence[float], refused: Sequence[float]) -> float:
    """The limit of `Scope.evidence` that keeps every scan to keep: halfway from the lowest of them
    to the next of those to refuse. Without scans of both kinds it is 0, or the lowest if less."""
    lowest = min(kept, default=0.0)
    below = [value for value in refused if value < lowest]
    return (lowest + max(below)) / 2 if kept and below else min(lowest, 0.0)


@torch.inference_mode()
def _scan_evidence(
    scope: Scope, data: str | Path, records: Sequence[SliceRecord], folders: Iterable[str | Path]
) -> tuple[list[float], list[float]]:
    """`Scope.evidence` of scans to keep and to refuse: of the cases of some records, and of files
    from elsewhere that train nothing."""
    store = open_store(data, SIZE, progress=False)
    cases = {record.case_id for record in records}
    rows = [row for row, record in enumerate(store.records) if record.case_id in cases]
    found = [(scan.kind == "FLAIR", scan.planes) for scan in decoys.scans(store, rows)]
    for folder in folders:
        files = read_decoys(folder, SIZE)
        found += [(False, file.planes) for file in files if file.is_scan and file.kept_out]
    values = [(keep, float(scope.evidence(scan_slices(planes))[0])) for keep, planes in found]
    return tuple([value for keep, value in values if keep is wanted] for wanted in (True, False))


def rows_in_scope(store: Store, split: str) -> list[int]:
    """Rows of a split that show enough of a head.

    Raises:
        DataError: there is none.
    """
    rows = [row for row, record in enumerate(store.records) if record.split == split]
    little = [
        few
        for start in range(0, len(rows), CHUNK)
        for few in little_head(flair_planes(store, rows[start : start + CHUNK])).tolist()
    ]
    if all(little):
        raise DataError(
            f"Expected slices of a head in the split {split!r}, found none: prepare more patients."
        )
    return [row for row, few in zip(rows, little, strict=True) if not few]


def flair_planes(store: Store, rows: Sequence[int]) -> Tensor:
    """FLAIR of some rows, `[n, 1, S, S]` uint8."""
    return torch.from_numpy(store.planes[np.asarray(rows, np.intp), 0][:, None])


def little_head(planes: Tensor) -> Tensor:
    """`shows_little` of slices `[n, 1, S, S]` uint8: `[n]` bool."""
    return shows_little(planes.float() / 255)


def _keep_together(measures: Tensor, kept: float) -> Tensor:
    """The highest limits `[m]`, of one rank in every column of `[n, m]`, that let pass a share
    `kept` of the rows: a row passes where none of its measures lies below its limit."""
    worst = measures.argsort(dim=0).argsort(dim=0).amin(dim=1)
    let_go = int((1 - kept) * len(measures) + 1e-9)
    rank = int(worst.sort().values[let_go])
    return measures.sort(dim=0).values[rank]
