"""Folders as they come out of archives: what macOS left in them, and what Kaggle made of files."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

NIFTI_SUFFIXES = (".nii", ".nii.gz")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
MOST = 0.5  # of the files under a folder: what it is said to hold


def visible(paths: Iterable[Path]) -> Iterator[Path]:
    """Without hidden files, such as those that macOS leaves beside its copies and in archives."""
    return (p for p in paths if not p.name.startswith(".") and "__MACOSX" not in p.parts)


def is_nifti_name(path: Path) -> bool:
    """Whether a file or folder is called as a NIfTI file is."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def unpacked(path: Path) -> list[Path]:
    """The file of this name. Where Kaggle made a folder of it: the scans in it, else the folder."""
    if not path.is_dir():
        return [path]
    found = (file for file in visible(path.iterdir()) if is_nifti_name(file) and file.is_file())
    return sorted(found) or [path]


def holds(root: Path) -> str:
    """What a folder holds where no source knows its files: a sentence with the way out, or ""."""
    kinds = Counter(_kind(path) for path in visible(root.rglob("*")) if path.is_file())
    if kinds[".h5"]:
        return (
            f"It holds .h5 files ({kinds['.h5']}): scaled slices without the headers of their "
            "scans. Get the volumes that they were cut from (for BraTS 2020, "
            "BraTS2020_TrainingData with its .nii files)."
        )
    archives = sum(kinds[suffix] for suffix in ARCHIVES)
    if archives:
        return f"It holds packed files ({archives}): unpack them first."
    for kind, count in kinds.most_common(1):
        if count > MOST * kinds.total():
            return f"Most of its {kinds.total()} files are {kind or 'without suffix'}."
    return ""


def _kind(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()
