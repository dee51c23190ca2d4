"""Return memory to the system after many requests.

The C library keeps freed memory for later, in as many pools as there were threads. After many
requests at once this is hundreds of megabytes that nobody uses. Only glibc has these settings; with
other C libraries nothing happens.
"""

import asyncio
import contextlib
import ctypes
from collections.abc import AsyncIterator, Callable

from brainai.web.places import log_place

ARENAS = 2  # one pool for each core of a small Space
RETURN_SECONDS = 10
_M_ARENA_MAX = -8  # from malloc.h


def share_arenas() -> None:
    """Make threads share pools of memory; call it before many threads start."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Return free memory to the system."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextlib.asynccontextmanager
async def trimmed(count: Callable[[], int], idle: Callable[[], bool]) -> AsyncIterator[None]:
    """Return memory to the system whenever requests have been answered and none is left.

    Args:
        count: returns how many requests there have been.
        idle: returns whether no request is waiting or running.
    """

    async def keep_trimming() -> None:
        before = count()
        while True:
            await asyncio.sleep(RETURN_SECONDS)
            try:
                if count() != before and idle():
                    before = count()
                    await asyncio.to_thread(trim)
            except Exception as error:
                log_place(error)

    task = asyncio.create_task(keep_trimming())
    try:
        yield
    finally:
        task.cancel()
