"""Fit the limits of a scope after its weights: which slices and scans are in scope."""

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
from brainai.evaluation.valid import calibration_rows
from brainai.model.scope import SIZE, Scope, scan_slices, shows_little

BATCH = 128
CHUNK = 1024  # slices to check at once
ENOUGH = 50  # slices that a source needs to set a limit
KEPT = 0.995  # fraction of the slices of each source of `valid` that each limit alone keeps
KEPT_TUMOR = 0.997  # fraction of the slices with tumor that all limits together keep
USUAL = 0.95  # quantile of the evidence of scans to refuse; those above may resemble FLAIR


def set_limits(scope: Scope, data: str | Path, folders: Iterable[str | Path] = ()) -> None:
    """Set the limits of a scope from the slices and scans of `valid`.

    Only real patients are used, if there are any.

    Args:
        folders: folders of decoys, see `read_decoys`; their scans that are kept out of training
            help to set the limit for scans.
    Raises:
        DataError: there is no data set, no slice of `valid` shows a head, or a folder holds no
            decoys.
    """
    planes, records = valid_planes(data)
    log_odds, distance = measure(scope, planes)
    margins, reach = find_limits(log_odds, distance, records)
    scope.margins.copy_(margins)
    scope.reach.copy_(reach)
    scope.scan_limit.fill_(find_scan_limit(*_scan_evidence(scope, data, records, folders)))


def valid_planes(data: str | Path) -> tuple[Tensor, list[SliceRecord]]:
    """Return FLAIR `[n, 1, S, S]` uint8 and the records of the slices that set the limits."""
    store = open_store(data, SIZE, progress=False)
    rows = rows_in_scope(store, "valid")
    rows = sorted(set(rows) & set(calibration_rows(store.records).tolist())) or rows
    return flair_planes(store, rows), [store.records[row] for row in rows]


@torch.no_grad()
def fit_distance(scope: Scope, planes: Tensor) -> None:
    """Fit center and whitening of the features to slices in scope, `[n, 1, S, S]` uint8."""
    features = torch.cat([scope(p.float() / 255)[1] for p in planes.split(BATCH)]).double()
    scope.center.copy_(features.mean(dim=0))
    centered = features - features.mean(dim=0)
    covariance = centered.T @ centered / len(centered)
    # Regularized, because unused features have almost no variance and would dominate the distance.
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(len(covariance))
    values, axes = torch.linalg.eigh(covariance)
    scope.whitening.copy_(axes / values.sqrt())


@torch.inference_mode()
def measure(scope: Scope, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Return `Scope.measure` of slices `[n, 1, S, S]` uint8: `[n, 4]` and `[n]` float64."""
    measured = [scope.measure(part.float() / 255) for part in planes.split(BATCH)]
    return tuple(torch.cat(part).double() for part in zip(*measured, strict=True))


def find_limits(
    log_odds: Tensor, distance: Tensor, records: Sequence[SliceRecord]
) -> tuple[Tensor, Tensor]:
    """Return the margins `[4]` and the reach `[]` that keep nearly all slices in scope.

    For every source with enough slices, each limit alone keeps the fraction `KEPT` of all slices,
    and all limits together keep `KEPT_TUMOR` of the slices with tumor: refusing a large tumor is
    worse than judging a slice of the neck.

    Args:
        log_odds: `[n, 4]` of `measure`.
        distance: `[n]` of `measure`.
        records: records of these slices.
    """
    measures = torch.cat([log_odds, -distance[:, None]], dim=1)  # higher values are safer
    counts = Counter(record.source for record in records)
    large = [name for name, count in counts.items() if count >= ENOUGH] or list(counts)
    limits = []
    for name in large:
        of_source = torch.tensor([record.source == name for record in records])
        limits.append(torch.quantile(measures[of_source], 1 - KEPT, dim=0))
        tumor = of_source & torch.tensor([record.label == 1 for record in records])
        if tumor.sum() >= ENOUGH:
            limits.append(_keep_together(measures[tumor], KEPT_TUMOR))
    limits = torch.stack(limits).amin(dim=0)
    return limits[:-1], -limits[-1]


def find_scan_limit(kept: Sequence[float], refused: Sequence[float]) -> float:
    """Return the limit of `Scope.evidence` for scans.

    It lies halfway between the lowest evidence of a scan to keep and the highest evidence of the
    usual scans to refuse, which is the quantile `USUAL`. A limit close below the scans to keep
    would refuse the next patient who differs from them a little more, and a single scan to refuse
    that looks like FLAIR is no reason for that. Without scans to refuse, or if these are not lower,
    the limit is 0, or the lowest evidence to keep if that is negative.

    >>> find_scan_limit(kept=[3.0, 2.0], refused=[1.0] * 39 + [1.9])
    1.5

    Args:
        kept: evidence of scans to keep.
        refused: evidence of scans to refuse.
    """
    lowest = min(kept, default=0.0)
    usual = float(np.quantile(refused, USUAL)) if refused else lowest
    return (lowest + usual) / 2 if kept and usual < lowest else min(lowest, 0.0)


@torch.inference_mode()
def _scan_evidence(
    scope: Scope, data: str | Path, records: Sequence[SliceRecord], folders: Iterable[str | Path]
) -> tuple[list[float], list[float]]:
    """Return `Scope.evidence` of the scans to keep, and of those to refuse.

    The scans are the cases of `records`, decoys made from them, and the scans in `folders` that are
    kept out of training.
    """
    store = open_store(data, SIZE, progress=False)
    cases = {record.case_id for record in records}
    rows = [row for row, record in enumerate(store.records) if record.case_id in cases]
    scans = [(scan.kind == "FLAIR", scan.planes) for scan in decoys.scans(store, rows)]
    for folder in folders:
        files = read_decoys(folder, SIZE)
        scans += [(False, file.planes) for file in files if file.is_scan and file.kept_out]
    values = [(keep, float(scope.evidence(scan_slices(planes))[0])) for keep, planes in scans]
    return [value for keep, value in values if keep], [value for keep, value in values if not keep]


def rows_in_scope(store: Store, split: str) -> list[int]:
    """Return the rows of a split that show enough of a head.

    Raises:
        DataError: there is none.
    """
    rows = [row for row, record in enumerate(store.records) if record.split == split]
    too_little = [
        flag
        for start in range(0, len(rows), CHUNK)
        for flag in little_head(flair_planes(store, rows[start : start + CHUNK])).tolist()
    ]
    if all(too_little):
        raise DataError(
            f"Expected slices of a head in the split {split!r}, found none: prepare more patients."
        )
    return [row for row, flag in zip(rows, too_little, strict=True) if not flag]


def flair_planes(store: Store, rows: Sequence[int] | np.ndarray) -> Tensor:
    """Return FLAIR of some rows, `[n, 1, S, S]` uint8."""
    return torch.from_numpy(store.planes[np.asarray(rows, np.intp), 0][:, None])


def little_head(planes: Tensor) -> Tensor:
    """Return whether each slice of `[n, 1, S, S]` uint8 shows too little of a head, `[n]` bool."""
    return shows_little(planes.float() / 255)


def _keep_together(measures: Tensor, kept: float) -> Tensor:
    """Return the highest limits `[m]` that a fraction `kept` of the rows of `[n, m]` reaches.

    All limits have the same rank in their columns. A row passes if none of its values lies below
    the limit of its column.
    """
    worst = measures.argsort(dim=0).argsort(dim=0).amin(dim=1)
    refused = int((1 - kept) * len(measures) + 1e-9)
    rank = int(worst.sort().values[refused])
    return measures.sort(dim=0).values[rank]
