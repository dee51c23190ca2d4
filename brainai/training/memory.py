"""Keep freed memory from one update to the next.

By default glibc returns every large block to the system when it is freed and requests it again for
the next update. On some machines a training on a CPU then spends half of its time on page faults.
Only glibc has these settings; with other C libraries nothing happens.
"""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h
_NEVER = -1


def keep_freed_memory() -> None:
    """Let the process keep what it frees; call it before the first update."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
