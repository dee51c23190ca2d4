"""Read a scan as a `Volume`, in any of the forms in which people have one.

These are a NIfTI or MetaImage file, a folder with such a file or with a DICOM series, and a zip
file of these. Files are opened in child processes (`reader_pool`), because they may come from
untrusted sources.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainai.data.file_names import PAIR_SUFFIXES, SAYS_FLAIR, SCAN_SUFFIXES
from brainai.data.headers import single_slice
from brainai.data.kinds import (
    DICOM,
    GZIP,
    PICTURES,
    VOLUMES,
    ZIP,
    first_bytes,
    kind_of,
    no_scan,
)
from brainai.data.packed import too_many_files
from brainai.data.reader_pool import SCAN, ask, ask_array
from brainai.data.volumes import Volume
from brainai.errors import DataError

FILES = (*SCAN_SUFFIXES, *PAIR_SUFFIXES)
MAX_FILES = 5000
MAX_UNPACKED_BYTES = 1_000_000_000
MAX_NAMED = 6  # files that an error message names
EXPECTED = "a NIfTI or MetaImage file, the folder of a DICOM series, or a zip file of it"


def is_scan(path: str | Path) -> bool:
    """Return whether a path is to be read as a scan and not as a slice.

    That is so for a folder, for a name that a scan can have, and for files whose first bytes show
    another known kind than a picture or DICOM. A single DICOM file may be a slice.
    """
    path = Path(path)
    if path.is_dir() or path.name.lower().endswith((*FILES, ".zip")):
        return True
    kind = kind_of(first_bytes(path))
    return kind is not None and kind not in (DICOM, *PICTURES)


def read_scan(
    path: str | Path,
    called: str = "scan",
    expect_flair: bool = False,
    allow_companion: bool = True,
) -> Volume:
    """Read one scan as a volume in LPS orientation.

    Args:
        path: a file, a folder or a zip file.
        called: the name of the scan in error messages, such as "FLAIR". Messages give no path and
            quote no header, so that anybody may see them. If a folder holds several scans, they
            name the files.
        expect_flair: whether to use the scan named as FLAIR if a folder holds several.
        allow_companion: whether a MetaImage header may name a data file in the same folder. Use
            False for single files from untrusted sources. In folders and zip files it is always
            allowed, because all of their files were sent.
    Raises:
        DataError: this is not a scan, or it cannot be read. The message may be shown to visitors.

    Example:
        >>> volume = read_scan("examples/tumor_scan_flair.nii.gz", "FLAIR")
        >>> len(volume.spacing_mm)
        3
    """
    volume = _read(Path(path), called, expect_flair, allow_companion)
    if min(volume.voxels.shape) < 2:
        raise single_slice(volume.voxels.shape, called)
    return volume


def _read(path: Path, called: str, expect_flair: bool, allow_companion: bool) -> Volume:
    name = path.name.lower()
    if os.path.isdir(path):
        return _read_folder(path, called, expect_flair)
    if not os.path.isfile(path):  # False for impossible names, where Path would raise
        raise DataError(f"{called}: expected {EXPECTED}, found no file or folder of this name.")
    begin = first_bytes(path)
    kind = kind_of(begin)
    if name.endswith(".zip") and (not kind or begin.startswith(b"PK")):
        return _read_zip(path, called, expect_flair)
    if kind == DICOM or name.endswith(".dcm"):
        return _ask("series", called, {"paths": [_absolute(path)], "expect_flair": False})
    if name.endswith(FILES) or kind in VOLUMES or begin.startswith(GZIP):
        where = {"path": _absolute(path), "allow_companion": allow_companion}
        return _ask("volume", called, where)
    if begin.startswith(ZIP):
        return _read_zip(path, called, expect_flair)
    raise no_scan(called, begin, EXPECTED, "a file of another kind")


def _read_zip(path: Path, called: str, expect_flair: bool) -> Volume:
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        where = {"archive": _absolute(path), "folder": folder, "called": called}
        limits = {"max_files": MAX_FILES, "max_bytes": MAX_UNPACKED_BYTES}
        ask("unpacked", SCAN, called, where | limits)
        return _read_folder(Path(folder), called, expect_flair)


def _read_folder(folder: Path, called: str, expect_flair: bool) -> Volume:
    """Read the DICOM series of a folder, or the one file that is a scan by itself."""
    paths = []
    for path in folder.rglob("*"):
        if path.is_file() and not _is_hidden(path.relative_to(folder)):
            paths.append(path)
        if len(paths) > MAX_FILES:
            raise too_many_files(called, MAX_FILES)
    paths.sort()
    scans = [path for path in paths if _is_whole_scan(path)]
    kinds = [kind_of(first_bytes(path)) for path in paths if not _is_whole_scan(path)]
    if scans and DICOM not in kinds:
        chosen = _choose(scans, called, expect_flair)
        volume = _ask("volume", called, {"path": _absolute(chosen), "allow_companion": True})
        note = f"Used the only one of {len(scans)} scans that is named as FLAIR."
        return replace(volume, note=f"{note} {volume.note}".strip()) if scans[1:] else volume
    if not paths:
        raise DataError(
            f"{called}: expected {EXPECTED}, found an empty folder. Provide the scan itself.",
            "unreadable",
        )
    if DICOM not in kinds and all(kinds):
        raise no_scan(called, first_bytes(paths[0]), EXPECTED, "")
    arguments = {"paths": [_absolute(path) for path in paths], "expect_flair": expect_flair}
    return _ask("series", called, arguments)


def _is_hidden(path: Path) -> bool:
    """Return whether a file is hidden or added by macOS, and so not part of the scan."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _is_whole_scan(path: Path) -> bool:
    """Return whether a file is a scan by itself. Of a pair of files the header counts."""
    return path.name.lower().endswith((*SCAN_SUFFIXES, ".hdr", ".hdr.gz"))


def _choose(scans: Sequence[Path], called: str, expect_flair: bool) -> Path:
    flair = [path for path in scans if SAYS_FLAIR.search(path.name)]
    wanted = flair if expect_flair and len(flair) == 1 else scans
    if len(wanted) == 1:
        return wanted[0]
    named = ", ".join(path.name for path in scans[:MAX_NAMED])
    raise DataError(
        f"{called}: expected one scan, found {len(scans)} NIfTI or MetaImage files and cannot tell "
        f"which one to use: {named}{', …' if scans[MAX_NAMED:] else ''}. Provide the scan as a "
        "single file."
    )


def _ask(task: str, called: str, arguments: dict[str, Any]) -> Volume:
    """Read a volume in a child process."""
    fields, voxels = ask_array(task, SCAN, called, arguments | {"called": called})
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
    return Volume(voxels.transpose(2, 1, 0), **fields)


def _absolute(path: Path) -> str:
    return str(path.absolute())
