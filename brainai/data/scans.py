"""Whatever a person has of a scan → `Volume`: a NIfTI or MetaImage file, the folder of a DICOM
series, or a zip file of one.
"""

import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from brainai.data.dicom import read_series
from brainai.data.volumes import Volume, read_volume
from brainai.errors import DataError

FILES = (".nii", ".nii.gz", ".mha", ".mhd")
MAX_FILES = 5000
MAX_UNPACKED_BYTES = 1_000_000_000
EXPECTED = "a NIfTI or MetaImage file, the folder of a DICOM series, or a zip file of it"


def is_scan(path: str | Path) -> bool:
    """True for a folder or a name that a scan can have: what is none may be a picture."""
    path = Path(path)
    return path.is_dir() or path.name.lower().endswith((*FILES, ".zip", ".dcm"))


def read_scan(path: str | Path, called: str = "scan", expect_flair: bool = False) -> Volume:
    """One scan as a volume in LPS orientation.

    Args:
        called: what errors call the scan, such as "FLAIR": they name no path and quote no header,
            so that they can be shown to anybody.
        expect_flair: among several DICOM series, take the one that calls itself FLAIR.
    Raises:
        DataError: it is none, or cannot be judged; the message is fit for a visitor.
    """
    path = Path(path)
    name = path.name.lower()
    if path.is_dir():
        return _read_folder(path, called, expect_flair)
    if not path.is_file():
        raise DataError(f"{called}: expected {EXPECTED}, found nothing at the place named.")
    if name.endswith(FILES):
        return read_volume(path, called)
    if name.endswith(".zip"):
        with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
            _unpack(path, Path(folder), called)
            return _read_folder(Path(folder), called, expect_flair)
    if name.endswith(".dcm"):
        return read_series([path], called)
    raise DataError(f"{called}: expected {EXPECTED}, found a file of another kind.", "unreadable")


def _read_folder(folder: Path, called: str, expect_flair: bool) -> Volume:
    paths = []
    for path in folder.rglob("*"):
        if path.is_file():
            paths.append(path)
        if len(paths) > MAX_FILES:
            raise _too_many(called)
    others = sum(path.name.lower().endswith(FILES) for path in paths)
    if others and others == len(paths):
        raise DataError(
            f"{called}: expected the files of a DICOM series, found {others} of NIfTI or "
            "MetaImage. Bring the one file itself."
        )
    return read_series(sorted(paths), called, expect_flair)


def _unpack(archive: Path, folder: Path, called: str) -> None:
    """Unpack a zip file under names of our own.

    The names inside may lead out of the folder, and often hold the patient's, in the errors of
    zipfile too. Sizes are counted as they are written: the archive's own word is worth nothing.
    """
    room = MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise _too_many(called)
            for number, member in enumerate(members):
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile
                suffix = next((s for s in FILES if member.filename.lower().endswith(s)), "")
                with packed.open(member) as source:
                    room -= _copy(source, folder / f"{number:05d}{suffix}", room, called)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, IndexError):
        raise DataError(
            f"{called}: expected a whole zip file, found one that is damaged or packed in an "
            "unusual way. Pack the folder again.",
            "unreadable",
        ) from None
    except RuntimeError:  # what zipfile raises for want of a password
        raise DataError(
            f"{called}: expected a zip file without a password, found a locked one. "
            "Pack the folder without.",
            "unreadable",
        ) from None


def _copy(source: IO[bytes], target: Path, room: int, called: str) -> int:
    """Write what `source` gives, at most `room` bytes; how many there were."""
    written = 0
    with target.open("wb") as file:
        while piece := source.read(2**20):
            written += len(piece)
            if written > room:
                raise DataError(
                    f"{called}: expected a zip file that unpacks to at most "
                    f"{MAX_UNPACKED_BYTES // 10**6} MB, found more. Bring one series alone.",
                    "too_large",
                )
            file.write(piece)
    return written


def _too_many(called: str) -> DataError:
    return DataError(
        f"{called}: expected at most {MAX_FILES} files, found more. Bring one series alone.",
        "too_many_files",
    )
