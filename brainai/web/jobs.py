"""The three functions that the page and the API call; a ZeroGPU Space runs them on a GPU."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import NamedTuple, TypeAlias

from brainai.errors import DataError
from brainai.inference.classifier import Classifier, Item, Prediction
from brainai.inference.scan import ScanPrediction, ScanProgress
from brainai.web.faults import explain
from brainai.web.gather import Gatherer

SLICE_SECONDS, LONG_SECONDS = 10, 60  # requested GPU time; shorter requests wait less
TOGETHER = 8  # slices in one pass

ManyAnswers: TypeAlias = Iterator[Prediction | DataError]


class Jobs(NamedTuple):
    """The functions that judge a slice, a scan, and many slices.

    Attributes:
        slice: like `Classifier.predict`.
        scan: like `Classifier.follow_scan`.
        many: yields one answer for each slice, and an error as its answer instead of raising it.
    """

    slice: Callable[..., Prediction]
    scan: Callable[..., Iterator[ScanProgress | ScanPrediction]]
    many: Callable[[Sequence[Item | DataError]], ManyAnswers]

    @classmethod
    def of(cls, classifier: Classifier) -> "Jobs":
        """Return the functions of a classifier."""

        def many(files: Sequence[Item | DataError]) -> ManyAnswers:
            for start in range(0, len(files), TOGETHER):
                yield from _judged(classifier, files[start : start + TOGETHER])

        return cls(classifier.predict, classifier.follow_scan, many)

    @classmethod
    def gathered(cls, classifier: Classifier) -> "Jobs":
        """Return the functions of a classifier, where slices of several visitors share a pass."""
        gatherer = Gatherer(lambda slices: _judged(classifier, slices), TOGETHER)
        return cls.of(classifier)._replace(slice=gatherer)

    def on_gpu(self, lend: Callable) -> "Jobs":
        """Return the same functions, run on a GPU that the Space assigns for each call.

        Each call then runs in a separate process. Callbacks cannot cross its border, so long work
        yields its progress. Errors cross it only as their type, so they are returned as answers.

        Args:
            lend: `spaces.GPU`.
        """
        ask_slice = lend(duration=SLICE_SECONDS)(_answering(self.slice))
        ask_scan = lend(duration=LONG_SECONDS)(_answering_steps(self.scan))

        def judge_slice(*args, **kwargs) -> Prediction:
            return _raised(ask_slice(*args, **kwargs))

        def judge_scan(*args, **kwargs) -> Iterator[ScanProgress | ScanPrediction]:
            yield from map(_raised, ask_scan(*args, **kwargs))

        return Jobs(judge_slice, judge_scan, lend(duration=LONG_SECONDS)(self.many))


def _judged(
    classifier: Classifier, files: Sequence[Item | DataError]
) -> Sequence[Prediction | DataError]:
    """Return the answers for some files, judged together, or one by one if a file is bad."""
    if not any(isinstance(file, DataError) for file in files):
        with contextlib.suppress(Exception):  # judging one by one finds the bad file
            return classifier.predict_batch(files)
    judge = _answering(lambda file: classifier.predict_batch([file])[0])
    return [file if isinstance(file, DataError) else judge(file) for file in files]


def _answering(work: Callable) -> Callable:
    """Return a function that returns an error instead of raising it."""

    @wraps(work)
    def answer(*args, **kwargs):
        try:
            return work(*args, **kwargs)
        except Exception as error:
            return explain(error)

    return answer


def _answering_steps(work: Callable[..., Iterator]) -> Callable[..., Iterator]:
    """Return a generator function that yields an error as its last step instead of raising it."""

    @wraps(work)
    def steps(*args, **kwargs):
        try:
            yield from work(*args, **kwargs)
        except Exception as error:
            yield explain(error)

    return steps


def _raised(answer):
    """Return the answer, or raise it if it is an error."""
    if isinstance(answer, DataError):
        raise answer
    return answer
