"""Unpack a zip file that anybody may have sent."""

import errno
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from brainai.errors import DataError

SCAN_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd")
PAIR_SUFFIXES = (".hdr", ".img", ".hdr.gz", ".img.gz")  # of one NIfTI scan in two files
PLAIN_NAME = re.compile(r"\w[\w .,()+=@-]{0,59}")
HIDDEN = re.compile(r"(^|/)(\.[^./]|__MACOSX/)")  # what macOS and git leave beside the files


def unpack(archive: Path, folder: Path, called: str, max_files: int, max_bytes: int) -> None:
    """Unpack a zip file, each of its folders into a numbered one.

    The names of its folders may lead out of ours. Those of its files are kept where they are plain:
    a header names its data by them. Names often hold the patient's, in the errors of zipfile too.
    Sizes are counted as they are written: the archive's own word is worth nothing.

    Args:
        called: what errors call the file.
        max_files, max_bytes: what it may hold.
    Raises:
        DataError: damaged, locked, or it holds more.
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
    except Exception as error:  # damaged archives make zipfile raise many kinds
        raise _refusal(error, called) from None


def _free_name(place: Path, name: str, number: int) -> Path:
    """Return where to put a file: under its name, or one of our own where that is odd or taken."""
    if PLAIN_NAME.fullmatch(name) and not (place / name).exists():
        return place / name
    suffixes = (*SCAN_SUFFIXES, *PAIR_SUFFIXES)
    return place / f"{number:05d}{next((s for s in suffixes if name.lower().endswith(s)), '')}"


def _refusal(error: Exception, called: str) -> DataError:
    """Return why an archive cannot be unpacked."""
    if getattr(error, "errno", None) == errno.ENOSPC:
        return DataError(
            f"{called}: there is no room to unpack the zip file at the moment. Try again later.",
            "full",
        )
    if type(error) is RuntimeError:  # what zipfile raises for want of a password
        return DataError(
            f"{called}: expected a zip file without a password, found a locked one. "
            "Pack the folder without.",
            "unreadable",
        )
    return DataError(
        f"{called}: expected a whole zip file, found one that is damaged or packed in an "
        "unusual way. Pack the folder again.",
        "unreadable",
    )


def _copy(source: IO[bytes], target: Path, room: int, max_bytes: int, called: str) -> int:
    """Write what `source` gives, at most `room` bytes; return how many there were."""
    written = 0
    with target.open("wb") as file:
        while piece := source.read(2**20):
            written += len(piece)
            if written > room:
                raise DataError(
                    f"{called}: expected a zip file that unpacks to at most "
                    f"{max_bytes // 10**6} MB, found more. Bring one series alone.",
                    "too_large",
                )
            file.write(piece)
    return written


def too_many_files(called: str, max_files: int) -> DataError:
    """Return the error for more files than a series has."""
    return DataError(
        f"{called}: expected at most {max_files} files, found more. Bring one series alone.",
        "too_many_files",
    )
