"""Order and sharing of batches."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from brainai.data.store import open_store
from brainai.training.batches import (
    draw_donors,
    epoch_rows,
    epoch_seed,
    open_loader,
    slice_weights,
    split_batches,
    train_batches,
)


def test_two_processes_split_the_same_batches_as_one() -> None:
    rows = np.arange(100, 123)
    one = train_batches(rows, 4, seed=3)
    first = train_batches(rows, 4, seed=3, rank=0, world=2)
    second = train_batches(rows, 4, seed=3, rank=1, world=2)
    assert len(one) == len(first) == len(second) == 5  # 23 // 4: an incomplete one is left out
    for whole, left, right in zip(one, first, second, strict=True):
        assert whole.tolist() == [*left, *right]


def test_an_epoch_contains_each_slice_at_most_once() -> None:
    met = np.concatenate(train_batches(range(23), 4, seed=0))
    assert len(set(met)) == len(met) == 20


def test_each_epoch_and_stage_has_its_own_order() -> None:
    seeds = {epoch_seed(0, stage, epoch) for stage in range(4) for epoch in range(4)}
    assert len(seeds) == 16
    first, second = (train_batches(range(50), 50, seed)[0].tolist() for seed in (1, 2))
    assert first != second


def test_a_split_of_odd_size_is_covered_once_across_processes() -> None:
    rows = list(range(30, 41))  # 11
    parts = [batch for rank in (0, 1) for batch in split_batches(rows, 3, rank, 2)]
    assert sorted(int(row) for part in parts for row in part) == rows


@dataclass(frozen=True)
class Slice:
    """The fields of a record that decide on donors and on training."""

    slice_index: int
    source: str = "lgg"
    has_mask: bool = True
    slice_count: int = 100
    modalities: tuple[str, ...] = ("flair",)
    tumor_pixels: int = 0
    case_id: str = ""
    split: str = "train"


def test_an_epoch_takes_a_share_of_each_case_and_every_slice_gets_its_turn() -> None:
    records = [Slice(i, case_id="thin") for i in range(10)]
    records += [Slice(i, case_id="thick") for i in range(3)]
    records += [Slice(i, case_id="other", split="test") for i in range(3)]
    epochs = [epoch_rows(records, 4, seed).tolist() for seed in range(30)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == 4 + 3
        assert rows[-3:] == [10, 11, 12]
    assert {row for rows in epochs for row in rows} == set(range(13))
    assert epoch_rows(records, 0, seed=1).tolist() == list(range(13))


def test_donors_come_from_the_same_level_source_and_sequences() -> None:
    kinds = (("lgg", ("flair",)), ("brats", ("flair",)), ("brats", ("flair", "t1c", "t2")))
    records = [
        Slice(index, source, modalities=sequences)
        for index in range(100)
        for source, sequences in kinds
    ]
    random = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    donors = draw_donors(records, range(300), random, chance=1.0)
    assert (donors >= 0).all()
    for record, donor in zip(records, donors.tolist(), strict=True):
        assert records[donor].source == record.source
        assert records[donor].modalities == record.modalities
        assert abs(records[donor].slice_index - record.slice_index) <= 10
    assert len(set(donors.tolist())) > 50


def test_the_chance_sets_the_share_of_slices_with_known_masks_that_get_a_donor() -> None:
    records = [Slice(0, has_mask=index % 2 == 0) for index in range(1000)]
    random = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    donors = draw_donors(records, range(500), random, chance=0.4)
    recipients = (donors >= 0).nonzero().flatten()
    assert len(recipients) / 250 == pytest.approx(0.4, abs=0.08)
    assert {row % 2 for row in [*recipients.tolist(), *donors[recipients].tolist()]} == {0}
    assert max(recipients.max(), donors.max()) < 500


def test_tumor_free_slices_get_donors_from_other_sources_but_are_donors_to_none() -> None:
    kinds = (("lgg", ("flair",)), ("tumor-free", ("flair",)), ("brats", ("flair", "t1c", "t2")))
    records = [
        Slice(index, source, modalities=sequences)
        for index in range(100)
        for source, sequences in kinds
    ]
    random = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    donors = draw_donors(records, range(300), random, chance=1.0).tolist()
    sources_of_donors = {source: set() for source, _ in kinds}
    for record, donor in zip(records, donors, strict=True):
        sources_of_donors[record.source].add(records[donor].source)
        assert abs(records[donor].slice_index - record.slice_index) <= 10
    assert sources_of_donors == {
        "lgg": {"lgg"},
        "tumor-free": {"lgg", "tumor-free"},
        "brats": {"brats"},
    }


def test_slices_that_are_easily_misjudged_weigh_more() -> None:
    records = [
        Slice(0, tumor_pixels=0),
        Slice(0, "tumor-free"),
        Slice(0, tumor_pixels=1),
        Slice(0, tumor_pixels=199),
        Slice(0, tumor_pixels=200),
        Slice(0, tumor_pixels=-1),  # never outlined
    ]
    assert slice_weights(records, 3.0).tolist() == [1, 3, 3, 3, 1, 1]


def test_without_masks_there_are_no_donors() -> None:
    records = [Slice(0, has_mask=False)] * 5
    assert draw_donors(records, range(5), torch.zeros(5, 2), chance=1.0).tolist() == [-1] * 5


@pytest.mark.slow
def test_spawned_workers_read_the_same_batches_from_their_own_memory_map(
    dataset_folder: Path,
) -> None:
    store = open_store(dataset_folder, 64, progress=False)
    donors = torch.full((96,), -1)
    donors[[3, 7]] = torch.tensor([11, 15])
    batches = [np.array([7, 3, 5]), np.array([0]), np.array([90, 91])]
    here = list(open_loader(store, batches, on_gpu=False, donors=donors))
    loader = open_loader(store, batches, on_gpu=True, donors=donors)
    loader.pin_memory = False  # so that no GPU is needed
    loader.multiprocessing_context = "spawn"
    loader.num_workers = 1  # each takes seconds to start
    assert [batch["row"].tolist() for batch in here] == [[7, 3, 5], [0], [90, 91]]
    assert here[0]["planes"].shape == (3, 2, 64, 64)
    assert here[0]["has_donor"].tolist() == [True, True, False]
    assert np.array_equal(here[0]["donor_planes"], store.planes[[15, 11]])
    for one, other in zip(here, loader, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(pickle.dumps(loader.dataset)) < store.planes.nbytes / 10


def test_chance_and_level_determine_the_donor() -> None:
    """Ten slices of a stack: the second column of a table moves the donor by at most a tenth."""
    records = [Slice(index, slice_count=10) for index in range(10)]
    random = torch.zeros(10, 2)
    random[:, 1] = torch.tensor([0.0, 0.0, 0.5, 0.99, 0.99, 0.5, 0.5, 0.5, 0.5, 0.99])
    donors = draw_donors(records, range(10), random, chance=0.5)
    assert donors.tolist() == [0, 0, 2, 4, 5, 5, 6, 7, 8, 9]
    random[3, 0] = 0.5  # not below the chance
    assert draw_donors(records, range(10), random, chance=0.5)[3] == -1
    assert donors.dtype == torch.int64


def test_the_rows_of_an_epoch_depend_on_the_seed() -> None:
    records = [Slice(i, case_id="thin") for i in range(40)]
    one, same, other = (epoch_rows(records, 5, seed).tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_a_batch_holds_rows_labels_and_donor_planes(dataset_folder) -> None:
    store = open_store(dataset_folder, 32, progress=False)
    donors = torch.full((len(store.records),), -1)
    donors[1], donors[3] = 0, 7
    (batch,) = open_loader(store, [np.array([1, 2, 3])], on_gpu=False, donors=donors)
    assert batch["row"].tolist() == [1, 2, 3]
    assert batch["label"].tolist() == [store.records[row].label for row in (1, 2, 3)]
    assert batch["has_mask"].tolist() == [True] * 3
    assert batch["has_donor"].tolist() == [True, False, True]
    assert torch.equal(batch["planes"], torch.from_numpy(store.read([1, 2, 3])))
    assert torch.equal(batch["donor_planes"], torch.from_numpy(store.read([0, 7])))
    (plain,) = open_loader(store, [np.array([1, 2])], on_gpu=False)
    assert set(plain) == {"row", "planes", "label", "has_mask"}
