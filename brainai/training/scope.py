"""Train what may be judged at all (`brainai.model.scope.Scope`) on a dataset folder.

The slices of `train` are in scope; decoys cut, turned and drawn from them (`brainai.data.decoys`)
are not. Those of real patients of `valid` give the limits: nearly all of them must be kept.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from brainai.data import decoys
from brainai.data.augment import Augmentation, augment, random_table
from brainai.data.dataset import MODALITIES, SliceRecord
from brainai.data.store import Store, open_store
from brainai.errors import DataError
from brainai.evaluation.score import choose_device
from brainai.evaluation.valid import voters
from brainai.model.scope import KINDS, SIZE, Scope, shows_little

BATCH = 128
SHARES = (0.44, 0.26, 0.15, 0.06, 0.09)  # of a batch, kind by kind
PHANTOMS = 0.25  # as often as those of a source of real people
RATE = 4e-3
CHUNK = 1024  # slices looked at together
ENOUGH = 50  # slices of a source, for it to set a limit
KEPT = 0.995  # of the slices of each source of `valid`, by each limit
MOST = 20_000  # slices of `train` that are looked at: they lie in memory
DECOYS = 2500  # at most, of each kind that is cut, turned or drawn
AUGMENTATION = Augmentation(
    scale=0.2, shift=0.1, gamma=0.4, bias=0.2, noise=0.03, drop=0.0, lend=0.0
)
FLAIR, SEQUENCE, TURNED, VIEW, NO_SLICE = range(len(KINDS))


def train_scope(
    data: str | Path,
    steps: int,
    seed: int = 0,
    *,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Scope:
    """A scope for the pictures of a dataset folder, on the CPU.

    The same seed draws the same pictures. It gives the same scope where it is trained on a CPU, and
    one that differs by rounding on a GPU.

    Args:
        steps: updates; 1,600 take about ten minutes on two cores.
        device: to train on; None is the GPU if there is one.
    Raises:
        ConfigError: the machine has no such device.
        DataError: no data set.
    """
    device = choose_device(device)
    store = open_store(data, SIZE, progress=progress)
    random = np.random.default_rng(seed)
    pools = collect(store, min(DECOYS, 3 * steps), random)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scope = Scope().to(memory_format=torch.channels_last)
    _fit(scope.to(device), pools, steps, random, progress)
    scope.cpu().eval()
    fit_distance(scope, pools[FLAIR][0])
    set_limits(scope, data)
    return scope


def set_limits(scope: Scope, data: str | Path) -> None:
    """Limits from the slices of `valid` of a dataset folder: of real patients where there are any.

    Raises:
        DataError: no data set, or no slice of `valid` shows a head.
    """
    planes, records = valid_planes(data)
    fit_limits(scope, planes, [record.source for record in records])


def valid_planes(data: str | Path) -> tuple[Tensor, list[SliceRecord]]:
    """FLAIR `[n, 1, S, S]` uint8 and records of the slices of `valid` that give the limits."""
    store = open_store(data, SIZE, progress=False)
    rows = _in_scope(store, "valid")
    rows = sorted(set(rows) & set(voters(store.records).tolist())) or rows
    return _planes(store, rows), [store.records[row] for row in rows]


def collect(
    store: Store, count: int, random: np.random.Generator
) -> dict[int, tuple[Tensor, Tensor]]:
    """Pictures of every kind that `train` gives, `[n, 1, S, S]` uint8, and how often each is drawn,
    `[n]`: sources alike but for phantoms, which come less often, and patients within a source.

    Args:
        count: decoys of each kind that is cut, turned or drawn.
    """
    rows = np.array(_in_scope(store, "train"))
    if len(rows) > MOST:
        rows = np.sort(random.choice(rows, MOST, replace=False))
    share = _shares([(store.records[r].source, store.records[r].patient_id) for r in rows])
    pools = {FLAIR: (_planes(store, rows), torch.from_numpy(share))}
    others = [
        (row, channel, weight)
        for row, weight in zip(rows, share, strict=True)
        for channel, name in enumerate(MODALITIES)
        if channel and name in store.records[row].modalities
    ]
    if others:
        taken, channels, weights = map(np.array, zip(*others, strict=True))
        planes = torch.from_numpy(store.planes[taken, channels][:, None])
        pools[SEQUENCE] = planes, torch.from_numpy(weights)
    chosen = random.choice(rows, (3, count), p=share / share.sum())
    flair = store.planes[:, 0]
    stacks = decoys.stacks([store.records[row].case_id for row in rows])
    whole = [stacks[c] for c in (store.records[r].case_id for r in chosen[1]) if c in stacks]
    made = {
        TURNED: [decoys.turn(flair[row] / 255, random) for row in chosen[0]],
        VIEW: [decoys.cut(flair[rows[own]], int(random.integers(1, 3)), random) for own in whole],
        NO_SLICE: [decoys.draw(SIZE, random) for _ in chosen[2]]
        + [decoys.spoil(flair[row] / 255, random) for row in chosen[2]],
    }
    for kind, planes in made.items():
        if planes:
            pixels = np.rint(np.array(planes, np.float32) * 255).astype(np.uint8)
            pools[kind] = torch.from_numpy(pixels)[:, None], torch.ones(len(planes))
    return pools


@torch.no_grad()
def fit_distance(scope: Scope, planes: Tensor) -> None:
    """Centre and whitening of the features of slices in scope, `[n, 1, S, S]` uint8."""
    features = torch.cat([scope(p.float() / 255)[1] for p in planes.split(BATCH)]).double()
    scope.centre.copy_(features.mean(dim=0))
    away = features - features.mean(dim=0)
    spread = away.T @ away / len(away)
    # A little more in every direction: some features are never used, and must not weigh most.
    spread += 0.01 * spread.diagonal().mean() * torch.eye(len(spread))
    values, axes = torch.linalg.eigh(spread)
    scope.whitening.copy_(axes / values.sqrt())


def fit_limits(scope: Scope, planes: Tensor, sources: list[str]) -> None:
    """Limits that keep `KEPT` of the slices `[n, 1, S, S]` uint8 of each source that has enough."""
    margins, reach = find_limits(*measure(scope, planes), sources)
    scope.margins.copy_(margins)
    scope.reach.copy_(reach)


@torch.inference_mode()
def measure(scope: Scope, planes: Tensor) -> tuple[Tensor, Tensor]:
    """`Scope.measure` of slices `[n, 1, S, S]` uint8: `[n, 4]` and `[n]` float64."""
    measured = [scope.measure(part.float() / 255) for part in planes.split(BATCH)]
    return tuple(torch.cat(part).double() for part in zip(*measured, strict=True))


def find_limits(log_odds: Tensor, distance: Tensor, sources: list[str]) -> tuple[Tensor, Tensor]:
    """Margins `[4]` and reach `[]` that keep `KEPT` of the slices of each source with enough."""
    counts = Counter(sources)
    large = [name for name, count in counts.items() if count >= ENOUGH] or list(counts)
    groups = [torch.tensor([s == name for s in sources]) for name in large]
    lowest = [torch.quantile(log_odds[own], 1 - KEPT, dim=0) for own in groups]
    farthest = [torch.quantile(distance[own], KEPT) for own in groups]
    return torch.stack(lowest).amin(dim=0), torch.stack(farthest).amax()


def _fit(
    scope: Scope,
    pools: dict[int, tuple[Tensor, Tensor]],
    steps: int,
    random: np.random.Generator,
    progress: bool,
) -> None:
    device = scope.centre.device
    optimizer = torch.optim.AdamW(scope.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    scope.train()
    for _ in trange(steps, desc="scope", unit="step", disable=not progress):
        planes, kinds = _batch(pools, random, device)
        logits, _ = scope(planes.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, kinds, label_smoothing=0.02)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _batch(
    pools: dict[int, tuple[Tensor, Tensor]], random: np.random.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Augmented pictures `[n, 1, S, S]` in [0, 1], and their kinds `[n]`, on a device."""
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    whole = sum(SHARES[kind] for kind in pools)
    planes, kinds = [], []
    for kind, (pool, weights) in pools.items():
        count = round(BATCH * SHARES[kind] / whole)
        drawn = torch.multinomial(weights, count, replacement=True, generator=generator)
        planes.append(pool[drawn])
        kinds += [kind] * count
    together = torch.cat(planes).to(device)
    table = random_table(len(together), int(random.integers(2**62))).to(device)
    # `augment` moves a mask beside the picture; there is none to move.
    images, _ = augment(torch.cat([together, torch.zeros_like(together)], 1), table, AUGMENTATION)
    return images, torch.tensor(kinds, device=device)


