"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from brainai.training.memory import keep_freed_memory

if "keep" in sys.argv:
    keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has the setting")
def test_a_block_of_64_mb_is_used_again_without_asking_the_system() -> None:
    """64 MB are 16,384 pages of 4 kB, each of which costs a page fault when it is new."""
    faults = {
        word: int(subprocess.check_output([sys.executable, "-c", FAULTS, word]))
        for word in ("keep", "return")
    }
    assert faults["keep"] < 100
    if faults["return"] < 1000:
        pytest.skip("this system backs large blocks with large pages")
    assert faults["return"] > 10 * faults["keep"]
