"""Forget the Hub's token once the weights are there: nobody can read from a server what it does
not have."""

import ctypes
import os
import sys

NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def forget_tokens() -> None:
    """Remove the Hub's tokens from the environment of this process.

    On Linux they are also overwritten in the memory that the process started with, which
    /proc/<id>/environ shows as long as the process lives.
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
