"""Files that visitors and programs send: which are taken, and how they are handed on; files that
programs get back."""

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

from brainai.data.scans import FILES, MAX_FILES
from brainai.errors import DataError
from brainai.web.bodies import paths
from brainai.web.limits import (
    MAX_PIXEL_MM,
    MAX_SCAN_BYTES,
    MAX_SLICE_BYTES,
    MAX_SLICES,
    MB,
    MIN_PIXEL_MM,
)

Upload: TypeAlias = Mapping[str, Any]
SEND = 'send the file itself, from Python as handle_file("slice.png") of gradio_client'
NO_UPLOAD = f"Expected an uploaded file: {SEND}."


def uploaded(upload: Any, limit: int = MAX_SLICE_BYTES) -> str | None:
    """The file of an upload, or None.

    Raises:
        DataError: it is none, or larger than `limit` bytes. Gradio checks only what calls itself an
            upload; a request that names a file without doing so would have any file of the server
            read, another visitor's too. A folder is no upload: below the folder of all uploads lie
            those of everybody.
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
            f"The file has {size / MB:.0f} MB: bring one of at most {limit // MB} MB.", "too_large"
        )
    return file


def _kind(file: Any) -> str:
    """What stands in the place of an upload; never quoted, since it may name a person."""
    if not isinstance(file, str):
        return "something else"
    if file.lower().startswith(("http:", "https:", "data:")):
        return "an address"
    return "a path of this server" if Path(file).is_absolute() else "a name"


def is_upload(file: str) -> bool:
    """Whether a file would lie in the folder of uploads, or is that folder."""
    try:
        return is_in_or_equal(file, get_upload_folder())
    except (OSError, ValueError):  # no path at all: too long, NUL, half a character
        return False


def uploads_named(value: Any) -> set[str]:
    """Which uploads a JSON value names: the folders that lie in the folder of all uploads."""
    within = [Path(path).parts for path in paths(value) if is_upload(path)]
    depth = len(Path(get_upload_folder()).parts)
    return {parts[depth] for parts in within if len(parts) > depth}


def uploads_in_use(page: gr.Blocks) -> set[str]:
    """The uploads that requests need which wait in the queue or are worked on."""
    events = list(page._queue.event_ids_to_events.values())
    return {name for event in events if event.data for name in uploads_named(event.data.data)}


def uploaded_slices(uploads: Any) -> tuple[list[str], list[str | DataError]]:
    """The files of many slices: names and files, with its error in the place of one that cannot be
    taken.

    Raises:
        DataError: none, or too many.
    """
    given = _as_list(uploads)
    if not given:
        raise DataError("There is no file: bring FLAIR slices.", "missing_flair")
    if len(given) > MAX_SLICES:
        raise DataError(
            f"These are {len(given)} files: bring at most {MAX_SLICES} at once.",
            "too_many_files",
        )
    return [_name(upload) for upload in given], [_taken(upload) for upload in given]


def _as_list(uploads: Any) -> list:
    """One file or a list of them, as a list."""
    if uploads is None:
        return []
    return list(uploads) if isinstance(uploads, list | tuple) else [uploads]


def _name(upload: Any) -> str:
    """The name of a file as its sender knows it."""
    if not isinstance(upload, Mapping):
        return "file"
    return str(upload.get("orig_name") or Path(str(upload.get("path") or "file")).name)


def _taken(upload: Any) -> str | DataError:
    try:
        return uploaded(upload) or DataError("There is no file.", "missing_flair")
    except DataError as error:
        return error


def pixel_size(pixel_mm: float | str | None) -> float | None:
    """The side of a pixel in mm, where one is given.

    Raises:
        DataError: no such pixel can be.
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
    """Return a number, also one that a form sent as text; None for anything else."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def flag(value: Any, name: str) -> bool:
    """A switch, also one that a form or a shell sent as text.

    Raises:
        DataError: it is neither on nor off.
    """
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on", "false", "0", "no", "off", "none", ""):
        return word in ("true", "1", "yes", "on")
    raise DataError(f"Expected true or false for {name}, found something else.", "bad_request")


@contextlib.contextmanager
def scan_file(uploads: Any) -> Iterator[Path | None]:
    """Where a scan can be read from: the one file sent, or a folder that holds all files of a
    series for as long as it is read; None if nothing was sent.

    Raises:
        DataError: too many or too large files, or one that is no upload.
    """
    given = _as_list(uploads)
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
        # The header of a scan in two files names the other one, which may be no link.
        in_two = any(file.name.lower().endswith((".mhd", ".hdr", ".hdr.gz")) for file in files)
        for number, file in enumerate(files):
            place = Path(folder) / file.name
            if place.exists():  # names may occur twice
                suffix = next((s for s in FILES if file.name.lower().endswith(s)), "")
                place = Path(folder) / f"{number:05d}{suffix}"
            shutil.copyfile(file, place) if in_two else place.symlink_to(file)
        yield Path(folder)


def emptied(*held: Upload | None) -> list[Any]:
    """Nothing, for each of some inputs. An empty one is left alone: told to be empty it would count
    as changed, and have the rest judged once more."""
    return [gr.skip() if upload is None else None for upload in held]


def refuse_addresses(page: gr.Blocks) -> None:
    """Have no part of the page fetch a file from elsewhere: Gradio would, into memory and of any
    size, before any limit of ours."""
    for block in page.blocks.values():
        take = getattr(block, "async_move_resource_to_block_cache", None)
        if take is not None:
            block.async_move_resource_to_block_cache = functools.partial(_take_file, take)


async def _take_file(take: Callable[..., Any], file: Any) -> Any:
    if str(file).lower().startswith(("http:", "https:")):
        sentence = f"Expected an uploaded file, found an address: {SEND}."
        raise gr.Error(sentence, title="no_upload", print_exception=False)
    return await take(file)


def offer(name: str, content: bytes) -> dict[str, Any]:
    """A file for the program that asked, under an address that nobody can guess; deleted with the
    uploads."""
    file = Path(get_upload_folder()) / secrets.token_hex(16) / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return FileData(path=str(file), orig_name=name, size=len(content)).model_dump()
