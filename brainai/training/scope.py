"""Train what may be judged at all (`brainai.model.scope.Scope`) on a dataset folder.

The slices of `train` are in scope; decoys cut, turned and drawn from them (`brainai.data.decoys`)
are not, nor are pictures of other scanners (`brainai.data.elsewhere`). Those of real patients of
`valid` give the limits: nearly all of them must be kept (`brainai.training.scope_limits`).
"""

from collections.abc import Iterable, Sequence
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

SHARES = (0.44, 0.34, 0.15, 0.06, 0.09, 0.20)  # of a batch, kind by kind
PHANTOMS = 0.25  # as often as those of a source of real people
SCAN = 10.0  # pictures: how often a scan from elsewhere is drawn, all its slices together
LARGE = 2000  # pixels of tumor: so drawn three times as often; with a smaller one, twice
RATE = 4e-3
MOST = 20_000  # slices of `train` that are looked at: they lie in memory
DECOYS = 2500  # at most, of each kind that is cut, turned or drawn
AUGMENTATION = Augmentation(
    scale=0.3, shift=0.1, gamma=0.3, bias=0.2, noise=0.03, drop=0.0, lend=0.0
)
# Pictures from elsewhere are of any kind but the first: nobody says of which.
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
    """A scope for the pictures of a dataset folder, on the CPU.

    The same seed draws the same pictures. It gives the same scope where it is trained on a CPU, and
    one that differs by rounding on a GPU.

    Args:
        steps: updates; 2,400 take a quarter of an hour on a core with bfloat16.
        folders: of pictures and scans that are no axial FLAIR slices, see `read_decoys`; one of
            four files trains nothing.
        device: to train on; None is the GPU if there is one.
    Raises:
        ConfigError: the machine has no such device.
        DataError: no data set, or a folder without decoys.
    """
    device = choose_device(device)
    store = open_store(data, SIZE, progress=progress)
    random = np.random.default_rng(seed)
    pools = collect(store, min(DECOYS, 3 * steps), random, folders)
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
    folders: Iterable[str | Path] = (),
) -> dict[int, tuple[Tensor, Tensor]]:
    """Pictures of every kind that `train` gives, `[n, 1, S, S]` uint8, and how often each is drawn,
    `[n]`: sources alike but for phantoms, which come less often, and patients within a source;
    slices with tumor more often, of large ones most.

    Args:
        count: decoys of each kind that is cut, turned or drawn.
    """
    rows = np.array(rows_in_scope(store, "train"))
    if len(rows) > MOST:
        rows = np.sort(random.choice(rows, MOST, replace=False))
    share = _shares([(store.records[r].source, store.records[r].patient_id) for r in rows])
    pixels = np.array([store.records[row].tumor_pixels for row in rows])
    often = 1.0 + (pixels > 0) + (pixels >= LARGE)
    pools = {FLAIR: (flair_planes(store, rows), torch.from_numpy(often * share))}
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
        VIEW: [decoys.cut(flair[rows[own]], int(random.integers(1, 3)), random) for own in whole],
        NO_SLICE: [decoys.draw(SIZE, random) for _ in chosen[2]]
        + [decoys.spoil(flair[row] / 255, random) for row in chosen[2]],
    }
    for kind, planes in made.items():
        if planes:
            pixels = np.rint(np.array(planes, np.float32) * 255).astype(np.uint8)
            alike = torch.full((len(planes),), 1 / len(planes), dtype=torch.float64)
            pools[kind] = torch.from_numpy(pixels)[:, None], alike
    if others:  # beside the recolored ones, which count as one source
        taken, channels, weights = map(np.array, zip(*others, strict=True))
        planes = torch.from_numpy(store.planes[taken, channels][:, None])
        own = planes, torch.from_numpy(weights)
        pools[SEQUENCE] = tuple(map(torch.cat, zip(own, pools[SEQUENCE], strict=True)))
    elsewhere = [_read(folder) for folder in folders]
    if elsewhere:
        pools[ELSEWHERE] = tuple(map(torch.cat, zip(*elsewhere, strict=True)))
    return pools


def _fit(
    scope: Scope,
    pools: dict[int, tuple[Tensor, Tensor]],
    steps: int,
    random: np.random.Generator,
    progress: bool,
) -> None:
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
    """Mean over pictures: cross entropy, and for those from elsewhere that of “any other kind”."""
    known, logs = kinds != ELSEWHERE, logits.log_softmax(dim=1)
    named = F.cross_entropy(logits[known], kinds[known], reduction="sum", label_smoothing=0.02)
    return (named - logs[~known, 1:].logsumexp(dim=1).sum()) / len(kinds)


def _read(folder: str | Path) -> tuple[Tensor, Tensor]:
    """Pictures and slices of a folder that train, and how often each is drawn: folders alike, and
    files within one; a scan counts as ten pictures."""
    planes, weights = [], []
    for found in read_decoys(folder, SIZE):
        own = torch.from_numpy(found.planes)[:, None]
        own = own[~little_head(own)]
        if len(own) and not found.kept_out:
            planes.append(own)
            often = SCAN if found.is_scan else 1.0
            weights.append(torch.full((len(own),), often / len(own)))
    if not planes:
        return torch.empty(0, 1, SIZE, SIZE, dtype=torch.uint8), torch.empty(0)
    together = torch.cat(weights)
    return torch.cat(planes), together / together.sum()


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
