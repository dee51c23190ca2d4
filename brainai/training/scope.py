"""Train the scope network (`brainai.model.scope.Scope`) on a dataset folder.

Slices of `train` are in scope. Decoys made from them (`brainai.data.decoys`) and pictures of other
scanners (`brainai.data.elsewhere`) are out of scope. The limits are set so that nearly all slices
of real patients in `valid` are in scope (`brainai.training.scope_limits`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from brainai.data import decoys
from brainai.data.augment import augment, random_table
from brainai.data.augmentation import Augmentation
from brainai.data.dataset import MODALITIES
from brainai.data.elsewhere import read_decoys
from brainai.data.store import Store, open_store
from brainai.errors import DataError
from brainai.evaluation.score import choose_device
from brainai.model.answer import has_fast_bfloat16
from brainai.model.scope import KINDS, SIZE, Scope
from brainai.training.scope_limits import (
    BATCH,
    fit_distance,
    flair_planes,
    little_head,
    rows_in_scope,
    set_limits,
)

SHARES = (0.44, 0.34, 0.15, 0.06, 0.09, 0.20)  # relative size of each kind in a batch
PHANTOM_WEIGHT = 0.25  # sampling weight of phantoms relative to a source of real people
SCAN_WEIGHT = 10.0  # sampling weight of all slices of a decoy scan, relative to a single picture
LARGE = 2000  # pixels; slices with a larger tumor have a weight of 3, with a smaller one of 2
RATE = 4e-3  # peak learning rate
MAX_SLICES = 20_000  # slices of `train` to draw from, because they are held in memory
MAX_DECOYS = 2500  # of each kind made from the data set
AUGMENTATION = Augmentation(
    scale=0.3, shift=0.1, gamma=0.3, bias=0.2, noise=0.03, drop=0.0, lend=0.0
)
# Pictures from folders may be of any kind but the first; nobody has labeled them.
FLAIR, SEQUENCE, TURNED, VIEW, NO_SLICE, ELSEWHERE = range(len(KINDS) + 1)


def train_scope(
    data: str | Path,
    steps: int,
    seed: int = 0,
    *,
    folders: Sequence[str | Path] = (),
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Scope:
    """Train a scope on the pictures of a dataset folder and return it on the CPU.

    The same seed draws the same pictures. On a CPU it gives the same scope; on a GPU the scopes
    differ by rounding.

    Args:
        steps: updates; 2,400 take a quarter of an hour on a core with bfloat16.
        folders: folders of pictures and scans other than axial FLAIR, see `read_decoys`; one in
            four files is kept out of training.
        device: device to train on; None takes the GPU if there is one.
    Raises:
        ConfigError: the machine has no such device.
        DataError: there is no data set, or a folder holds no decoys.
    """
    device = choose_device(device)
    store = open_store(data, SIZE, progress=progress)
    random = np.random.default_rng(seed)
    pools = collect(store, min(MAX_DECOYS, 3 * steps), random, folders)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scope = Scope().to(memory_format=torch.channels_last)
    _fit(scope.to(device), pools, steps, random, progress)
    scope.cpu().eval()
    fit_distance(scope, pools[FLAIR][0])
    set_limits(scope, data, folders)
    return scope


def collect(
    store: Store,
    count: int,
    random: np.random.Generator,
    folders: Sequence[str | Path] = (),
) -> dict[int, tuple[Tensor, Tensor]]:
    """Collect the training pictures of every kind, with their sampling weights.

    Sources have equal weights, except for phantoms, which have less; within a source, patients have
    equal weights. Slices with tumor have more weight, those with a large tumor the most.

    Args:
        count: number of decoys of each kind made from the data set.
        folders: folders of decoys, see `read_decoys`.
    Returns:
        For each kind, pictures `[n, 1, S, S]` uint8 and weights `[n]`.
    Raises:
        DataError: the folders hold no decoys, or none that may be used for training.
    """
    rows = np.array(rows_in_scope(store, "train"))
    if len(rows) > MAX_SLICES:
        rows = np.sort(random.choice(rows, MAX_SLICES, replace=False))
    share = _shares([(store.records[r].source, store.records[r].patient_id) for r in rows])
    pixels = np.array([store.records[row].tumor_pixels for row in rows])
    tumor_weight = 1.0 + (pixels > 0) + (pixels >= LARGE)
    pools = {FLAIR: (flair_planes(store, rows), torch.from_numpy(tumor_weight * share))}
    others = [
        (row, channel, weight)
        for row, weight in zip(rows, share, strict=True)
        for channel, name in enumerate(MODALITIES)
        if channel and name in store.records[row].modalities
    ]
    chosen = random.choice(rows, (4, count), p=share / share.sum())
    flair = store.planes[:, 0]
    stacks = decoys.stacks([store.records[row].case_id for row in rows])
    whole = [stacks[c] for c in (store.records[r].case_id for r in chosen[1]) if c in stacks]
    made = {
        SEQUENCE: [decoys.recolor(flair[row] / 255, random) for row in chosen[3]],
        TURNED: [decoys.turn(flair[row] / 255, random) for row in chosen[0]],
        VIEW: [
            decoys.cut(flair[rows[stack]], int(random.integers(1, 3)), random) for stack in whole
        ],
        NO_SLICE: [decoys.draw(SIZE, random) for _ in chosen[2]]
        + [decoys.spoil(flair[row] / 255, random) for row in chosen[2]],
    }
    for kind, planes in made.items():
        if planes:
            pixels = np.rint(np.array(planes, np.float32) * 255).astype(np.uint8)
            equal_weights = torch.full((len(planes),), 1 / len(planes), dtype=torch.float64)
            pools[kind] = torch.from_numpy(pixels)[:, None], equal_weights
    if others:  # real T1c and T2 slices, besides the recolored ones, which count as one source
        taken, channels, weights = map(np.array, zip(*others, strict=True))
        planes = torch.from_numpy(store.planes[taken, channels][:, None])
        real = planes, torch.from_numpy(weights)
        pools[SEQUENCE] = tuple(map(torch.cat, zip(real, pools[SEQUENCE], strict=True)))
    elsewhere = [_read(folder) for folder in folders]
    if elsewhere:
        pools[ELSEWHERE] = tuple(map(torch.cat, zip(*elsewhere, strict=True)))
        if not len(pools[ELSEWHERE][0]):
            raise DataError(
                f"{', '.join(map(str, folders))}: expected decoys to train with, found none: one "
                "in four files is kept out of training, and pictures with little of a head are "
                "left out. Add more pictures or scans."
            )
    return pools


def _fit(
    scope: Scope,
    pools: dict[int, tuple[Tensor, Tensor]],
    steps: int,
    random: np.random.Generator,
    progress: bool,
) -> None:
    """Train the scope on batches drawn from the pools."""
    device = scope.center.device
    on_cpu = device.type == "cpu"
    optimizer = torch.optim.AdamW(scope.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    scope.train()
    for _ in trange(steps, desc="scope", unit="step", disable=not progress):
        planes, kinds = _batch(pools, random, device)
        with torch.autocast("cpu", torch.bfloat16, enabled=on_cpu and has_fast_bfloat16()):
            logits, _ = scope(planes.contiguous(memory_format=torch.channels_last))
        loss = _loss(logits.float(), kinds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _loss(logits: Tensor, kinds: Tensor) -> Tensor:
    """Return the mean cross-entropy over pictures.

    For pictures from folders, whose kind is unknown, it is that of "any kind but FLAIR".
    """
    known, logs = kinds != ELSEWHERE, logits.log_softmax(dim=1)
    labeled = F.cross_entropy(logits[known], kinds[known], reduction="sum", label_smoothing=0.02)
    return (labeled - logs[~known, 1:].logsumexp(dim=1).sum()) / len(kinds)


def _read(folder: str | Path) -> tuple[Tensor, Tensor]:
    """Return the training pictures of a folder of decoys, with their sampling weights.

    All files have the same weight, except that a scan counts as ten pictures. The weights of a
    folder add up to 1.
    """
    planes, weights = [], []
    for file in read_decoys(folder, SIZE):
        pictures = torch.from_numpy(file.planes)[:, None]
        pictures = pictures[~little_head(pictures)]
        if len(pictures) and not file.kept_out:
            planes.append(pictures)
            weight = SCAN_WEIGHT if file.is_scan else 1.0
            weights.append(torch.full((len(pictures),), weight / len(pictures)))
    if not planes:
        return torch.empty(0, 1, SIZE, SIZE, dtype=torch.uint8), torch.empty(0)
    together = torch.cat(weights)
    return torch.cat(planes), together / together.sum()


def _batch(
    pools: dict[int, tuple[Tensor, Tensor]], random: np.random.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return augmented pictures `[n, 1, S, S]` in [0, 1], and their kinds `[n]`, on a device."""
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
    # `augment` expects a mask after the picture; an empty one is given.
    images, _ = augment(torch.cat([together, torch.zeros_like(together)], 1), table, AUGMENTATION)
    return images, torch.tensor(kinds, device=device)


def _shares(owners: list[tuple[str, str]]) -> np.ndarray:
    """Return the sampling weight of each slice, `[n]`, from its (source, patient).

    Sources have equal weights, except for phantoms, and patients within a source too.
    """
    names, source = np.unique([o[0] for o in owners], return_inverse=True)
    _, owner, slices = np.unique(
        [" ".join(o) for o in owners], return_inverse=True, return_counts=True
    )
    first = np.unique(owner, return_index=True)[1]
    patients = np.bincount(source[first], minlength=len(names))
    source_weight = np.where(names == "phantom", PHANTOM_WEIGHT, 1.0)
    return source_weight[source] / (patients[source] * slices[owner])
