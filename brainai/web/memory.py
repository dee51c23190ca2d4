"""Memory goes back to the system after a crowd.

The C library keeps what was freed for later, in as many pools as there were threads: after a crowd
hundreds of megabytes that nobody uses. Only glibc has these settings; elsewhere nothing happens.
"""

import asyncio
import contextlib
import ctypes
from collections.abc import AsyncIterator, Callable

ARENAS = 2  # pools, one for each core of a small Space
EVERY_SECONDS = 10
_M_ARENA_MAX = -8  # of malloc.h


def share_arenas() -> None:
    """Let threads share pools of memory; call it before there are many threads."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Give free memory back to the system."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextlib.asynccontextmanager
async def trimmed(asked: Callable[[], int], idle: Callable[[], bool]) -> AsyncIterator[None]:
    """Give memory back once a crowd is gone.

    Args:
        asked: how many requests there have been.
        idle: whether none is waiting or in work.
    """

    async def keep_trimming() -> None:
        before = asked()
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if asked() != before and idle():
                before = asked()
                await asyncio.to_thread(trim)

    task = asyncio.create_task(keep_trimming())
    try:
        yield
    finally:
        task.cancel()
