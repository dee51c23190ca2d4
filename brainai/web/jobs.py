"""What page and API ask of the classifier: three functions, to which a Space may lend a GPU."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import NamedTuple, TypeAlias

from brainai.errors import DataError
from brainai.inference.classifier import Classifier, Item, Prediction
from brainai.inference.scan import ScanPrediction, ScanProgress
from brainai.web.faults import explain
from brainai.web.gather import Gatherer

SLICE_SECONDS, LONG_SECONDS = 10, 60  # asked of a GPU; requests for less wait less
TOGETHER = 8  # slices judged in one pass

ManyAnswers: TypeAlias = Iterator[Prediction | DataError]


class Jobs(NamedTuple):
    """Work of three lengths."""

    slice: Callable[..., Prediction]  # as `Classifier.predict`
    scan: Callable[..., Iterator[ScanProgress | ScanPrediction]]  # as `Classifier.follow_scan`
    many: Callable[[Sequence[str | DataError]], ManyAnswers]  # one answer for each, none raises

    @classmethod
    def of(cls, classifier: Classifier) -> "Jobs":
        """The work that this classifier does."""

        def many(files: Sequence[str | DataError]) -> ManyAnswers:
            for start in range(0, len(files), TOGETHER):
                yield from _judged(classifier, files[start : start + TOGETHER])

        return cls(classifier.predict, classifier.follow_scan, many)

    @classmethod
    def gathered(cls, classifier: Classifier) -> "Jobs":
        """The same work, in which slices of several visitors share a pass."""
        gatherer = Gatherer(lambda slices: _judged(classifier, slices), TOGETHER)
        return cls.of(classifier)._replace(slice=gatherer)

    def on_gpu(self, lend: Callable) -> "Jobs":
        """The same work on a GPU lent for it.

        There a function runs in a process of its own, which callbacks do not leave: so long work
        yields. Errors do not leave it either, but for their kind: so they travel as answers.

        Args:
            lend: `spaces.GPU`.
        """
        ask_slice = lend(duration=SLICE_SECONDS)(_answering(self.slice))
        ask_scan = lend(duration=LONG_SECONDS)(_answering_steps(self.scan))

        def judge_slice(*given, **named) -> Prediction:
            return _raised(ask_slice(*given, **named))

        def judge_scan(*given, **named) -> Iterator[ScanProgress | ScanPrediction]:
            yield from map(_raised, ask_scan(*given, **named))

        return Jobs(judge_slice, judge_scan, lend(duration=LONG_SECONDS)(self.many))


def _judged(
    classifier: Classifier, files: Sequence[Item | DataError]
) -> Sequence[Prediction | DataError]:
    """The answers for some files: together, which is faster, and one by one where one is bad."""
    if not any(isinstance(file, DataError) for file in files):
        with contextlib.suppress(Exception):  # explained below, for the file that causes it
            return classifier.predict_batch(files)
    judge = _answering(lambda file: classifier.predict_batch([file])[0])
    return [file if isinstance(file, DataError) else judge(file) for file in files]


def _answering(work: Callable) -> Callable:
    """The work, with its error as its answer."""

    @wraps(work)
    def answer(*given, **named):
        try:
            return work(*given, **named)
        except Exception as error:
            return explain(error)

    return answer


def _answering_steps(work: Callable[..., Iterator]) -> Callable[..., Iterator]:
    """The work of a generator, with its error as its last step."""

    @wraps(work)
    def steps(*given, **named):
        try:
            yield from work(*given, **named)
        except Exception as error:
            yield explain(error)

    return steps


def _raised(answer):
    """The answer, raised where it is an error."""
    if isinstance(answer, DataError):
        raise answer
    return answer
