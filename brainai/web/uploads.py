"""Check the files that visitors and programs send, and offer files that programs get back."""

import contextlib
import functools
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
from gradio import FileData
from gradio.utils import get_upload_folder, is_in_or_equal

from brainai.data.headers import MAX_PIXEL_MM, MIN_PIXEL_MM
from brainai.data.scans import FILES, MAX_FILES
from brainai.errors import DataError
from brainai.web.bodies import paths
from brainai.web.limits import (
    MAX_BATCH_FILES,
    MAX_SCAN_BYTES,
    MAX_SLICE_BYTES,
    MB,
)

Upload: TypeAlias = Mapping[str, Any]
SEND = 'send the file itself, in Python with handle_file("slice.png") of gradio_client'
NO_UPLOAD = f"Expected an uploaded file: {SEND}."


def uploaded(upload: Any, limit: int = MAX_SLICE_BYTES) -> str | None:
    """Return the path of an uploaded file; None if there is no upload.

    Gradio checks only files that a request declares as uploads. A request that names a path in
    another way could read any file of the server, also another visitor's. Folders are refused
    because the folder of uploads holds those of all visitors.

    Args:
        upload: what the request has in the place of a file.
        limit: the largest size in bytes.
    Raises:
        DataError: it is not an uploaded file, or it is too large.
    """
    file = upload.get("path") if isinstance(upload, Mapping) else upload
    if file is None:
        return None
    if not isinstance(file, str) or not is_upload(file):
        raise DataError(f"Expected an uploaded file, found {_kind(file)}: {SEND}.", "no_upload")
    if Path(file).is_dir():
        raise DataError("Expected an uploaded file, found a folder.", "no_upload")
    try:
        size = Path(file).stat().st_size
    except (OSError, ValueError):
        raise DataError("The file is no longer here: send it again.", "no_upload") from None
    if size > limit:
        raise DataError(
            f"The file has {size / MB:.0f} MB: send one of at most {limit // MB} MB.", "too_large"
        )
    return file


def _kind(file: Any) -> str:
    """Return in words what a request has instead of an upload, without quoting it.

    A quoted name could be that of a person.
    """
    if not isinstance(file, str):
        return "something else"
    if file.lower().startswith(("http:", "https:", "data:")):
        return "a URL"
    return "a path of this server" if Path(file).is_absolute() else "a name"


def is_upload(file: str) -> bool:
    """Return whether a path is the folder of uploads, or is inside it."""
    try:
        return is_in_or_equal(file, get_upload_folder())
    except (OSError, ValueError):  # not a path: too long, with NUL or half of a surrogate pair
        return False


def uploads_named(value: Any) -> set[str]:
    """Return the uploads that a JSON value names, as names of their folders."""
    within = [Path(path).parts for path in paths(value) if is_upload(path)]
    depth = len(Path(get_upload_folder()).parts)
    return {parts[depth] for parts in within if len(parts) > depth}


def uploads_in_use(page: gr.Blocks) -> set[str]:
    """Return the uploads that waiting or running requests need."""
    events = list(page._queue.event_ids_to_events.values())
    return {name for event in events if event.data for name in uploads_named(event.data.data)}


def uploaded_slices(uploads: Any) -> tuple[list[str], list[str | DataError]]:
    """Return the names and the paths of many slices.

    A file that cannot be accepted has an error in the place of its path.

    Raises:
        DataError: there are no files, or too many.
    """
    sent = _as_list(uploads)
    if not sent:
        raise DataError("There is no file: send FLAIR slices.", "missing_flair")
    if len(sent) > MAX_BATCH_FILES:
        raise DataError(
            f"Expected at most {MAX_BATCH_FILES} files at once, found {len(sent)}: send fewer.",
            "too_many_files",
        )
    return [_name(upload) for upload in sent], [_path_or_error(upload) for upload in sent]


def uploaded_paths(uploads: Any) -> list[str]:
    """Return the paths of the files of a folder that a visitor chose.

    Gradio's own preprocessing would leave an empty file on the disk for each of them.

    Raises:
        DataError: a file was not uploaded, or is too large.
    """
    paths_sent = (uploaded(upload, MAX_SCAN_BYTES) for upload in _as_list(uploads))
    return [path for path in paths_sent if path is not None]


def _as_list(uploads: Any) -> list:
    """Return a single upload, or several, as a list."""
    if uploads is None:
        return []
    return list(uploads) if isinstance(uploads, list | tuple) else [uploads]


