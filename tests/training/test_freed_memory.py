"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

KEEP = "from brainai.training.memory import keep_freed_memory; print(keep_freed_memory())"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has the settings")
def test_the_c_library_accepts_to_keep_freed_memory() -> None:
    """In a process of its own: the settings last as long as the process."""
    answer = subprocess.check_output([sys.executable, "-c", KEEP], text=True)
    assert answer == "True\n"
