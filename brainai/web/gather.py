"""Let slices that wait at the same time share a pass of the network."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any, TypeAlias

from brainai.errors import DataError
from brainai.inference.classifier import Prediction

Judge: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Sequence[Prediction | DataError]]


class Gatherer:
    """Judges slices from many threads, together with all that wait when a pass begins.

    There is no extra thread and no delay: a caller judges as soon as no other pass runs, together
    with the slices that arrived meanwhile, in the order of their arrival.

    Args:
        judge: returns one answer for each slice, in the same order.
        most: the most slices in one pass.
    """

    def __init__(self, judge: Judge, most: int):
        self._judge, self._most = judge, most
        self._waiting: deque[tuple[Mapping[str, Any], Future]] = deque()
        self._turn = Lock()

    def __call__(self, **sources: Any) -> Prediction:
        """Return the answer for one slice; the arguments are those of `Classifier.predict`.

        Raises:
            DataError: the slice cannot be judged; other slices of the same pass are not affected.
        """
        future: Future = Future()
        self._waiting.append((sources, future))
        while not future.done():
            with self._turn:
                if not future.done():
                    self._pass()
        answer = future.result()
        if isinstance(answer, DataError):
            raise answer
        return answer

    def _pass(self) -> None:
        count = min(self._most, len(self._waiting))
        together = [self._waiting.popleft() for _ in range(count)]
        try:
            answers = self._judge([sources for sources, _ in together])
        except BaseException as error:
            for _, future in together:
                future.set_exception(error)
            return
        for (_, future), answer in zip(together, answers, strict=True):
            future.set_result(answer)
