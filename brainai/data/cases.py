"""A case, which is a study before its files are read, and a study with its pixels."""

import filecmp
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainai.data.file_names import as_text
from brainai.data.releases import Release
from brainai.errors import DataError


@dataclass(frozen=True)
class Case:
    """One study of one patient whose files have not been read yet.

    case_id: unique within a data set, and the name of the case's folders there.
    source: the kind of source, one of `sources.SOURCES`.
    site: where it was scanned, or "unknown".
    names: ids of its person according to names of files and folders. The first is the main one.
    folder: where the case lies, for messages.
    files: the files by role: volumes "flair", "t1c", "t2", "seg" (tumor), "lesions" (of other
        diseases), or several "sequences" in one file; files of a series "dicom 7"; pictures
        "slice 7" and "mask 7", or "picture" and "mask".
    release: the release of a BraTS study, else None.
    label: the label of a picture in a class folder, else None.
    """

    case_id: str
    source: str
    site: str
    names: tuple[str, ...]
    folder: Path
    files: tuple[tuple[str, Path], ...]
    release: Release | None = None
    label: int | None = None

    def file(self, role: str) -> Path | None:
        """Return the file of one role, or None if there is none."""
        return dict(self.files).get(role)

    def the_file(self, role: str) -> Path:
        """Return the file of a role that the case has for certain."""
        return dict(self.files)[role]


@dataclass(frozen=True)
class Study:
    """The pixels of one case.

    modalities: the sequences that are present, always with "flair".
    sequences: one array `[slices, H, W]` per modality, of any number type, as scanned.
    masks: `[slices, H, W]` bool, True in the whole tumor; None if no tumor was outlined.
    pixel_area_mm2: area of a pixel; 0 if unknown.
    names: further ids of the person from inside the files.
    lesions: `[slices, H, W]` bool, True where tissue is bright but not tumor; None if it was not
        outlined.
    slice_step_mm: distance of neighboring slices; 0 if unknown.
    """

    modalities: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    masks: np.ndarray | None
    pixel_area_mm2: float
    names: tuple[str, ...] = ()
    lesions: np.ndarray | None = None
    slice_step_mm: float = 0.0

    def slices(self) -> Iterator[tuple[int, tuple[np.ndarray, ...], np.ndarray | None]]:
        """Yield the index, the planes `[H, W]` per modality and the mask `[H, W]` of each slice."""
        for index in range(len(self.sequences[0])):
            planes = tuple(sequence[index] for sequence in self.sequences)
            yield index, planes, None if self.masks is None else self.masks[index]


def check_once(case: Case) -> None:
    """Raise DataError if a role has two files, because it is unclear which one counts."""
    roles = [role for role, _ in case.files]
    twice = sorted(role for role in set(roles) if roles.count(role) > 1)
    if twice:
        names = ", ".join(path.name for role, path in case.files if role == twice[0])
        raise DataError(
            f"{case.folder}: expected one file for {twice[0]}, found {names}. Keep only one."
        )


def check_not_flat(pixels: np.ndarray, path: Path) -> None:
    """Raise DataError if all pixels or voxels, in an array of any shape, have the same value."""
    if pixels.min() == pixels.max():
        raise DataError(
            f"{path}: expected a scan, found the same value, {pixels.flat[0]}, everywhere within "
            "FLAIR. Copy the file again, or leave it out."
        )


def safe_name(name: str) -> str:
    """Return a name that is valid as a folder and in a URL on every system.

    Example:
        >>> safe_name("Müller, A.")
        'M_ller_A'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", as_text(name)).strip("._") or "case"


def same_content(one: Case, other: Case) -> bool:
    """Return whether two cases hold the same files, byte for byte, in the same roles."""
    if [role for role, _ in one.files] != [role for role, _ in other.files]:
        return False
    pairs = zip(one.files, other.files, strict=True)
    try:
        return all(filecmp.cmp(first, second, shallow=False) for (_, first), (_, second) in pairs)
    except OSError:  # a file cannot be read, which is reported when the case is read
        return False
