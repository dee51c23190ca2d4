"""The releases of BraTS: how studies are named, and which labels are tumor.

Names and labels changed over the years (Menze et al. 2015; Bakas et al. 2017, 2018; Baid et al.
2021; de Verdier et al. 2024), so the labels of the whole tumor are looked up here by release. Not
every label above 0 is tumor.

The Medical Segmentation Decathlon (Antonelli et al. 2022) renamed studies of 2016 and 2017:

Task01_BrainTumour/imagesTr/BRATS_001.nii.gz   FLAIR, T1, T1c and T2 in one file
Task01_BrainTumour/labelsTr/BRATS_001.nii.gz
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from brainai.data.file_names import NIFTI_SUFFIXES
from brainai.data.layouts import is_nifti_name, unpacked, visible


@dataclass(frozen=True)
class Release:
    """The meaning of the numbers in a segmentation. Any other number except 0 is an error.

    tumor: labels of tumor.
    other: known labels that are not tumor.
    witness: a label that must be present for `other` to be accepted, if names alone do not tell
        the release; else None.
    """

    name: str
    tumor: tuple[int, ...]
    other: tuple[int, ...] = ()
    witness: int | None = None

    def known(self, labels: Iterable[float]) -> tuple[int, ...]:
        """Return the labels that are allowed in a segmentation which has `labels`."""
        accepts_other = self.witness is None or self.witness in set(labels)
        return (0, *self.tumor, *(self.other if accepts_other else ()))


# necrosis 1, edema 2, non-enhancing 3, enhancing 4
BRATS_2013 = Release("BraTS 2013-2015", tumor=(1, 2, 3, 4))
# core 1, edema 2, enhancing 4
BRATS_2017 = Release("BraTS 2017-2021", tumor=(1, 2, 4))
# core 1, edema 2, enhancing 3
BRATS_2023 = Release("BraTS 2023", tumor=(1, 2, 3))
# as in 2023, and resection cavity 4, which is not tumor
BRATS_2024 = Release("BraTS 2024 and later", tumor=(1, 2, 3), other=(4,))
# names with dashes do not tell the year, and 4 without 3 may be the enhancing tumor of 2017
BRATS_DASHED = Release("BraTS 2023 and later", tumor=(1, 2, 3), other=(4,), witness=3)
# children: enhancing 1, non-enhancing 2, cyst 3, edema 4
BRATS_PED = Release("BraTS-PED", tumor=(1, 2, 3, 4))
# edema 1, non-enhancing 2, enhancing 3
DECATHLON_ORDER = ("flair", "t1", "t1c", "t2")  # of the volumes in a file
DECATHLON = Release("the Medical Segmentation Decathlon", tumor=(1, 2, 3))

_METAIMAGE = re.compile(r"VSD\..*\.(MR_Flair|MR_T1c|MR_T2|OT)\..*(mha|mhd)", re.IGNORECASE)
_NIFTI = re.compile(r"(.*)([-_])(flair|t2f|t1ce|t1c|t2w|t2|seg|segm)\.nii(\.gz)?", re.IGNORECASE)
_ROLES = {
    "mr_flair": "flair", "flair": "flair", "t2f": "flair",
    "mr_t1c": "t1c", "t1ce": "t1c", "t1c": "t1c",
    "mr_t2": "t2", "t2": "t2", "t2w": "t2",
    "ot": "seg", "seg": "seg", "segm": "seg",
}  # fmt: skip
_DECATHLON = re.compile(r"(BRATS_\d+)\.nii(\.gz)?", re.IGNORECASE)
_CASE_FOLDER = re.compile(r"brats.*\d", re.IGNORECASE)
_GRADE = re.compile(r"(HG|LG)G?", re.IGNORECASE)


@dataclass(frozen=True)
class StudyFiles:
    """One BraTS case folder: its name, path, files by role, and release."""

    name: str
    folder: Path
    files: tuple[tuple[str, Path], ...]
    release: Release


def find_studies(root: Path) -> Iterator[StudyFiles]:
    """Yield all studies anywhere under a folder. A role with two files is in `files` twice."""
    metaimages: defaultdict[Path, list[tuple[str, Path]]] = defaultdict(list)
    niftis: defaultdict[Path, list[tuple[str, str, Path]]] = defaultdict(list)
    for path in sorted(visible(root.rglob("*"))):
        if path.parent != root and is_nifti_name(path.parent):
            continue  # read with its folder, which has the name of a file
        if match := _METAIMAGE.fullmatch(path.name):
            metaimages[_metaimage_folder(path)].append((_ROLES[match[1].lower()], path))
        elif match := _NIFTI.fullmatch(path.name):
            role, separator = _ROLES[match[3].lower()], match[2]
            niftis[path.parent] += [(role, separator, file) for file in unpacked(path)]
        elif path.parent.name == "imagesTr" and (match := _DECATHLON.fullmatch(path.name)):
            yield _decathlon_study(match[1], path)
        elif _CASE_FOLDER.match(path.name) and _is_empty_folder(path):
            niftis[path] = []  # an incomplete copy, which is reported as a bad case
    for folder, files in metaimages.items():
        yield StudyFiles(_metaimage_name(folder), folder, tuple(files), BRATS_2013)
    for folder, entries in niftis.items():
        roles = tuple((role, path) for role, _, path in entries)
        dashed = [separator for _, separator, _ in entries].count("-") > len(entries) / 2
        yield StudyFiles(folder.name, folder, roles, release_of(folder.name, dashed))


def _decathlon_study(name: str, path: Path) -> StudyFiles:
    labels = (path.parents[1] / "labelsTr" / f"{name}{suffix}" for suffix in NIFTI_SUFFIXES)
    files = [("sequences", file) for file in unpacked(path)]
    files += [("seg", file) for label in labels if label.exists() for file in unpacked(label)]
    return StudyFiles(name, path.parents[1], tuple(files), DECATHLON)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not is_nifti_name(path) and not any(path.iterdir())


def release_of(name: str, dashed: bool) -> Release:
    """Return the release of a NIfTI study by its name and the names of its files.

    Time points of gliomas (GLI) from 100 on belong to 2024 and later.

    Args:
        name: name of the study, such as "BraTS2021_00000".
        dashed: whether files end in -seg, as from 2023 on, instead of _seg.

    Example:
        >>> release_of("BraTS-GLI-00006-101", dashed=True).name
        'BraTS 2024 and later'
    """
    if re.match(r"BraTS-PED", name, re.IGNORECASE):
        return BRATS_PED
    if match := re.fullmatch(r"BraTS-GLI-\d+-(\d+)", name, re.IGNORECASE):
        return BRATS_2024 if int(match[1]) >= 100 else BRATS_2023
    return BRATS_DASHED if dashed or re.match(r"BraTS-", name, re.IGNORECASE) else BRATS_2017


def _metaimage_folder(path: Path) -> Path:
    """Return the folder of a study. In 2013 and 2015 each sequence has its own folder inside it."""
    return path.parent.parent if path.parent.name.upper().startswith("VSD") else path.parent


def _metaimage_name(folder: Path) -> str:
    """Return the study's name with its grade, because HG/0001 and LG/0001 are two persons."""
    if _GRADE.fullmatch(folder.parent.name):
        return f"{folder.parent.name.upper()}_{folder.name}"
    return folder.name


