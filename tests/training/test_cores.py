"""A training takes the cores that it may use, shared with the processes beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from brainai.data.options import Prepare

ROOT = Path(__file__).parents[2]
THREADS = """
import sys, torch
import brainai.training.__main__ as program
program.cpu_count = lambda: 12
program.open_accelerator(program.parse_config(sys.argv[1:]))
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(("beside", "threads"), [("1", "12"), ("3", "4"), ("16", "1")])
def test_processes_of_one_machine_share_its_cores(
    tmp_path: Path, beside: str, threads: str
) -> None:
    options = ["--preset", "smoke", "--cpu", "--data", str(tmp_path), "--out", str(tmp_path / "o")]
    done = subprocess.run(
        [sys.executable, "-c", THREADS, *options],
        cwd=ROOT,
        env=os.environ | {"LOCAL_WORLD_SIZE": beside},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == threads, done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_workers_of_a_preparation_are_as_many_as_the_cores_it_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    options = ["--source", "lgg", "--root", "r", "--out", "o"]
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert tyro.cli(Prepare, args=options).workers == 1
    finally:
        os.sched_setaffinity(0, allowed)
