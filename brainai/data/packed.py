"""Unpack zip files from untrusted sources."""

import errno
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from brainai.data.file_names import PAIR_SUFFIXES, SCAN_SUFFIXES
from brainai.errors import DataError

PLAIN_NAME = re.compile(r"\w[\w .,()+=@-]{0,59}")
HIDDEN = re.compile(r"(^|/)(\.[^./]|__MACOSX/)")  # files that macOS and git add


def unpack(archive: Path, folder: Path, called: str, max_files: int, max_bytes: int) -> None:
    """Unpack a zip file, each of its folders into a numbered folder.

    Names of folders are not used, because they could lead out of `folder`. Plain names of files are
    kept, because a MetaImage header refers to its data file by name. Errors of zipfile are not
    chained, because names often contain the patient's. Bytes are counted while they are written,
    because the sizes that an archive states cannot be trusted.

    Args:
        archive: the zip file.
        folder: an existing folder to unpack into.
        called: the name of the file in error messages.
        max_files, max_bytes: the most files and bytes that the archive may hold.
    Raises:
        DataError: the zip file is damaged, has a password, or holds more than allowed.
    """
    room = max_bytes
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if len(members) > max_files:
                raise too_many_files(called, max_files)
            places: dict[PurePosixPath, Path] = {}
            for number, member in enumerate(members):
                if HIDDEN.search(member.filename):
                    continue
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile
                inside = PurePosixPath(member.filename)
                place = places.setdefault(inside.parent, folder / f"{len(places):05d}")
                place.mkdir(exist_ok=True)
                with packed.open(member) as source:
                    target = _free_name(place, inside.name, number)
                    room -= _copy(source, target, room, max_bytes, called)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zipfile raises many types on damaged archives
        raise _refusal(error, called) from None


def _free_name(place: Path, name: str, number: int) -> Path:
    """Return the path for a file: its own name if that is plain and free, else its number."""
    if PLAIN_NAME.fullmatch(name) and not (place / name).exists():
        return place / name
    suffixes = (*SCAN_SUFFIXES, *PAIR_SUFFIXES)
    return place / f"{number:05d}{next((s for s in suffixes if name.lower().endswith(s)), '')}"


def _refusal(error: Exception, called: str) -> DataError:
    """Return why an archive cannot be unpacked."""
    if getattr(error, "errno", None) == errno.ENOSPC:
        return DataError(
            f"{called}: there is not enough disk space to unpack the zip file at the moment. Try "
            "again later.",
            "full",
        )
    if type(error) is RuntimeError:  # raised by zipfile if a password is needed
        return DataError(
            f"{called}: expected a zip file without a password, found one that is encrypted. "
            "Create the zip file again without a password.",
            "unreadable",
        )
    return DataError(
        f"{called}: expected a complete zip file, found one that is damaged or uses an "
        "unsupported compression. Create the zip file again.",
        "unreadable",
    )


def _copy(source: IO[bytes], target: Path, room: int, max_bytes: int, called: str) -> int:
    """Copy at most `room` bytes from `source` and return their number."""
    written = 0
    with target.open("wb") as file:
        while piece := source.read(2**20):
            written += len(piece)
            if written > room:
                raise DataError(
                    f"{called}: expected a zip file that unpacks to at most "
                    f"{max_bytes // 10**6} MB, found more. Provide only one series.",
                    "too_large",
                )
            file.write(piece)
    return written


def too_many_files(called: str, max_files: int) -> DataError:
    """Return the error for more files than a series has."""
    return DataError(
        f"{called}: expected at most {max_files} files, found more. Provide only one series.",
        "too_many_files",
    )
