"""Writing: whole or not at all, also on a full disk."""

import errno
import math
import os
from pathlib import Path

import pytest
from faults import listing, small_files

from brainai.data.files import null_for_nan, storage_error, write_folder, write_text, write_whole
from brainai.errors import StorageError


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_text(path, "old")
    with pytest.raises(KeyError), write_whole(path) as file:
        file.write(b"ne")
        raise KeyError
    assert listing(tmp_path) == {"config.json": b"old"}


def test_a_full_disk_raises_a_one_sentence_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_text(path, "old")
    with (
        small_files(1000),
        pytest.raises(StorageError, match=r"config\.json cannot be written.*ulimit"),
    ):
        write_text(path, "x" * 1001)
    assert listing(tmp_path) == {"config.json": b"old"}


def test_a_file_is_flushed_before_it_is_renamed(tmp_path: Path, monkeypatch) -> None:
    done = []
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("flush"), flush(number)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), rename(*names)))
    write_text(tmp_path / "config.json", "text")
    assert done[:2] == ["flush", "rename"]


def test_the_previous_file_is_replaced_only_when_the_new_one_is_complete(tmp_path: Path) -> None:
    new, older = tmp_path / "last", tmp_path / "previous"
    for content in (b"1", b"2"):
        with write_whole(new, older=older) as file:
            file.write(content)
    assert listing(tmp_path) == {"last": b"2", "previous": b"1"}
    with small_files(100), pytest.raises(StorageError), write_whole(new, older=older) as file:
        file.write(bytes(101))
    assert listing(tmp_path) == {"last": b"2", "previous": b"1"}


def test_numbers_that_json_lacks_become_null() -> None:
    value = {"a": [math.nan, 0.5, (-math.inf, 2)], "b": "nan", "c": {"d": math.inf}}
    assert null_for_nan(value) == {"a": [None, 0.5, [None, 2]], "b": "nan", "c": {"d": None}}


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name in ("a", "b"):
        with write_folder(folder) as partial:
            (partial / name).write_text(name)
    assert listing(tmp_path) == {"model/b": b"b"}
    with pytest.raises(StorageError, match="the command again"), write_folder(folder) as partial:
        (partial / "c").write_text("c")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert listing(tmp_path) == {"model/b": b"b"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for left in (".model.partial", ".model.old"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "half").touch()
    with write_folder(tmp_path / "model") as partial:
        (partial / "a").touch()
    assert listing(tmp_path) == {"model/a": b""}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_a_kill_left_under_its_hidden_name_survives_a_failed_write(
    tmp_path: Path,
) -> None:
    for left, content in ((".model.old", "old"), (".model.partial", "new")):
        (tmp_path / left).mkdir()
        (tmp_path / left / "a").write_text(content)
    with pytest.raises(KeyError), write_folder(tmp_path / "model"):
        raise KeyError
    assert listing(tmp_path) == {"model/a": b"old"}


def test_the_old_folder_is_put_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = tmp_path / "model", os.replace
    folder.mkdir()
    (folder / "a").write_text("old")

    def fail_for_partial(source: Path, target: Path) -> None:
        if source.name == ".model.partial":
            raise PermissionError(errno.EACCES, "in use", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail_for_partial)
    with pytest.raises(StorageError, match="model cannot be written"), write_folder(folder):
        pass
    assert listing(tmp_path) == {"model/a": b"old"}


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "full"), "Free some space in run"),
        (OSError(errno.EDQUOT, "quota"), "Free some space in run"),
        (OSError(errno.EROFS, "read-only"), "choose another folder"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "Free some space"),
        (OSError("no number"), r"\(no number\)"),
    ],
)
def test_the_advice_fits_the_error(error: Exception, advice: str) -> None:
    with pytest.raises(StorageError, match=advice):
        raise storage_error(error, Path("run/last.pt"))


def test_an_unknown_file_is_not_named() -> None:
    told = str(storage_error(OSError(errno.ENOSPC, "full"), None))
    assert told.startswith("A file cannot be written")
    assert "None" not in told
