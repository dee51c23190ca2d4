"""A case before it is opened, a study after."""

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
    """One study of one patient, not opened yet.

    case_id: unique in a data set; the name of its folders there.
    names: ids of its person, as its names tell; the first is the patient's own.
    folder: where it lies, for messages.
    files: what to read, by role: volumes "flair", "t1c", "t2", "seg" (tumor), "lesions" (of other
        diseases), or several "sequences" in one file; files of a series "dicom 7"; pictures
        "slice 7" and "mask 7", or "picture" and "mask".
    release: of a BraTS study, else None.
    label: of a picture in a class folder, else None.
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
        """The file of one role, None where there is none."""
        return dict(self.files).get(role)


@dataclass(frozen=True)
class Study:
    """The pixels of one case.

    sequences: one array `[slices, H, W]` per modality, any number type, as scanned.
    masks: `[slices, H, W]` bool, True in whole tumor; None where no outline was drawn.
    names: further ids of the person, found inside the files.
    lesions: `[slices, H, W]` bool, True where it is bright and no tumor; None where not outlined.
    slice_step_mm: distance of neighboring slices; 0 where unknown.
    """

    modalities: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    masks: np.ndarray | None
    pixel_area_mm2: float
    names: tuple[str, ...] = ()
    lesions: np.ndarray | None = None
    slice_step_mm: float = 0.0

    def slices(self) -> Iterator[tuple[int, tuple[np.ndarray, ...], np.ndarray | None]]:
        """Index, planes `[H, W]` of the modalities, and mask `[H, W]` of every slice."""
        for index in range(len(self.sequences[0])):
            planes = tuple(sequence[index] for sequence in self.sequences)
            yield index, planes, None if self.masks is None else self.masks[index]


def check_once(case: Case) -> None:
    """Raises DataError where a role stands twice: which file counts is not told."""
    roles = [role for role, _ in case.files]
    twice = sorted(role for role in set(roles) if roles.count(role) > 1)
    if twice:
        names = ", ".join(path.name for role, path in case.files if role == twice[0])
        raise DataError(f"{case.folder}: expected one file of {twice[0]}, found {names}. Keep one.")


def check_not_flat(pixels: np.ndarray, path: Path) -> None:
    """Raises DataError where all pixels or voxels, of any shape, have one value."""
    if pixels.min() == pixels.max():
        raise DataError(
            f"{path}: expected a scan, found one value, {pixels.flat[0]}, everywhere "
            "(where FLAIR is). Copy it again, or leave the file out."
        )


def safe_name(name: str) -> str:
    """A name that can be a folder and an address everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", as_text(name)).strip("._") or "case"


def same_content(one: Case, other: Case) -> bool:
    """Whether two cases hold the same files, byte for byte, in the same roles."""
    if [role for role, _ in one.files] != [role for role, _ in other.files]:
        return False
    pairs = zip(one.files, other.files, strict=True)
    try:
        return all(filecmp.cmp(mine, theirs, shallow=False) for (_, mine), (_, theirs) in pairs)
    except OSError:  # one cannot be read, which is told where it is
        return False
