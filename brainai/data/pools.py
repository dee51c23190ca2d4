"""Worker processes: started afresh, ended with their parent, and no error of theirs unexplained."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from weakref import WeakSet

from joblib.externals.loky import ProcessPoolExecutor

from brainai.errors import DataError


class Pool(ProcessPoolExecutor):
    """loky's executor, which also knows what still waits.

    Its workers do not run the main module of the caller again, as those of the standard library
    do: a script without `if __name__ == "__main__"` would start itself anew in every worker.
    """

    def __init__(self, workers: int, **options) -> None:
        super().__init__(workers, **options)
        self.futures: WeakSet[Future] = WeakSet()  # results are not kept

    def submit(self, *call, **named) -> Future:
        """One call, to be done by one of the workers."""
        future = super().submit(*call, **named)
        self.futures.add(future)
        return future


@contextmanager
def open_pool(
    workers: int, advice: str, initializer: Callable[[], None] | None = None
) -> Iterator[Pool]:
    """A pool of processes. What still waits when the block ends is cancelled.

    On Ctrl-C the workers end what they are doing, and the caller stops.

    Args:
        advice: what the user can do if a worker is ended from outside.
        initializer: run at the start of every worker.
    Raises:
        DataError: a worker was ended from outside.
    """
    from_parent, to_workers = Pipe(duplex=False)
    with (
        from_parent,
        to_workers,
        Pool(workers, initializer=_start, initargs=(from_parent, initializer)) as pool,
    ):
        try:
            yield pool
        except BrokenProcessPool as error:
            raise DataError(
                f"A worker process was ended from outside, most often for lack of memory. {advice}"
            ) from error
        finally:
            for future in list(pool.futures):
                future.cancel()


def _start(from_parent: Connection, initializer: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the work
    threading.Thread(target=_end_with_parent, args=(from_parent,), daemon=True).start()
    if initializer is not None:
        initializer()


def _end_with_parent(from_parent: Connection) -> None:
    """A killed parent cannot stop its workers, and they would wait for it without end."""
    wait([from_parent])  # nothing is ever sent: it ends when the parent's end closes
    os._exit(1)
