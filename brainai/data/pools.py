"""Start worker processes that end with their parent and whose failures are explained."""

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
    """loky's executor, which also keeps track of submitted calls.

    Its workers do not import the caller's main module again. With the standard library's executor,
    a script without `if __name__ == "__main__"` would start again in every worker.
    """

    def __init__(self, workers: int, **options) -> None:
        super().__init__(workers, **options)
        self.futures: WeakSet[Future] = WeakSet()  # weak, so that results are not kept

    def submit(self, *call, **named) -> Future:
        """Schedule one call on one of the workers."""
        future = super().submit(*call, **named)
        self.futures.add(future)
        return future


@contextmanager
def open_pool(
    workers: int, advice: str, initializer: Callable[[], None] | None = None
) -> Iterator[Pool]:
    """Open a pool of worker processes. Calls that still wait when the block ends are cancelled.

    On Ctrl-C the workers finish their current calls, and the caller stops.

    Args:
        workers: number of processes.
        advice: what the user can do if a worker is killed from outside.
        initializer: a function that every worker runs when it starts.
    Raises:
        DataError: a worker was killed from outside.
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
                f"A worker process was killed from outside, most often for lack of memory. {advice}"
            ) from error
        finally:
            for future in list(pool.futures):
                future.cancel()


def _start(from_parent: Connection, initializer: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, args=(from_parent,), daemon=True).start()
    if initializer is not None:
        initializer()


def _end_with_parent(from_parent: Connection) -> None:
    """End this worker when its parent has been killed, or else it would wait forever."""
    wait([from_parent])  # nothing is ever sent; this returns when the parent's end closes
    os._exit(1)