def _in_scope(store: Store, split: str) -> list[int]:
    """Rows of a split that show enough of a head.

    Raises:
        DataError: there is none.
    """
    rows = [row for row, record in enumerate(store.records) if record.split == split]
    little = [
        few
        for start in range(0, len(rows), CHUNK)
        for few in shows_little(_planes(store, rows[start : start + CHUNK]).float() / 255).tolist()
    ]
    if all(little):
        raise DataError(
            f"Expected slices of a head in the split {split!r}, found none: prepare more patients."
        )
    return [row for row, few in zip(rows, little, strict=True) if not few]


def _planes(store: Store, rows: list[int]) -> Tensor:
    """FLAIR of some rows, `[n, 1, S, S]` uint8."""
    return torch.from_numpy(store.planes[np.asarray(rows, np.intp), 0][:, None])


def _shares(owners: list[tuple[str, str]]) -> np.ndarray:
    """How often each slice is drawn: sources alike, and patients within a source."""
    names, source = np.unique([o[0] for o in owners], return_inverse=True)
    _, owner, slices = np.unique(
        [" ".join(o) for o in owners], return_inverse=True, return_counts=True
    )
    first = np.unique(owner, return_index=True)[1]
    patients = np.bincount(source[first], minlength=len(names))
    often = np.where(names == "phantom", PHANTOMS, 1.0)
    return often[source] / (patients[source] * slices[owner])