def person_name(study: str) -> str:
    """Return a name of the person that is the same in all releases, as far as names tell.

    The names of 2017 to 2019 differ only in their first word and in a number after TCIA. 2015 has
    the same TCIA numbers. BraTS-GLI-00006-000 is BraTS2021_00006, where 000 is the time point. 2020
    renumbered all persons; its name_mapping.csv is a file for --same-patient.

    Example:
        >>> person_name("BraTS2021_00006"), person_name("BraTS-GLI-00006-000")
        ('BraTS-GLI-00006', 'BraTS-GLI-00006')
    """
    if match := re.fullmatch(r"BraTS(?:17|18|19)_(\w+?)_(\w+)_\d+", study, re.IGNORECASE):
        return f"Brats_{_site(match[1])}_{match[2]}"
    if match := re.fullmatch(r"(?:[HL]GG?_)?brats_tcia_pat(\d+)_\d+", study, re.IGNORECASE):
        return f"Brats_TCIA_{int(match[1])}"
    pattern = r"([HL]G)G?_(?:brats_2013_pat)?(\d+)(?:_\d+)?"
    if match := re.fullmatch(pattern, study, re.IGNORECASE):
        return f"Brats_2013_{match[1].upper()}G_{int(match[2])}"
    if match := re.fullmatch(r"BraTS2021_(\d+)", study, re.IGNORECASE):
        return f"BraTS-GLI-{match[1]}"
    if match := re.fullmatch(r"(BraTS-[A-Za-z-]+-\d{4,})(?:-\d+)?", study, re.IGNORECASE):
        return match[1]
    return study


def site_name(study: str) -> str:
    """Return the site of a study if its name tells it: CBICA, TCIA01, 2013, TMC, else "unknown"."""
    if match := re.fullmatch(r"BraTS(?:17|18|19)_([A-Za-z0-9]+)_\w+", study, re.IGNORECASE):
        return match[1].upper()
    if re.search(r"brats_tcia_pat", study, re.IGNORECASE):
        return "TCIA"
    if person_name(study).startswith("Brats_2013_"):
        return "2013"
    return "unknown"


def _site(word: str) -> str:
    return "TCIA" if word.upper().startswith("TCIA") else word.upper()
