"""Worker processes: started afresh, ended with their parent, and no error of theirs unexplained."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from brainai.errors import DataError


@contextmanager
def open_pool(
    workers: int, advice: str, initializer: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes. What still waits when the block ends is cancelled.

    Args:
        advice: what the user can do if a worker is ended from outside.
        initializer: run at the start of every worker.
    Raises:
        DataError: a worker was ended from outside.
    """
    # "spawn", because libraries that hold threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(initializer,)
    ) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise DataError(
                f"A worker process was ended from outside, most often for lack of memory. {advice}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(initializer: Callable[[], None] | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer()


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, and they would wait for it without end."""
    multiprocessing.parent_process().join()
    os._exit(1)
