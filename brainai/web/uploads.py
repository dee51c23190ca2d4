"""Files that visitors and programs send: which are taken, and how they are handed on; files that
programs get back."""

import contextlib
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
from gradio import FileData
from gradio.utils import get_upload_folder, is_in_or_equal

from brainai.data.scans import FILES, MAX_FILES
from brainai.errors import DataError
from brainai.web.limits import (
    MAX_PIXEL_MM,
    MAX_SCAN_BYTES,
    MAX_SLICE_BYTES,
    MAX_SLICES,
    MB,
    MIN_PIXEL_MM,
)

SCAN_SUFFIXES = [".nii", ".gz", ".mha", ".mhd", ".zip", ".dcm"]  # Gradio compares the last one

Upload: TypeAlias = Mapping[str, Any]


def uploaded(upload: Upload | None, limit: int = MAX_SLICE_BYTES) -> str | None:
    """The file of an upload, or None.

    Raises:
        DataError: it is none, or larger than `limit` bytes. Gradio checks only what calls itself an
            upload; a request that names a file without doing so would have any file of the server
            read, another visitor's too.
    """
    file = upload.get("path") if isinstance(upload, Mapping) else upload
    if file is None:
        return None
    if not isinstance(file, str) or not is_in_or_equal(file, get_upload_folder()):
        raise DataError("Expected an uploaded file: send the file itself.", "no_upload")
    try:
        size = Path(file).stat().st_size
    except OSError:
        raise DataError("The file is no longer here: send it again.", "no_upload") from None
    if size > limit:
        raise DataError(
            f"The file has {size / MB:.0f} MB: bring one of at most {limit // MB} MB.", "too_large"
        )
    return file


def uploaded_slices(uploads: Sequence[Upload] | None) -> list[str | DataError]:
    """The files of many slices, and in its place the error of one that cannot be taken.

    Raises:
        DataError: none, or too many.
    """
    if not uploads:
        raise DataError("There is no file: bring FLAIR slices.", "missing_flair")
    if len(uploads) > MAX_SLICES:
        raise DataError(
            f"These are {len(uploads)} files: bring at most {MAX_SLICES} at once.",
            "too_many_files",
        )
    return [_taken(upload) for upload in uploads]


def shown_name(upload: Upload) -> str:
    """The name of a file as its sender knows it."""
    return str(upload.get("orig_name") or Path(upload.get("path") or "file").name)


def _taken(upload: Upload) -> str | DataError:
    try:
        return uploaded(upload) or DataError("There is no file.", "missing_flair")
    except DataError as error:
        return error


def pixel_size(pixel_mm: float | None) -> float | None:
    """The side of a pixel in mm, where one is given.

    Raises:
        DataError: no such pixel can be.
    """
    if pixel_mm is None:
        return None
    if isinstance(pixel_mm, int | float) and MIN_PIXEL_MM <= pixel_mm <= MAX_PIXEL_MM:
        return float(pixel_mm)
    raise DataError(
        f"Expected pixels of {MIN_PIXEL_MM} to {MAX_PIXEL_MM:g} mm, found {pixel_mm}: give the "
        "side of one pixel in mm, or leave it out.",
        "bad_pixel_size",
    )


@contextlib.contextmanager
def scan_file(uploads: Upload | Sequence[Upload] | None) -> Iterator[Path | None]:
    """Where a scan can be read from: the one file sent, or a folder that holds all files of a
    series for as long as it is read; None if nothing was sent.

    Raises:
        DataError: too many or too large files, or one that is no upload.
    """
    given = [uploads] if isinstance(uploads, Mapping) else list(uploads or [])
    if len(given) > MAX_FILES:
        raise DataError(
            f"These are {len(given)} files: bring one series, of at most {MAX_FILES}.",
            "too_many_files",
        )
    files = [Path(file) for one in given if (file := uploaded(one, MAX_SCAN_BYTES)) is not None]
    if sum(file.stat().st_size for file in files) > MAX_SCAN_BYTES:
        raise DataError(
            f"Together the files are too large: bring at most {MAX_SCAN_BYTES // MB} MB.",
            "too_large",
        )
    if len(files) < 2:
        yield files[0] if files else None
        return
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        for number, file in enumerate(files):  # names of our own: theirs may occur twice
            suffix = next((s for s in FILES if file.name.lower().endswith(s)), "")
            (Path(folder) / f"{number:05d}{suffix}").symlink_to(file)
        yield Path(folder)


def forget_later(page: gr.Blocks, files: Iterable[str | Path | DataError | None]) -> None:
    """Have files deleted with the uploads that came otherwise, as pictures for an MCP tool do.
    No folders: those of a series go when they are read, and Gradio deletes files only."""
    paths = (Path(file) for file in files if isinstance(file, str | Path))
    page.upload_file_set.update(str(path) for path in paths if path.is_file())


def offer(page: gr.Blocks, name: str, content: bytes) -> dict[str, Any]:
    """A file for the program that asked, under an address that nobody can guess; deleted with the
    uploads."""
    file = Path(get_upload_folder()) / secrets.token_hex(16) / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    page.upload_file_set.add(str(file))
    return FileData(path=str(file), orig_name=name, size=len(content)).model_dump()
