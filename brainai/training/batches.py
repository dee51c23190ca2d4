"""Assign slices to batches and processes, and load them.

Nothing here keeps state. Order and augmentation follow from seed, stage and epoch, so that a
resumed run and a run on more processes see the same batches.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from brainai.data.dataset import TUMOR_FREE, SliceRecord
from brainai.data.store import Store

SKIPPING = 1  # purpose of `epoch_seed`: which slices skip which blocks
SMALL = 200  # pixels of the stored slice; a tumor of fewer is easily missed
LEVEL_REACH = 0.1  # how far up or down a donor may lie, as a fraction of the candidate slices


def epoch_seed(seed: int, stage: int, epoch: int, *purpose: int) -> int:
    """Return a seed for an epoch of a run, different for each `purpose`."""
    words = np.random.SeedSequence([seed, stage, epoch, *purpose]).generate_state(1, np.uint64)
    return int(words[0] >> 1)


def train_batches(
    rows: Sequence[int] | np.ndarray, batch_size: int, seed: int, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """Return this process's part of every full batch of an epoch, in shuffled order.

    Args:
        rows: slices of the train split.
        batch_size: slices per update over all processes; `world` divides it.
        rank: index of this process.
        world: number of processes.
    Returns:
        Rows of slices, one array `[batch_size // world]` per batch.

    >>> [part.size for part in train_batches(range(10), batch_size=4, seed=0, rank=0, world=2)]
    [2, 2]
    """
    order = np.random.default_rng(seed).permutation(np.asarray(rows))
    whole = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
    share = batch_size // world
    return list(whole[:, rank * share : (rank + 1) * share])


def rows_of(records: Sequence[SliceRecord], split: str) -> list[int]:
    """Return the rows of the slices of a split."""
    return [row for row, record in enumerate(records) if record.split == split]


def epoch_rows(records: Sequence[SliceRecord], slices_per_case: int, seed: int) -> np.ndarray:
    """Return the rows of the train split to train on in one epoch; every epoch has as many.

    Neighboring slices of a thin scan look alike. Drawing some of them anew for each epoch gives
    more epochs in the same time, and reduces the weight of the thinnest scans.

    Args:
        slices_per_case: largest number of slices of a case; 0 takes all.
    Returns:
        Sorted rows, `[n]` int.
    """
    rows = np.random.default_rng(seed).permutation(np.array(rows_of(records, "train"), np.intp))
    taken: Counter[str] = Counter()
    chosen = []
    for row in rows:
        case = records[row].case_id
        if not slices_per_case or taken[case] < slices_per_case:
            taken[case] += 1
            chosen.append(row)
    return np.sort(np.array(chosen, np.intp))


def draw_donors(
    records: Sequence[SliceRecord], rows: Sequence[int], random: Tensor, chance: float
) -> Tensor:
    """Draw for every slice the row of its CarveMix donor in this epoch (`carve_mix`), or -1.

    A donor has the same source and the same sequences, and lies at about the same level of the
    head. Slices of people without a tumor get donors from every source; otherwise the appearance
    of their scanner alone would reveal that there is no tumor.

    Args:
        rows: slices that may be donors and receive from donors.
        random: two columns of the epoch's table, `[N, 2]`: whether a slice has a donor, and which.
        chance: probability that a slice has a donor.
    Returns:
        `[N]` int64.
    """
    donors = torch.full((len(records),), -1)
    with_mask = [row for row in rows if records[row].has_mask]
    levels = {row: records[row].slice_index / records[row].slice_count for row in with_mask}
    groups = {row: (records[row].source, records[row].modalities) for row in with_mask}
    for group in set(groups.values()):
        source, modalities = group
        recipients = sorted(
            (row for row in with_mask if groups[row] == group), key=levels.__getitem__
        )
        candidates = recipients
        if source == TUMOR_FREE:
            candidates = [row for row in with_mask if records[row].modalities == modalities]
            candidates.sort(key=levels.__getitem__)
        places = torch.searchsorted(
            torch.tensor([levels[row] for row in candidates]),
            torch.tensor([levels[row] for row in recipients]),
        )
        order = torch.tensor(recipients)
        moved = (random[order, 1] * 2 - 1) * LEVEL_REACH * len(candidates)
        chosen = (places + moved.round().long()).clamp(0, len(candidates) - 1)
        donor = torch.tensor(candidates)[chosen]
        donors[order] = torch.where(random[order, 0] < chance, donor, -1)
    return donors


def slice_weights(records: Sequence[SliceRecord], hard: float) -> Tensor:
    """Return the weight of each slice in the loss, `[N]` float32.

    It is `hard` for slices that are easily misclassified, which are those of people without a
    tumor and those with a small tumor, and 1 for all others.
    """
    return torch.tensor(
        [
            hard if record.source == TUMOR_FREE or 0 < record.tumor_pixels < SMALL else 1.0
            for record in records
        ]
    )


def split_batches(
    rows: Sequence[int] | np.ndarray, batch_size: int, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """Return this process's batches of a split to predict; together they hold each slice once.

    >>> [part.tolist() for part in split_batches([3, 5, 7], batch_size=2, rank=0, world=2)]
    [[3, 7]]
    """
    part = np.asarray(rows)[rank::world]
    return [part[start : start + batch_size] for start in range(0, len(part), batch_size)]


class _Rows(Dataset):
    """A store as a torch dataset that is indexed by whole batches."""

    def __init__(self, store: Store, donors: Tensor | None):
        self.store = store
        self.donors = donors
        self.labels = np.array([r.label for r in store.records])
        self.has_mask = np.array([r.has_mask for r in store.records])

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        batch = {
            "row": torch.as_tensor(np.asarray(rows)),
            "planes": torch.from_numpy(self.store.read(rows)),
            "label": torch.from_numpy(self.labels[rows]),
            "has_mask": torch.from_numpy(self.has_mask[rows]),
        }
        if self.donors is not None:
            donor = self.donors[batch["row"]]
            batch["has_donor"] = donor >= 0
            batch["donor_planes"] = torch.from_numpy(self.store.read(donor[donor >= 0].tolist()))
        return batch


def open_loader(
    store: Store, batches: list[np.ndarray], *, on_gpu: bool, donors: Tensor | None = None
) -> DataLoader:
    """Return a loader of batches, each a dict of tensors.

    A batch holds row `[n]`, planes `[n, C + 1, S, S]` uint8, label `[n]` and has_mask `[n]`.
    With `donors`, it also holds has_donor `[n]` bool, and donor_planes `[m, C + 1, S, S]` uint8
    for the `m` slices that have one.

    Args:
        batches: rows of each batch.
        on_gpu: read ahead with four workers; beside a CPU they would only take cores from the
            network.
        donors: `[N]` of `draw_donors`.
    """
    return DataLoader(
        _Rows(store, donors),
        sampler=batches,
        batch_size=None,  # the data set returns whole batches, so there is nothing to collate
        num_workers=4 if on_gpu else 0,
        pin_memory=on_gpu,
    )
