"""Whatever a person has of a scan → `Volume`: a NIfTI or MetaImage file, the folder of a DICOM
series, or a zip file of one.

Files are opened in child processes (`reader_pool`): strangers may have written them.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from brainai.data.dicom_structure import is_dicom
from brainai.data.kinds import first_bytes
from brainai.data.packed import SCAN_SUFFIXES, too_many_files
from brainai.data.reader_pool import SCAN, ask
from brainai.data.volumes import Volume
from brainai.errors import DataError

FILES = SCAN_SUFFIXES
MAX_FILES = 5000
MAX_UNPACKED_BYTES = 1_000_000_000
EXPECTED = "a NIfTI or MetaImage file, the folder of a DICOM series, or a zip file of it"


def is_scan(path: str | Path) -> bool:
    """True for a folder or a name that a scan can have: what is none may be a slice, as a picture
    or as one DICOM file."""
    path = Path(path)
    return path.is_dir() or path.name.lower().endswith((*FILES, ".zip"))


def read_scan(
    path: str | Path,
    called: str = "scan",
    expect_flair: bool = False,
    allow_companion: bool = True,
) -> Volume:
    """Read one scan as a volume in LPS orientation.

    Args:
        called: what errors call the scan, such as "FLAIR": they name no path and quote no header,
            so that they can be shown to anybody.
        expect_flair: among several DICOM series, take the one that calls itself FLAIR.
        allow_companion: whether a MetaImage header may name a data file of the same folder; not
            for files that strangers send.
    Raises:
        DataError: it is none, or cannot be judged; the message is fit for a visitor.
    """
    path = Path(path)
    name = path.name.lower()
    if os.path.isdir(path):
        return _read_folder(path, called, expect_flair)
    if not os.path.isfile(path):  # False for impossible names, where Path would raise
        raise DataError(f"{called}: expected {EXPECTED}, found nothing at the place named.")
    if name.endswith(FILES):
        where = {"path": _absolute(path), "allow_companion": allow_companion}
        return _ask("volume", called, where)
    if name.endswith(".zip"):
        with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
            where = {"archive": _absolute(path), "folder": folder, "called": called}
            limits = {"max_files": MAX_FILES, "max_bytes": MAX_UNPACKED_BYTES}
            ask("unpacked", SCAN, called, where | limits)
            return _read_folder(Path(folder), called, expect_flair)
    if name.endswith(".dcm") or is_dicom(first_bytes(path)):
        return _ask("series", called, {"paths": [_absolute(path)], "expect_flair": False})
    raise DataError(f"{called}: expected {EXPECTED}, found a file of another kind.", "unreadable")


def _read_folder(folder: Path, called: str, expect_flair: bool) -> Volume:
    paths = []
    for path in folder.rglob("*"):
        if path.is_file():
            paths.append(path)
        if len(paths) > MAX_FILES:
            raise too_many_files(called, MAX_FILES)
    others = sum(path.name.lower().endswith(FILES) for path in paths)
    if others and others == len(paths):
        raise DataError(
            f"{called}: expected the files of a DICOM series, found {others} of NIfTI or "
            "MetaImage. Bring the one file itself."
        )
    absolute = [_absolute(path) for path in sorted(paths)]
    return _ask("series", called, {"paths": absolute, "expect_flair": expect_flair})


def _ask(task: str, called: str, arguments: dict[str, Any]) -> Volume:
    """Have a child read a volume."""
    place, voxels = ask(task, SCAN, called, arguments | {"called": called})
    fixed = {key: tuple(v) if isinstance(v, list) else v for key, v in place.items()}
    return Volume(voxels.transpose(2, 1, 0), **fixed)


def _absolute(path: Path) -> str:
    return str(path.absolute())
