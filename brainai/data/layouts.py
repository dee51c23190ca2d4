"""Handle folders from archives: files that macOS added, and files that Kaggle made into folders."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from brainai.data.file_names import NIFTI_SUFFIXES

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
MOST = 0.5  # the share of files from which a kind counts as what a folder mostly holds


def visible(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the paths that are not hidden and not added by macOS."""
    return (p for p in paths if not p.name.startswith(".") and "__MACOSX" not in p.parts)


def is_nifti_name(path: Path) -> bool:
    """Return whether a file or folder has the name of a NIfTI file."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def unpacked(path: Path) -> list[Path]:
    """Return the file of this name.

    If Kaggle made it a folder, return the scans in that folder, or the folder if there are none.
    """
    if not path.is_dir():
        return [path]
    scans = (file for file in visible(path.iterdir()) if is_nifti_name(file) and file.is_file())
    return sorted(scans) or [path]


def describe_content(root: Path) -> str:
    """Return a sentence on what a folder of no known source holds and what to do, or ""."""
    kinds = Counter(_kind(path) for path in visible(root.rglob("*")) if path.is_file())
    if kinds[".h5"]:
        return (
            f"It holds .h5 files ({kinds['.h5']}), which are scaled slices without the headers of "
            "their scans. Download the original volumes (for BraTS 2020, BraTS2020_TrainingData "
            "with its .nii files)."
        )
    archives = sum(kinds[suffix] for suffix in ARCHIVES)
    if archives:
        return f"It holds archives ({archives}): unpack them first."
    for kind, count in kinds.most_common(1):
        if count > MOST * kinds.total():
            files = f"{kind} files" if kind else "files without a suffix"
            return f"Most of its {kinds.total()} files are {files}."
    return ""


def _kind(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()
