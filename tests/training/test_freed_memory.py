"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
from resource import RUSAGE_SELF, getrusage

import torch
from brainai.training.memory import keep_freed_memory

def faults():
    for _ in range(4):
        before = getrusage(RUSAGE_SELF).ru_minflt
        blocks = [torch.ones(2**24) for _ in range(5)]
        del blocks
    return getrusage(RUSAGE_SELF).ru_minflt - before

returned = faults()
assert keep_freed_memory()
print(returned, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has the settings")
@pytest.mark.slow
def test_freed_blocks_are_reused_without_page_faults() -> None:
    """Five blocks of 64 MB are 81,920 pages of 4 kB, each of which costs a page fault when it is
    new. The first rounds still find their places in the heap."""
    returned, kept = map(int, subprocess.check_output([sys.executable, "-c", FAULTS]).split())
    assert kept < 1000
    if returned < 10_000:
        pytest.skip("this system backs large blocks with large pages")
