"""The decoded store is made once, is the same for all processes, and is never held in memory."""

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from faults import damage, every_damage, small_files
from PIL import Image
from toy import write_dataset

from brainai.data.dataset import read_records, write_records
from brainai.data.pools import Pool
from brainai.data.seals import SealedWriter, sealed, unsealed
from brainai.data.store import open_store
from brainai.errors import DataError, StorageError


def test_rows_are_in_the_order_of_the_records(dataset_folder: Path) -> None:
    store = open_store(dataset_folder, 32, progress=False)
    assert store.planes.shape == (96, 2, 32, 32)
    assert store.planes.dtype == np.uint8
    for row in (0, 1, 50, 95):
        has_tumor = store.planes[row, -1].max() > 127
        assert has_tumor == bool(store.records[row].label)


def test_two_workers_decode_to_the_same_bytes_as_one(tmp_path: Path, monkeypatch) -> None:
    folder = write_dataset(tmp_path / "data")
    one = open_store(folder, 32, progress=False).planes.copy()
    shutil.rmtree(folder / ".store")
    monkeypatch.setattr("brainai.data.store.CHUNK", 10)
    monkeypatch.setattr("brainai.data.store.cpu_count", lambda: 2)
    assert np.array_equal(open_store(folder, 32, progress=False).planes, one)


def test_few_chunks_are_decoded_ahead_of_a_slow_disk(tmp_path: Path, monkeypatch) -> None:
    folder = write_dataset(tmp_path / "data")  # 96 slices, so 24 chunks
    monkeypatch.setattr("brainai.data.store.CHUNK", 4)
    monkeypatch.setattr("brainai.data.store.cpu_count", lambda: 2)
    submitted, written, ahead = [], [], []
    submit, write = Pool.submit, SealedWriter.write

    def count_submitted(pool: Pool, *call, **named) -> Future:
        submitted.append(call)
        return submit(pool, *call, **named)

    def count_written(writer: SealedWriter, data: bytes) -> int:
        written.append(data)
        ahead.append(len(submitted) - (len(written) - 1) / 4)  # the first bytes are the header
        return write(writer, data)

    monkeypatch.setattr(Pool, "submit", count_submitted)
    monkeypatch.setattr(SealedWriter, "write", count_written)
    open_store(folder, 32, progress=False)
    assert len(submitted) == 24
    assert max(ahead) <= 6  # three for each worker


def test_planes_are_memory_mapped_and_read_in_the_requested_order(dataset_folder: Path) -> None:
    store = open_store(dataset_folder, 32, progress=False)
    assert isinstance(store.planes, np.memmap)
    batch = store.read([5, 2, 5])
    assert np.array_equal(batch[0], batch[2])
    assert np.array_equal(batch[1], store.planes[2])


