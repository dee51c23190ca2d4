"""Keep freed memory from one update to the next.

By default glibc returns every large block to the system when it is freed and requests it again for
the next update. On some machines a training on a CPU then spends half of its time on page faults.
Only glibc has these settings; with other C libraries nothing happens.
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h
_NEVER = -1  # from mallopt(3): trimming is off


def keep_freed_memory() -> bool:
    """Let the process keep what it frees; call it before the first update.

    Returns:
        Whether the C library accepted the settings.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, _NEVER))
    except (OSError, AttributeError):
        return False
