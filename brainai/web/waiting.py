"""Estimate how long a request would wait, and decide whether to accept it.

The estimate is in seconds, not in requests: a hundred slices may wait where ten scans may not.
"""

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from brainai.errors import DataError
from brainai.web.limits import PATIENCE, Patience

NEWEST = 0.2  # weight of the newest measurement in the running mean


class Busy(DataError):
    """Too many requests are waiting.

    Attributes:
        seconds: after how many seconds it makes sense to try again.
    """

    def __init__(self, seconds: int):
        super().__init__(f"Too many requests are waiting: try again in {seconds} seconds.", "busy")
        self.seconds = seconds


class Line(NamedTuple):
    """Requests for one kind of work.

    Attributes:
        places: the number of requests that run at the same time.
        running: the seconds that each running request still needs.
        waiting: the seconds that each waiting request will need.
    """

    places: int
    running: Sequence[float]
    waiting: Sequence[float]


def seconds_to_wait(line: Line) -> float:
    """Return the seconds until one more request would start.

    >>> seconds_to_wait(Line(2, running=[3, 5], waiting=[4]))
    6.0
    """
    if len(line.running) + len(line.waiting) < line.places:
        return 0.0
    return (sum(line.running) + sum(line.waiting)) / line.places


def check_patience(line: Line, patience: Patience) -> None:
    """Check that one more request may wait.

    Raises:
        Busy: the request would wait too long, or too many are waiting already.
    """
    excess = seconds_to_wait(line) - patience.seconds
    at_once = max(0, line.places - len(line.running))  # these wait only for a moment
    if excess > 0 or len(line.waiting) - at_once >= patience.requests:
        next_place = (
            (sum(line.waiting) or patience.assumed) / max(1, len(line.waiting)) / line.places
        )
        raise Busy(math.ceil(max(1.0, next_place, excess)))


class RecentTime:
    """The running mean of processing times, in which recent times count most.

    It replaces Gradio's `ProcessTime`, a mean over all times since the start, which a slow first
    request or a crowd would distort for days. Gradio also reads `avg_time` for its own estimates.
    """

    def __init__(self) -> None:
        self.avg_time, self.count = 0.0, 0

    def add(self, seconds: float) -> None:
        """Add a measured time in seconds."""
        self.count += 1
        weight = NEWEST if self.count > 1 else 1.0
        self.avg_time += weight * (seconds - self.avg_time)


def configure_queue(queue: Any) -> None:
    """Make Gradio's queue keep recent processing times, and nothing for its view of all requests.

    That view is closed, and would sum up 10,000 requests with their session hashes after each.
    """
    queue.process_time_per_fn = defaultdict(RecentTime)
    queue.ANALYTICS_MAX_EVENTS = 0


def check_turn(queue: Any, fn: Any) -> None:
    """Check that Gradio's queue may take one more request for this function.

    Raises:
        Busy: the request would wait too long, or too many are waiting already.
    """
    patience, line = (
        PATIENCE.get(fn.concurrency_id),
        queue.event_queue_per_concurrency_id.get(fn.concurrency_id),
    )
    if patience is None or line is None:
        return

    def duration(function: Any) -> float:
        measured = queue.process_time_per_fn.get(function)
        return measured.avg_time if measured else patience.assumed

    now = time.time()
    running = [
        max(0.0, duration(function) - (now - start))
        for function, starts in line.start_times_per_fn.items()
        for start in starts
    ]
    waiting = [duration(event.fn) for event in line.queue]
    check_patience(Line(line.concurrency_limit or len(running) + 1, running, waiting), patience)
