"""Slices of several visitors in one pass."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from toy_heads import head

from brainai import Classifier
from brainai.errors import DataError
from brainai.web.gather import Gatherer
from brainai.web.jobs import TOGETHER, Jobs


class Slow:
    """Returns its input as the answers; every pass waits until `go` is set."""

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.go = threading.Event()

    def __call__(self, slices: Sequence[dict]) -> list:
        self.passes.append(len(slices))
        self.go.wait(10)
        return [one["flair"] for one in slices]


def until(condition) -> None:
    limit = time.monotonic() + 10
    while not condition() and time.monotonic() < limit:
        time.sleep(0.002)
    assert condition()


def test_requests_that_arrive_during_a_pass_share_the_next_ones() -> None:
    judge = Slow()
    gatherer = Gatherer(judge, most=4)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(gatherer, flair=0)
        until(lambda: judge.passes == [1])
        others = [pool.submit(gatherer, flair=number) for number in range(1, 10)]
        until(lambda: len(gatherer._waiting) == 9)
        judge.go.set()
        assert [answer.result(10) for answer in (first, *others)] == list(range(10))
    assert judge.passes == [1, 4, 4, 1]


def test_a_single_request_is_judged_at_once() -> None:
    judge = Slow()
    judge.go.set()
    gatherer = Gatherer(judge, most=4)
    assert [gatherer(flair=number) for number in range(3)] == [0, 1, 2]
    assert judge.passes == [1, 1, 1]


def test_an_error_reaches_the_request_with_the_bad_slice() -> None:
    def judge(slices: Sequence[dict]) -> list:
        return [DataError("bad") if one["flair"] < 0 else one["flair"] for one in slices]

    gatherer = Gatherer(judge, most=8)
    assert gatherer(flair=1) == 1
    with pytest.raises(DataError, match="bad"):
        gatherer(flair=-1)


def test_a_failed_pass_leaves_no_request_waiting() -> None:
    def judge(slices: Sequence[dict]) -> list:
        raise MemoryError

    gatherer = Gatherer(judge, most=8)
    for _ in range(2):
        with pytest.raises(MemoryError):
            gatherer(flair=1)


def test_answers_in_shared_passes_equal_those_of_each_slice_alone(model_folder) -> None:
    classifier = Classifier.load(model_folder, device="cpu")
    jobs = Jobs.gathered(classifier)
    slices = [np.asarray(head(seed)) for seed in range(2 * TOGETHER)]
    slices[5] = np.zeros((0, 4), np.uint8)  # cannot be read
    alone = Jobs.of(classifier)

    def ask(work, pixels):
        try:
            return work.slice(flair=pixels, t1c=None, t2=None)
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(len(slices)) as pool:
        together = list(pool.map(lambda pixels: ask(jobs, pixels), slices))
    for number, (one, pixels) in enumerate(zip(together, slices, strict=True)):
        expected = ask(alone, pixels)
        if number == 5:
            assert one == expected
            continue
        assert one.label == expected.label
        assert one.probability == pytest.approx(expected.probability, abs=1e-3)
