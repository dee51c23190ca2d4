"""What page and API ask of the classifier: three functions, to which a Space may lend a GPU."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from brainai.errors import DataError
from brainai.inference.classifier import Classifier, Prediction
from brainai.inference.scan import ScanPrediction, ScanProgress
from brainai.web.faults import explain

GPU_SECONDS = {"slice": 10, "scan": 60, "many": 60}  # asked for; short requests wait less

ManyAnswers: TypeAlias = Iterator[Prediction | DataError]


class Jobs(NamedTuple):
    """Work of three lengths.

    Long work is done by generators: on a lent GPU a function runs in a process of its own, which
    no callback leaves.
    """

    slice: Callable[..., Prediction]  # as `Classifier.predict`
    scan: Callable[..., Iterator[ScanProgress | ScanPrediction]]  # as `Classifier.follow_scan`
    many: Callable[[Sequence[str | DataError]], ManyAnswers]  # one answer for each, none raises

    @classmethod
    def of(cls, classifier: Classifier) -> "Jobs":
        """The work that this classifier does."""

        def many(files: Sequence[str | DataError]) -> ManyAnswers:
            for file in files:
                try:
                    yield file if isinstance(file, DataError) else classifier.predict(file)
                except Exception as error:  # one bad file is an answer among the others
                    yield explain(error)

        return cls(classifier.predict, classifier.follow_scan, many)

    def on_gpu(self, lend: Callable) -> "Jobs":
        """The same work on a GPU lent for it.

        Args:
            lend: `spaces.GPU`.
        """
        return Jobs(
            *(
                lend(duration=GPU_SECONDS[name])(work)
                for name, work in zip(self._fields, self, strict=True)
            )
        )
