"""Write files and folders completely or not at all, without importing torch.

A file is written under a hidden name in the same folder, flushed to the disk, and renamed. After a
kill, a full disk or a power cut there is therefore the old file or the new one, never a part of it.
"""

import errno
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from brainai.errors import StorageError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def write_aside(path: Path, older: Path | None = None, suffix: str = "") -> Iterator[Path]:
    """Yield a hidden path to write, which replaces `path` if the block succeeds.

    If the block fails, `path` stays as it was and the unfinished file is removed.

    Args:
        older: a path under which to keep the file that is replaced.
        suffix: suffix of the hidden path, for libraries that choose the format by it.
    Raises:
        StorageError: the disk is full, or the folder cannot be written to.
    """
    partial = path.with_name(f".{path.name}.partial{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial)
        if older is not None and path.exists():
            os.replace(path, older)
        os.replace(partial, path)
        _flush(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def write_whole(path: Path, older: Path | None = None) -> Iterator[BinaryIO]:
    """Open a binary file for writing with `write_aside`."""
    with write_aside(path, older) as partial, partial.open("wb") as file:
        yield file


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file with `write_whole`."""
    with write_whole(path) as file:
        file.write(text.encode())


def null_for_nan(value: Any) -> Any:
    """Return a value for JSON with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [null_for_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def write_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which replaces `folder` if the block succeeds.

    If it fails, `folder` stays as it was. After a kill, the former folder may be under its hidden
    name; the next call puts it back first.

    Raises:
        StorageError: the disk is full, or the parent folder cannot be written to.
    """
    partial, old = (folder.with_name(f".{folder.name}.{end}") for end in ("partial", "old"))
    try:
        _put_back(old, folder)
        for left_behind in (partial, old):
            shutil.rmtree(left_behind, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for path in [*partial.rglob("*"), partial]:
            _flush(path)
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
        _flush(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        with suppress(OSError):
            _put_back(old, folder)
        shutil.rmtree(partial, ignore_errors=True)


def _put_back(old: Path, folder: Path) -> None:
    """Rename the former folder back if a new one did not take its place."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)


def storage_error(error: Exception, path: Path | None) -> StorageError:
    """Return the error that says what to do about a file that cannot be written or read.

    Args:
        error: an `OSError`, or an error of a library that quotes the number of one.
        path: the file or folder; None if it is unknown.
    """
    quoted = re.search(r"os error (\d+)", str(error))
    number = getattr(error, "errno", None) or (int(quoted[1]) if quoted else None)
    name, place = ("A file", "") if path is None else (path, f" in {path.parent}")
    reason = os.strerror(number) if number else (str(error) or type(error).__name__).splitlines()[0]
    if number in NO_ROOM:
        advice = f"Free some space{place} and run the command again."
    elif number == errno.EFBIG:
        advice = "Raise the limit on file sizes (see `ulimit -f`) and run the command again."
    elif number in NOT_ALLOWED:
        advice = "Change its permissions, or choose another folder."
    else:
        advice = "Check the disk and run the command again."
    return StorageError(f"{name} cannot be written or read ({reason}). {advice}")


def _flush(path: Path) -> None:
    """Flush a file, or the list of files in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot flush a folder
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