def test_three_sequences_get_separate_planes_and_a_gray_slice_fills_all(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    records = read_records(folder)
    colors = np.zeros((48, 48, 3), np.uint8)
    colors[10:20, 10:20, 0] = 200  # FLAIR alone is bright here
    colors[30:40, 30:40, 1] = 200  # T1c alone is bright here
    colors[30:40, 10:20, 2] = 200
    Image.fromarray(colors).save(folder / records[0].file_name)
    first = records[0].__class__(**{**vars(records[0]), "modalities": ("flair", "t1c", "t2")})
    write_records(folder / "metadata.csv", [first, *records[1:]])
    store = open_store(folder, 48, progress=False)
    flair, t1c, t2, mask = store.planes[0]
    assert (flair[15, 15], t1c[15, 15]) == (255, 0)
    assert (flair[35, 35], t1c[35, 35], t2[35, 15]) == (0, 255, 255)
    assert mask.max() == 0
    assert np.array_equal(store.planes[1, 0], store.planes[1, 2])


def change_content(folder: Path) -> None:
    """Change the content hash of a data set, as if it had been prepared from other scans."""
    info = unsealed((folder / "dataset.json").read_bytes())
    (folder / "dataset.json").write_text(json.dumps(sealed(info | {"content_hash": "f" * 64})))


def test_the_store_of_changed_content_replaces_only_the_old_one_of_its_size(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    for size in (32, 132):
        open_store(folder, size, progress=False)
    (folder / ".store" / "notes-32.npy").touch()
    change_content(folder)
    open_store(folder, 32, progress=False)
    assert {path.name for path in (folder / ".store").glob("*.npy")} == {
        f"{'f' * 16}-32.npy", f"{'0' * 16}-132.npy", "notes-32.npy"
    }  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot delete a file that is mapped")
def test_a_store_in_use_can_be_read_after_it_was_replaced(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    store = open_store(folder, 32, progress=False)
    change_content(folder)
    new = open_store(folder, 32, progress=False)
    assert not Path(store.planes.filename).exists()
    assert np.array_equal(store.read(range(96)), new.read(range(96)))


def test_an_old_store_that_cannot_be_deleted_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "data")
    old = Path(open_store(folder, 32, progress=False).planes.filename)
    change_content(folder)
    delete = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == old:
            raise PermissionError(errno.EACCES, "in use", str(path))
        delete(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    assert len(open_store(folder, 32, progress=False).planes) == 96
    assert old.exists()


def test_a_damaged_picture_is_named_and_leaves_no_store(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    (folder / "images" / "train0" / "3.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"train0.3\.png.*Copy the data set again"):
        open_store(folder, 32, progress=False)
    assert not list((folder / ".store").glob("*.npy"))


@every_damage
def test_a_damaged_store_is_rebuilt_with_a_message(tmp_path: Path, capsys, how: str) -> None:
    folder = write_dataset(tmp_path / "data")
    before = open_store(folder, 32, progress=False).planes.copy()
    path = next((folder / ".store").glob("*.npy"))
    damage(path, how)
    assert np.array_equal(open_store(folder, 32, progress=False).planes, before)
    assert "is damaged or outdated and is made again" in capsys.readouterr().err


def test_a_store_of_another_table_is_rebuilt(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    open_store(folder, 32, progress=False)
    write_records(folder / "metadata.csv", read_records(folder)[:5])
    assert len(open_store(folder, 32, progress=False).planes) == 5


def test_a_picture_with_one_changed_byte_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    damage(folder / "images" / "train0" / "3.png", "middle")
    with pytest.raises(DataError, match=r"train0.3\.png or its mask cannot be read"):
        open_store(folder, 32, progress=False)


def test_a_full_disk_leaves_no_store(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    with small_files(10_000), pytest.raises(StorageError, match="cannot be written"):
        open_store(folder, 32, progress=False)
    assert [path.suffix for path in (folder / ".store").iterdir()] == [".lock"]


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset folder in which nothing may be written, not even by root."""
    folder = write_dataset(tmp_path / "data")
    forbid_writing(monkeypatch, folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def forbid_writing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    make = Path.mkdir

    def mkdir(path: Path, *given: object, **named: object) -> None:
        if folder in path.parents:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        make(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def test_the_store_of_a_read_only_data_set_is_kept_in_the_users_cache(
    read_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store = open_store(read_only, 32, progress=False)
    path = next((tmp_path / "cache" / "brainai" / "stores").rglob("*.npy"))
    assert Path(store.planes.filename) == path
    assert f"is not writable, so its decoded slices are stored in {path}" in capsys.readouterr().err
    made = path.stat().st_mtime_ns
    open_store(read_only, 32, progress=False)
    assert path.stat().st_mtime_ns == made
    assert capsys.readouterr().err == ""
    assert not (read_only / ".store").exists()


def test_two_data_sets_never_share_a_store_in_the_cache(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(read_only, 32, progress=False)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    other = write_dataset(tmp_path / "other")  # has the same content hash, as if made by hand
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(other / read_records(other)[0].file_name)
    forbid_writing(monkeypatch, other)
    assert open_store(other, 32, progress=False).planes[0, 0].max() == 0


def test_an_existing_store_in_a_read_only_data_set_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "data")
    open_store(folder, 32, progress=False)
    forbid_writing(monkeypatch, folder)
    store = open_store(folder, 32, progress=False)
    assert Path(store.planes.filename).parent == folder / ".store"


def test_an_error_names_both_the_data_set_and_the_cache_if_both_are_read_only(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_writing(monkeypatch, tmp_path)
    with pytest.raises(StorageError, match=r"neither .*data.* nor .*cache.* is writable.*XDG"):
        open_store(read_only, 32, progress=False)


@pytest.mark.distributed
def test_two_concurrent_processes_make_one_complete_store(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    code = (
        "import sys; from brainai.data.store import open_store\n"
        "if __name__ == '__main__':\n"
        "    print(int(open_store(sys.argv[1], 32, progress=False).planes[:].sum()))"
    )
    script = tmp_path / "open.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(folder)]
    found = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=found) for _ in range(2)
    ]
    sums = {process.communicate(timeout=120)[0] for process in both}
    assert len(sums) == 1
    assert int(sums.pop()) > 0
    assert [path.suffix for path in (folder / ".store").iterdir() if path.suffix != ".lock"] == [
        ".npy"
    ]
