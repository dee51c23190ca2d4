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

from brainai.data.store import Store


def epoch_seed(seed: int, stage: int, epoch: int) -> int:
    """One seed per epoch of a run."""
    return int(np.random.SeedSequence([seed, stage, epoch]).generate_state(1, np.uint64)[0] >> 1)


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


def some_of_each_case(cases: Sequence[str], most: int, seed: int) -> np.ndarray:
    """Rows of an epoch, `most` of each case at random, all of them where `most` is 0.

    Neighbouring slices of a thin scan look alike: taking some gives more epochs in the same time,
    and a scan of 155 slices no more say than one of 60.

    Args:
        cases: the case of each row.
    Returns:
        Indices into `cases`, ascending.
    """
    order = np.random.default_rng(seed).permutation(len(cases))
    taken: Counter[str] = Counter()
    chosen = []
    for row in order:
        if not most or taken[cases[row]] < most:
            taken[cases[row]] += 1
            chosen.append(row)
    return np.sort(np.array(chosen, np.intp))


def split_batches(
    rows: Sequence[int], batch_size: int, rank: int = 0, world: int = 1
) -> list[np.ndarray]:
    """This process's part of a split to predict: every slice in exactly one process, once."""
    own = np.asarray(rows)[rank::world]
    return [own[start : start + batch_size] for start in range(0, len(own), batch_size)]


class _Rows(Dataset):
    """A store as torch reads it: a whole batch at a time."""

    def __init__(self, store: Store):
        self.store = store
        self.labels = np.array([r.label for r in store.records])
        self.has_mask = np.array([r.has_mask for r in store.records])

    def __getitems__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        return {
            "row": torch.as_tensor(np.asarray(rows)),
            "planes": torch.from_numpy(self.store.read(rows)),
            "label": torch.from_numpy(self.labels[rows]),
            "has_mask": torch.from_numpy(self.has_mask[rows]),
        }


def open_loader(store: Store, batches: list[np.ndarray], *, on_gpu: bool) -> DataLoader:
    """Batches as dicts: row `[n]`, planes `[n, C + 1, S, S]` uint8, label `[n]`, has_mask `[n]`.

    On a GPU two workers read ahead; on a CPU they would only take cores from the network.
    """
    return DataLoader(
        _Rows(store),
        batch_sampler=batches,
        collate_fn=lambda batch: batch,
        num_workers=2 if on_gpu else 0,
        pin_memory=on_gpu,
    )
