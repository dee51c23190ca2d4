"""Which slices make a batch, in which process, and the loader that reads them.

Nothing here keeps state: order and augmentation follow from seed, stage and epoch, so a resumed
run and a run on more processes meet the same batches.
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
SMALL = 200  # pixels of the stored slice: a tumor of fewer is easily missed
LEVEL_REACH = 0.1  # how far up or down a lender may lie, as a part of all slices of its kind


def epoch_seed(seed: int, stage: int, epoch: int, *purpose: int) -> int:
    """One seed per epoch of a run; another one for each purpose."""
    words = np.random.SeedSequence([seed, stage, epoch, *purpose]).generate_state(1, np.uint64)
    return int(words[0] >> 1)


def train_batches(
    rows: Sequence[int], batch_size: int, seed: int, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """This process's part of every full global batch of an epoch, in shuffled order.

    Args:
        rows: slices of the train split.
        batch_size: slices per update over all `world` processes; `world` divides it.
    """
    order = np.random.default_rng(seed).permutation(np.asarray(rows))
    whole = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
    share = batch_size // world
    return list(whole[:, rank * share : (rank + 1) * share])


def rows_of(records: Sequence[SliceRecord], split: str) -> list[int]:
    """Rows of the slices of a split."""
    return [row for row, record in enumerate(records) if record.split == split]


def epoch_rows(records: Sequence[SliceRecord], slices_per_case: int, seed: int) -> np.ndarray:
    """Rows of the train split to train on in one epoch; their number is the same in all.

    Neighboring slices of a thin scan look alike: taking some of them, drawn anew for each epoch,
    gives more epochs in the same time, and less say to the thinnest scans.

    Args:
        slices_per_case: at most so many of each case; 0 takes all.
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


def draw_lenders(
    records: Sequence[SliceRecord], rows: Sequence[int], random: Tensor, chance: float
) -> Tensor:
    """For every slice the row of the one that lends to it in this epoch (`lend_lesions`), or -1.

    Lenders are of the same source, have the same sequences, and lie at about the same level of the
    head. Slices of people without a tumor borrow from every source: else the look of their
    scanner alone would tell that there is none.

    Args:
        rows: slices that may lend and be lent to.
        random: two columns of the epoch's table, `[N, 2]`: whether, and which.
    Returns:
        `[N]` int64.
    """
    lenders = torch.full((len(records),), -1)
    known = [row for row in rows if records[row].has_mask]
    levels = {row: records[row].slice_index / records[row].slice_count for row in known}
    kinds = {row: (records[row].source, records[row].modalities) for row in known}
    for kind in set(kinds.values()):
        source, modalities = kind
        own = sorted((row for row in known if kinds[row] == kind), key=levels.__getitem__)
        pool = own
        if source == TUMOR_FREE:
            pool = [row for row in known if records[row].modalities == modalities]
            pool.sort(key=levels.__getitem__)
        order, others = torch.tensor(own), torch.tensor(pool)
        places = torch.searchsorted(
            torch.tensor([levels[row] for row in pool]), torch.tensor([levels[row] for row in own])
        )
        moved = (random[order, 1] * 2 - 1) * LEVEL_REACH * len(pool)
        lender = others[(places + moved.round().long()).clamp(0, len(pool) - 1)]
        lenders[order] = torch.where(random[order, 0] < chance, lender, -1)
    return lenders


def slice_weights(records: Sequence[SliceRecord], hard: float) -> Tensor:
    """What each slice weighs in the loss, `[N]` float32: `hard` where it is easily judged wrongly,
    which is a slice of a person without a tumor or one with a small tumor; else 1."""
    return torch.tensor(
        [
            hard if record.source == TUMOR_FREE or 0 < record.tumor_pixels < SMALL else 1.0
            for record in records
        ]
    )


def split_batches(
    rows: Sequence[int], batch_size: int, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """This process's part of a split to predict: every slice in exactly one process, once."""
    own = np.asarray(rows)[rank::world]
    return [own[start : start + batch_size] for start in range(0, len(own), batch_size)]


class _Rows(Dataset):
    """A store as torch reads it: a whole batch at a time."""

    def __init__(self, store: Store, lenders: Tensor | None):
        self.store = store
        self.lenders = lenders
        self.labels = np.array([r.label for r in store.records])
        self.has_mask = np.array([r.has_mask for r in store.records])

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        batch = {
            "row": torch.as_tensor(np.asarray(rows)),
            "planes": torch.from_numpy(self.store.read(rows)),
            "label": torch.from_numpy(self.labels[rows]),
            "has_mask": torch.from_numpy(self.has_mask[rows]),
        }
        if self.lenders is not None:
            lender = self.lenders[batch["row"]]
            batch["borrows"] = lender >= 0
            batch["lent"] = torch.from_numpy(self.store.read(lender[lender >= 0].tolist()))
        return batch


def open_loader(
    store: Store, batches: list[np.ndarray], *, on_gpu: bool, lenders: Tensor | None = None
) -> DataLoader:
    """Batches as dicts: row `[n]`, planes `[n, C + 1, S, S]` uint8, label `[n]`, has_mask `[n]`.

    Where `lenders` of `draw_lenders` are given, also borrows `[n]` bool, and lent, the lenders'
    planes of those that do.

    On a GPU four workers read ahead; on a CPU they would only take cores from the network.
    """
    return DataLoader(
        _Rows(store, lenders),
        sampler=batches,
        batch_size=None,  # a batch comes whole: nothing to collate
        num_workers=4 if on_gpu else 0,
        pin_memory=on_gpu,
    )
