"""A training takes the cores that it may use, shared with the processes beside it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import tyro
from accelerate.state import AcceleratorState

from brainai.data.options import Prepare
from brainai.training import __main__ as program


@pytest.fixture
def own_state() -> Iterator[None]:
    """Accelerate and torch keep their settings for the life of a process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(("beside", "threads"), [("1", 12), ("3", 4), ("16", 1)])
def test_processes_of_one_machine_share_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_state, beside: str, threads: int
) -> None:
    monkeypatch.setattr(program, "cpu_count", lambda: 12)
    monkeypatch.setattr(program, "keep_freed_memory", lambda: None)  # would last as well
    monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
    options = ["--preset", "smoke", "--cpu", "--data", str(tmp_path), "--out", str(tmp_path / "o")]
    program.open_accelerator(program.parse_config(options))
    assert torch.get_num_threads() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_workers_of_a_preparation_are_as_many_as_the_cores_it_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    options = ["--source", "lgg", "--root", "r", "--out", "o"]
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert tyro.cli(Prepare, args=options).workers == 1
    finally:
        os.sched_setaffinity(0, allowed)