def _name(upload: Any) -> str:
    """Return the name that the sender gave to a file."""
    if not isinstance(upload, Mapping):
        return "file"
    return str(upload.get("orig_name") or Path(str(upload.get("path") or "file")).name)


def _path_or_error(upload: Any) -> str | DataError:
    try:
        return uploaded(upload) or DataError("There is no file.", "missing_flair")
    except DataError as error:
        return error


def pixel_size(pixel_mm: float | str | None) -> float | None:
    """Return the side of a pixel in mm; None if it was not sent.

    Raises:
        DataError: the value is not a number, or is out of range.
    """
    if pixel_mm is None:
        return None
    side = _number(pixel_mm)
    if side is not None and MIN_PIXEL_MM <= side <= MAX_PIXEL_MM:
        return side
    found = "no number" if side is None else f"{side:g}"
    raise DataError(
        f"Expected pixels of {MIN_PIXEL_MM} to {MAX_PIXEL_MM:g} mm, found {found}: give the "
        "side of one pixel in mm, or leave it out.",
        "bad_pixel_size",
    )


def _number(value: Any) -> float | None:
    """Return a number, which a form may have sent as text; None for anything else."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def flag(value: Any, name: str) -> bool:
    """Return a boolean, which a form or a shell may have sent as text.

    Args:
        value: the value that was sent.
        name: the name of the parameter, for the error.
    Raises:
        DataError: the value is neither true nor false.

    >>> flag("yes", "masks")
    True
    """
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on", "false", "0", "no", "off", "none", ""):
        return word in ("true", "1", "yes", "on")
    raise DataError(f"Expected true or false for {name}, found something else.", "bad_request")


@contextlib.contextmanager
def scan_file(uploads: Any) -> Iterator[Path | None]:
    """Return, as a context, the path from which a scan can be read.

    The path is that of a single file, or of a temporary folder with all files of a series; None if
    nothing was sent.

    Raises:
        DataError: a file was not uploaded, or the files are too many or too large.
    """
    sent = _as_list(uploads)
    if len(sent) > MAX_FILES:
        raise DataError(
            f"Expected one series of at most {MAX_FILES} files, found {len(sent)}: send fewer.",
            "too_many_files",
        )
    paths_sent = (uploaded(upload, MAX_SCAN_BYTES) for upload in sent)
    files = [Path(path) for path in paths_sent if path is not None]
    if sum(file.stat().st_size for file in files) > MAX_SCAN_BYTES:
        raise DataError(
            f"Together the files are too large: send at most {MAX_SCAN_BYTES // MB} MB.",
            "too_large",
        )
    if len(files) < 2:
        yield files[0] if files else None
        return
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        # The header of a scan in two files names the other file, which must not be a link.
        in_two = any(file.name.lower().endswith((".mhd", ".hdr", ".hdr.gz")) for file in files)
        for number, file in enumerate(files):
            place = Path(folder) / file.name
            if place.exists():  # two files can have the same name
                suffix = next((s for s in FILES if file.name.lower().endswith(s)), "")
                place = Path(folder) / f"{number:05d}{suffix}"
            shutil.copyfile(file, place) if in_two else place.symlink_to(file)
        yield Path(folder)


def emptied(*uploads: Upload | None) -> list[Any]:
    """Return the value that empties each input.

    An empty input is left alone: setting it to None would count as a change, and the other inputs
    would be judged again.
    """
    return [gr.skip() if upload is None else None for upload in uploads]


def refuse_addresses(page: gr.Blocks) -> None:
    """Keep all components of the page from downloading files from URLs.

    Gradio would load files of any size into memory, before our limits apply.
    """
    for block in page.blocks.values():
        take = getattr(block, "async_move_resource_to_block_cache", None)
        if take is not None:
            block.async_move_resource_to_block_cache = functools.partial(_take_file, take)


async def _take_file(take: Callable[..., Any], file: Any) -> Any:
    if str(file).lower().startswith(("http:", "https:")):
        sentence = f"Expected an uploaded file, found a URL: {SEND}."
        raise gr.Error(sentence, title="no_upload", print_exception=False)
    return await take(file)


def offer(name: str, content: bytes) -> dict[str, Any]:
    """Store a file for the program that asked, at a URL that nobody can guess.

    It is deleted together with old uploads.

    Args:
        name: name of the file.
        content: its bytes.
    Returns:
        The file in the form in which Gradio's clients expect it.
    """
    file = Path(get_upload_folder()) / secrets.token_hex(16) / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return FileData(path=str(file), orig_name=name, size=len(content)).model_dump()
