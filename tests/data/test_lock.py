"""One writer for a folder, and no lock that outlives its holder."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainai.data.lock import LOCK, hold
from brainai.errors import ConfigError, StorageError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from brainai.data.lock import hold
with hold(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen:
    """Another process that holds a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_at_once_and_a_killed_one_frees_the_lock(
    tmp_path: Path,
) -> None:
    process = holder(tmp_path / "run")
    began = time.monotonic()
    with (
        pytest.raises(ConfigError, match="wait for its end"),
        hold(tmp_path / "run", "wait for its end"),
    ):
        pass
    assert time.monotonic() - began < 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    with hold(tmp_path / "run", "wait for its end"):
        pass


def test_the_lock_ends_with_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), hold(tmp_path, "busy"):
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_worker_does_not_keep_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with hold(tmp_path, "busy"):
        worker = context.Process(target=time.sleep, args=(30,))
        worker.start()
    try:
        with hold(tmp_path, "busy"):
            pass
    finally:
        worker.kill()
        worker.join()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_raises_a_storage_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="choose another folder"), hold(tmp_path, "busy"):
        pass
