"""Order and sharing of batches."""

import numpy as np

from brainai.training.batches import (
    epoch_seed,
    some_of_each_case,
    split_batches,
    train_batches,
)


def test_two_processes_share_the_very_batches_of_one() -> None:
    rows = np.arange(100, 123)
    one = train_batches(rows, 4, seed=3)
    first = train_batches(rows, 4, seed=3, rank=0, world=2)
    second = train_batches(rows, 4, seed=3, rank=1, world=2)
    assert len(one) == len(first) == len(second) == 5  # 23 // 4: the last, broken one is left out
    for whole, left, right in zip(one, first, second, strict=True):
        assert whole.tolist() == [*left, *right]


def test_an_epoch_meets_a_slice_at_most_once() -> None:
    met = np.concatenate(train_batches(range(23), 4, seed=0))
    assert len(set(met)) == len(met) == 20


def test_epochs_and_stages_have_orders_of_their_own() -> None:
    seeds = {epoch_seed(0, stage, epoch) for stage in range(4) for epoch in range(4)}
    assert len(seeds) == 16
    first, second = (train_batches(range(50), 50, seed)[0].tolist() for seed in (1, 2))
    assert first != second


def test_a_split_of_odd_size_is_predicted_once_in_all_processes_together() -> None:
    rows = list(range(30, 41))  # 11
    parts = [batch for rank in (0, 1) for batch in split_batches(rows, 3, rank, 2)]
    assert sorted(int(row) for part in parts for row in part) == rows


def test_no_case_gives_an_epoch_more_than_its_share_and_all_have_their_turn() -> None:
    cases = ["thin"] * 10 + ["thick"] * 3
    epochs = [some_of_each_case(cases, 4, seed).tolist() for seed in range(30)]
    for rows in epochs:
        assert len(rows) == len(set(rows)) == 4 + 3
        assert rows[-3:] == [10, 11, 12]
    assert {row for rows in epochs for row in rows} == set(range(13))
    assert some_of_each_case(cases, 0, seed=1).tolist() == list(range(13))
