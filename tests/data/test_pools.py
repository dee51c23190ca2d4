"""Worker processes: any script may start them, and none is left behind, however it ends."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from scans import write_brats

from brainai.data.pools import open_pool
from brainai.errors import DataError

ROOT = Path(__file__).parents[2]
STORE = """
import sys, threading
from brainai.data import store
from brainai.data.store import open_store
store.CHUNK = 16  # otherwise one process decodes so few slices
print(len(open_store(sys.argv[1], 32, progress=False).planes))
also = threading.Thread(target=open_store, args=(sys.argv[1], 64), kwargs={"progress": False})
also.start()
also.join()
"""
PREPARE = """
import sys
from pathlib import Path
from brainai.data.prepare import PrepareOptions, prepare
out = Path(sys.argv[1]).with_name("out")
print(len(prepare(PrepareOptions((("brats", sys.argv[1]),)), out, workers=2).assembled.records))
"""
WAIT = """
import time
from brainai.data.pools import open_pool
with open_pool(2, "") as pool:
    for _ in range(9):
        pool.submit(time.sleep, 600)
    pool.submit(time.sleep, 600).result()
"""


def start(
    code: str, folder: Path, *argument: str, stdin: bool = False, **options
) -> subprocess.Popen:
    """Start a script without a main guard, from a file or, as in Jupyter, from no file; it leads
    a process group of its own."""
    script = folder / "script.py"
    script.write_text(code)
    with script.open() as text:
        return subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning", "-" if stdin else str(script), *argument],
            stdin=text if stdin else subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(ROOT), "LOKY_MAX_CPU_COUNT": "2"},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # "&" would ignore it
            text=True,
            **options,
        )


def finished(process: subprocess.Popen, timeout: float) -> tuple[str, str]:
    """Its stdout and stderr; fails if it does not end in time."""
    try:
        return process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def is_empty(group: int, within: float = 10) -> bool:
    """Whether no process of a group is left, after some seconds at most."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def workers_of(process: subprocess.Popen, count: int) -> list[int]:
    """The process ids of its workers, once there are `count` of them."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        pytest.skip("needs /proc to see child processes")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        commands = {
            int(child): Path(f"/proc/{child}/cmdline").read_text()
            for child in listed.read_text().split()
        }
        found = [child for child, command in commands.items() if "popen_loky" in command]
        if len(found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} workers after a minute")


@pytest.mark.distributed
@pytest.mark.parametrize("stdin", [False, True], ids=["script", "stdin"])
def test_a_script_without_a_main_guard_can_open_a_store(
    dataset_folder: Path, tmp_path: Path, stdin: bool
) -> None:
    data = tmp_path / "data"
    shutil.copytree(dataset_folder, data, ignore=shutil.ignore_patterns(".store"))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(STORE, tmp_path, str(data), stdin=stdin, **pipes)
    said, complained = finished(process, 60)
    assert (said, complained) == ("96\n", "")  # it ran once and reported no leftovers
    assert process.returncode == 0
    assert is_empty(process.pid)


@pytest.mark.distributed
@pytest.mark.parametrize("stdin", [False, True], ids=["script", "stdin"])
def test_a_script_without_a_main_guard_can_prepare_data(tmp_path: Path, stdin: bool) -> None:
    for number in range(4):
        write_brats(tmp_path / "raw", f"BraTS2021_{number:05d}")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(PREPARE, tmp_path, str(tmp_path / "raw"), stdin=stdin, **pipes)
    said, complained = finished(process, 60)
    assert process.returncode == 0, complained
    assert said == "20\n"  # four cases of five slices
    assert is_empty(process.pid)


@pytest.mark.distributed
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    process = start(WAIT, tmp_path)
    workers_of(process, 2)
    time.sleep(1)  # both are at work
    process.kill()
    process.wait()
    try:
        assert is_empty(process.pid)
    finally:
        if not is_empty(process.pid, within=0.1):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_killed_worker_raises_a_one_sentence_error() -> None:
    with (
        pytest.raises(DataError, match=r"^A worker .* outside, .* lack of memory\. Take fewer\.$"),
        open_pool(2, "Take fewer.") as pool,
    ):
        pool.submit(signal.raise_signal, signal.SIGKILL).result()


def test_workers_ignore_ctrl_c() -> None:
    with open_pool(1, "") as pool:
        assert pool.submit(signal.raise_signal, signal.SIGINT).result() is None


def test_pending_calls_are_cancelled_when_the_block_ends() -> None:
    calls: list[Future] = []
    with pytest.raises(KeyError), open_pool(1, "") as pool:
        calls += [pool.submit(time.sleep, 0.1) for _ in range(40)]
        calls[0].result()
        raise KeyError
    assert all(call.done() for call in calls)
    assert not calls[0].cancelled()
    assert sum(call.cancelled() for call in calls) > 30  # except those running or next in line


def test_a_pool_in_a_thread_initializes_workers_and_returns_results_in_order() -> None:
    found = []

    def work() -> None:
        with open_pool(2, "", _mark) as pool:
            found.extend(pool.map(_marked, range(50), chunksize=8))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found == [f"ready {number}" for number in range(50)]


def _mark() -> None:
    os.environ["BRAINAI_TEST_MARK"] = "ready"


def _marked(number: int) -> str:
    return f"{os.environ['BRAINAI_TEST_MARK']} {number}"


@pytest.mark.distributed
def test_ctrl_c_stops_a_preparation_after_complete_cases(tmp_path: Path) -> None:
    for number in range(160):
        write_brats(tmp_path / "raw", f"BraTS2021_{number:05d}")
    out = tmp_path / "out"
    code = "import sys\nfrom brainai.data.prepare import main\nsys.exit(main(sys.argv[1:]))"
    options = ["--source", "brats", "--root", str(tmp_path / "raw"), "--out", str(out)]
    process = start(code, tmp_path, *options, "--workers", "2", stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list((out / ".parts").glob("Bra*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
    _, complained = finished(process, 60)
    assert process.returncode == 130, complained
    assert complained.splitlines()[-1].startswith("Stopped. Run the same command again")
    assert "Traceback" not in complained
    done = {path.stem for path in (out / ".parts").glob("Bra*.json")}
    assert 0 < len(done) < 160
    assert {path.name for path in (out / "images").iterdir()} == done
    assert not list((out / ".parts" / "unfinished").iterdir())
    assert is_empty(process.pid)
