"""A training uses the cores available to it, shared with the processes beside it."""

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
    """Restore the settings that Accelerate and torch keep for the life of a process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(("beside", "threads"), [("1", 12), ("3", 4), ("16", 1)])
def test_processes_on_one_machine_share_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_state, beside: str, threads: int
) -> None:
    monkeypatch.setattr(program, "cpu_count", lambda: 12)
    monkeypatch.setattr(program, "keep_freed_memory", lambda: None)  # its effect would last, too
    monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
    options = ["--preset", "smoke", "--cpu", "--data", str(tmp_path), "--out", str(tmp_path / "o")]
    program.open_accelerator(program.parse_config(options))
    assert torch.get_num_threads() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_a_preparation_has_as_many_workers_as_available_cores() -> None:
    allowed = os.sched_getaffinity(0)
    options = ["--source", "lgg", "--root", "r", "--out", "o"]
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert tyro.cli(Prepare, args=options).workers == 1
    finally:
        os.sched_setaffinity(0, allowed)
