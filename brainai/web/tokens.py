"""The Hub's token is needed to fetch private weights, and then no more: what a server doesn't have,
nobody can read from it."""

import ctypes
import os
import sys

NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def forget_tokens() -> None:
    """Remove the Hub's tokens from the environment of this process.

    On Linux they are overwritten too where the process started with them: /proc/<id>/environ shows
    that place for as long as the process lives.
    """
    for name in NAMES:
        if name in os.environ:
            if sys.platform == "linux":
                _overwrite(name)
            del os.environ[name]


def _overwrite(name: str) -> None:
    find = ctypes.CDLL(None).getenv
    find.restype = ctypes.c_void_p
    place = find(name.encode())
    if place:
        ctypes.memset(place, ord("x"), len(ctypes.string_at(place)))
