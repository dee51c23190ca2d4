"""Files are read in child processes; a crash, a hang or a lack of memory there harms nobody."""

import os
import signal
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainai.data import reader_pool
from brainai.data.reader_pool import SLICE, Budget, ReaderPool
from brainai.errors import DataError, OutOfScope

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
PIXELS = {"most_pixels": 10**9}


@pytest.fixture
def pool() -> Iterator[ReaderPool]:
    pool = ReaderPool(2)
    yield pool
    pool.close()


@pytest.fixture
def slice_file(tmp_path: Path) -> str:
    pixels = np.arange(40 * 50, dtype=np.float32).reshape(40, 50)
    Image.fromarray(pixels).save(tmp_path / "slice.tif")
    return str(tmp_path / "slice.tif")


def read(pool: ReaderPool, file: str | Path, budget: Budget = SLICE) -> np.ndarray:
    return pool.ask("picture", budget, "The picture", {"path": str(file)} | PIXELS)[1]


def huge(path: Path) -> Path:
    """A PNG of 30 million pixels with alpha, in 120 kB: it decodes to 120 MB and more."""
    side = 5477
    Image.new("LA", (side, side), (7, 255)).save(path, compress_level=9)
    return path


def slow(path: Path, chunks: int = 3_000_000) -> Path:
    """A PNG of empty chunks, which Pillow reads one by one for many seconds."""
    chunk = b"\0\0\0\0teSt" + zlib.crc32(b"teSt").to_bytes(4, "big")
    Image.new("L", (40, 40)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:33] + chunk * chunks + content[33:])
    return path


def children(pool: ReaderPool) -> list[int]:
    return [child._process.pid for child in pool._idle]


def test_pixels_are_returned_exactly(pool, slice_file):
    np.testing.assert_array_equal(read(pool, slice_file), np.arange(2000).reshape(40, 50))


def test_one_child_serves_several_calls(pool, slice_file):
    for _ in range(3):
        read(pool, slice_file)
    assert len(children(pool)) == 1
    assert pool._idle[0].tasks == 3


def test_errors_keep_their_type_message_and_code(pool, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="could not be read as a picture") as caught:
        read(pool, tmp_path / "bad.png")
    assert (type(caught.value), caught.value.code) == (DataError, "unreadable")
    Image.new("L", (64, 64)).save(tmp_path / "flat.png")
    with pytest.raises(OutOfScope) as caught:
        read(pool, tmp_path / "flat.png")
    assert caught.value.reason == "empty picture"


@pytest.mark.slow
def test_a_file_that_takes_too_long_is_refused_and_the_next_is_read(pool, tmp_path, slice_file):
    file = slow(tmp_path / "slow.png")
    read(pool, slice_file)  # the child's start does not count
    started = time.monotonic()
    with pytest.raises(DataError, match="takes too long") as caught:
        read(pool, file, SLICE._replace(cpu_seconds=1))
    assert caught.value.code == "too_large"
    assert time.monotonic() - started < 8
    read(pool, slice_file)


@pytest.mark.slow
def test_elapsed_time_is_limited_even_while_the_processor_is_idle(pool, tmp_path):
    os.mkfifo(tmp_path / "never.png")  # opening it waits for a writer
    with pytest.raises(DataError, match="takes too long"):
        read(pool, tmp_path / "never.png", Budget(5, 1.5, 10**9))


def test_a_file_that_needs_too_much_memory_is_refused(pool, tmp_path, slice_file):
    file = huge(tmp_path / "huge.png")
    with pytest.raises(DataError, match=r"could not be read|needs too much memory"):
        read(pool, file, SLICE._replace(memory_bytes=50_000_000))
    read(pool, slice_file)


@pytest.mark.slow
def test_a_child_that_used_much_memory_is_replaced(pool, slice_file, monkeypatch):
    read(pool, slice_file)
    before = children(pool)
    monkeypatch.setattr(reader_pool, "KEPT_BYTES", 10_000_000)  # less than any Python takes
    read(pool, slice_file)
    assert set(children(pool)).isdisjoint(before)


def test_an_idle_child_killed_from_outside_is_replaced_silently(pool, slice_file):
    read(pool, slice_file)
    os.kill(children(pool)[0], signal.SIGKILL)
    np.testing.assert_array_equal(read(pool, slice_file), np.arange(2000).reshape(40, 50))


@pytest.mark.slow
def test_any_number_of_idle_children_may_be_killed(slice_file):
    pool = ReaderPool(4)
    pool._idle += [reader_pool.Child() for _ in range(4)]
    for pid in children(pool):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    assert read(pool, slice_file).shape == (40, 50)
    assert len(children(pool)) == 1
    pool.close()


@pytest.mark.slow
def test_the_task_of_a_child_killed_at_work_is_repeated(pool, tmp_path):
    file = slow(tmp_path / "slow.png", 400_000)  # for about a second
    read_in_child = []
    thread = threading.Thread(
        target=lambda: read_in_child.append(
            pool.ask("browser_copy", SLICE, "The picture", {"path": str(file)})
        )
    )
    pool.warm()
    (pid,) = children(pool)
    thread.start()
    while children(pool):
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    thread.join(20)
    assert read_in_child == [({"pixel_mm": None}, None)]


def test_a_crash_raises_an_error_that_names_no_path(pool, slice_file, monkeypatch):
    with pytest.raises(DataError, match="ends the program that reads it") as caught:
        read_crashing(pool, monkeypatch)
    assert str(caught.value).startswith("FLAIR: ")
    assert "/" not in str(caught.value)
    read(pool, slice_file)


def read_crashing(pool: ReaderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a child read what crashes it, with a task that only these children know."""
    with monkeypatch.context() as patch:
        patch.setattr(
            reader_pool,
            "MODULE",
            "brainai.data.reader_process import TASKS; import ctypes; "
            "TASKS['crash'] = lambda: ctypes.string_at(0); from brainai.data.reader_process",
        )
        pool.ask("crash", SLICE, "FLAIR", {})


def test_children_do_not_inherit_the_servers_secrets(pool, slice_file, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("BRAINAI_OTHER", "too")
    read(pool, slice_file)
    environment = Path(f"/proc/{children(pool)[0]}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"hf_secret" not in environment
    assert b"BRAINAI_OTHER" not in environment


def test_no_more_children_run_than_the_pool_allows(pool, slice_file):
    threads = [threading.Thread(target=read, args=(pool, slice_file)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(children(pool)) <= 2


def test_no_child_outlives_the_pool(slice_file):
    pool = ReaderPool(1)
    read(pool, slice_file)
    (pid,) = children(pool)
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_forked_process_has_children_of_its_own(slice_file):
    """As ZeroGPU forks on a Space: otherwise both would talk to the same child at once."""
    read(reader_pool.POOL, slice_file)
    before = children(reader_pool.POOL)
    pid = os.fork()
    if pid == 0:
        own = read(reader_pool.POOL, slice_file).shape == (40, 50)
        own = own and set(children(reader_pool.POOL)).isdisjoint(before)
        reader_pool.POOL.close()
        os._exit(0 if own else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert read(reader_pool.POOL, slice_file).shape == (40, 50)
    assert children(reader_pool.POOL) == before
