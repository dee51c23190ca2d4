"""Slices that wait at the same time share a pass of the network."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any, TypeAlias

from brainai.errors import DataError
from brainai.inference.classifier import Prediction

Judge: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Sequence[Prediction | DataError]]


class Gatherer:
    """Judges slices from many threads, as many together as wait when a pass begins.

    There is no thread of its own and no delay: a caller who finds nobody at work judges at once,
    and takes along who came meanwhile. Whoever comes first is judged first.

    Args:
        judge: an answer for each of some slices, in their order.
        most: slices in one pass.
    """

    def __init__(self, judge: Judge, most: int):
        self._judge, self._most = judge, most
        self._waiting: deque[tuple[Mapping[str, Any], Future]] = deque()
        self._turn = Lock()

    def __call__(self, **sources: Any) -> Prediction:
        """The answer for one slice; arguments as those of `Classifier.predict`.

        Raises:
            DataError: the slice cannot be judged; others that share its pass do not notice.
        """
        own: Future = Future()
        self._waiting.append((sources, own))
        while not own.done():
            with self._turn:
                if not own.done():
                    self._pass()
        answer = own.result()
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
