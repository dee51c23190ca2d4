"""How long a request would wait, and whether one more is taken.

The estimate counts seconds, not requests: a hundred slices may wait where ten scans may not.
"""

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from brainai.errors import DataError
from brainai.web.limits import PATIENCE, Patience

NEWEST = 0.2  # the weight of the newest measurement in the mean


class Busy(DataError):
    """Too many requests wait.

    Attributes:
        seconds: after how many it is worth asking again.
    """

    def __init__(self, seconds: int):
        super().__init__(
            f"Too many requests wait at the moment: try again in {seconds} seconds.", "busy"
        )
        self.seconds = seconds


class Line(NamedTuple):
    """Requests for one kind of work.

    Attributes:
        places: how many are worked on at a time.
        running: the seconds that each one in work still needs.
        waiting: the seconds that each waiting one will need.
    """

    places: int
    running: Sequence[float]
    waiting: Sequence[float]


def seconds_to_wait(line: Line) -> float:
    """The seconds until one more request would be worked on."""
    if len(line.running) + len(line.waiting) < line.places:
        return 0.0
    return (sum(line.running) + sum(line.waiting)) / line.places


def check_patience(line: Line, patience: Patience) -> None:
    """Take one more request.

    Raises:
        Busy: it would wait too long, or too many wait already.
    """
    excess = seconds_to_wait(line) - patience.seconds
    at_once = max(0, line.places - len(line.running))  # of those that wait for a moment only
    if excess > 0 or len(line.waiting) - at_once >= patience.requests:
        one = (sum(line.waiting) or patience.assumed) / max(1, len(line.waiting)) / line.places
        raise Busy(math.ceil(max(1.0, one, excess)))


class Lately:
    """The mean of the times that a piece of work took, in which the latest count most.

    It stands in for Gradio's `ProcessTime`, a mean over all times since the start, which a warming
    up or a crowd would mark for days. Gradio reads `avg_time` for its own estimates too.
    """

    def __init__(self) -> None:
        self.avg_time, self.count = 0.0, 0

    def add(self, seconds: float) -> None:
        self.count += 1
        weight = NEWEST if self.count > 1 else 1.0
        self.avg_time += weight * (seconds - self.avg_time)


def settle(queue: Any) -> None:
    """Have Gradio's queue keep the times of late, and nothing for its view of all requests: that
    one is closed, and 10,000 requests with their session hashes are summed up after each."""
    queue.process_time_per_fn = defaultdict(Lately)
    queue.ANALYTICS_MAX_EVENTS = 0


def check_turn(queue: Any, fn: Any) -> None:
    """Whether Gradio's queue takes one more request for this function.

    Raises:
        Busy: not now.
    """
    patience, line = (
        PATIENCE.get(fn.concurrency_id),
        queue.event_queue_per_concurrency_id.get(fn.concurrency_id),
    )
    if patience is None or line is None:
        return

    def needs(one: Any) -> float:
        measured = queue.process_time_per_fn.get(one)
        return measured.avg_time if measured else patience.assumed

    now = time.time()
    running = [
        max(0.0, needs(one) - (now - start))
        for one, starts in line.start_times_per_fn.items()
        for start in starts
    ]
    waiting = [needs(event.fn) for event in line.queue]
    check_patience(Line(line.concurrency_limit or len(running) + 1, running, waiting), patience)
