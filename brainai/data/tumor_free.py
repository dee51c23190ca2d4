"""Find FLAIR scans of people who are known to have no tumor, by names of files and folders.

sub-01/ses-02/anat/sub-01_ses-02_FLAIR.nii.gz   BIDS: sub-01 is the patient
msl_test01/msl_test01_flair.nii.gz              one scan in a folder: the folder names the case
anna/a.nii, anna/b.mha                          several scans in a folder: files name them too
patient07/…/IM0001                              DICOM: one examination per folder under the root
spots_01.png, ms/b.jpg                          single slices, if the root holds no scans

If any name contains FLAIR, only files with such names are scans. Masks of other diseases, such as
p1_lesion.nii.gz beside p1_flair.nii.gz or a mask under derivatives/ of BIDS, belong to the scan.
Brain masks are ignored. A scan together with a processed copy of it, such as
p1_flair_stripped.nii.gz, is an error.

A name such as sub-01 or patient07 anywhere in the path is the patient. Otherwise all files in one
folder directly under the root belong to one patient, so each site's folder must be a root of its
own. For a file directly under the root, the part of the name before FLAIR counts. A visit at the
end of a name is removed: _v2, _ses-2, and also _02 or _20240131 if another number remains, as in
training01_02 but not in ms_02. Joining two people costs a little data, whereas taking one person
for two would leak from train to test.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from brainai.data.cases import Case, safe_name
from brainai.data.file_names import SAYS_FLAIR, SCAN_SUFFIXES
from brainai.data.identity import tcga_ids
from brainai.data.picture_sources import find_pictures, picture_names
from brainai.errors import DataError

ASIDE = ("derivatives", "sourcedata", "code")  # BIDS folders without scans as acquired
SEQUENCE_FOLDERS = ("anat", "flair", "t2f")  # their names tell the content, not the patient
DICOM_SUFFIXES = ("", ".dcm", ".ima")
MASK = re.compile(r"(?:mask|(?<![a-z])(?:lesions?|d?seg|roi|gt))(?:[-_]?\d+)?$", re.IGNORECASE)
BRAIN_MASK = re.compile(r"brain[-_.]?mask(?:[-_]?\d+)?$", re.IGNORECASE)
# The ending of a scan's name after the part that it shares with its masks.
FLAIR_ENDING = re.compile(r"(?:[-_.]?(?:space-)?(?:flair|t2f))+$", re.IGNORECASE)
# The same ending of a mask's name.
MASK_ENDING = re.compile(
    r"(?:[-_.]?(?:(?:space-)?(?:flair|t2f)|(?:label|desc)-lesions?"
    r"|(?:mask|lesions?|d?seg|roi)(?:[-_]?\d+)?)|(?:^|[-_.])(?:consensus|gt(?:[-_]?\d+)?))+$",
    re.IGNORECASE,
)
PERSON = re.compile(
    r"(?<![a-z])(?:sub-[a-z0-9]+|(?:sub|subject|patient|pat)[-_ ]?\d+)", re.IGNORECASE
)
VISIT = re.compile(
    r"[-_.](?:(?:ses|session|visit|tp)[-_.]?\w*|(?:study|fu|t|v)[-_.]?\d+)$", re.IGNORECASE
)
# Longer numbers that are not dates belong to the person, as in 002_S_0295.
VISIT_NUMBER = re.compile(r"(\d.*?)(?:[-_](?:\d{1,2}|\d{8}|\d{4}-\d\d-\d\d))+$")
PIXELS = ("flair", "picture")  # roles of the files with the pixels of a case
PERSON_WORDS = ("", "sub", "subject", "patient", "pat")


def tumor_free_cases(root: Path) -> Iterator[Case]:
    """Yield the cases of `flair_cases`, or a case for each picture if there are none.

    Raises:
        DataError: there is a scan or a picture of BraTS among them, or a scan and a copy of it.
    """
    cases = list(flair_cases(root)) or list(_single_slices(root))
    _check_no_brats([path for case in cases for role, path in case.files if role in PIXELS])
    yield from cases


def flair_cases(root: Path) -> Iterator[Case]:
    """Yield a case for each scan under a folder. Files other than scans and masks are ignored."""
    scans, masks, others = _files(root)
    named = [path for path in scans if _says_flair(path)]
    scans = named or scans
    _check_none_derived(scans)
    together = Counter(path.parent for path in scans)
    masks_by_name = _masks_by_name(root, masks)
    for path in scans:
        name = _scan_name(root, path, alone=together[path.parent] == 1)
        base = _base(path)
        lesions = masks_by_name[(path.parent, base)] or masks_by_name[(None, base)]
        files = (("flair", path), *(("lesions", mask) for mask in lesions))
        person = _person(name, _folders(root, path))
        yield _case(root, name, person, path.parent, files)
    for folder, paths in others.items():
        files = tuple((f"dicom {number}", path) for number, path in enumerate(paths))
        name = "" if folder == root else folder.name
        yield _case(root, name, _person(name, [name]), folder, files)


def _single_slices(root: Path) -> Iterator[Case]:
    """Yield a case for each picture under a folder that is not a mask."""
    pictures = [path for path in find_pictures(root) if not MASK.search(path.stem)]
    for path, name in picture_names(root, root, pictures).items():
        person = _person(path.stem, _folders(root, path))
        case = _case(root, name, person, path.parent, (("picture", path),))
        yield replace(case, case_id=name)


def _check_no_brats(scans: list[Path]) -> None:
    """Raise DataError for a scan of BraTS.

    If its patients counted as tumor-free, a network would learn to miss tumors.
    """
    found = next((path for path in scans if path.name.lower().startswith("brats")), None)
    if found:
        raise DataError(
            f"{found}: expected a scan of a person without a tumor, found a scan of BraTS, whose "
            "patients have tumors. Use --source brats."
        )


def _check_none_derived(scans: list[Path]) -> None:
    """Raise DataError if a scan lies beside a processed copy of it, such as one without the skull.

    A copy has the name of the scan with an addition that is not a visit.
    """
    folders = defaultdict(list)
    for path in scans:
        folders[path.parent].append(path)
    for folder, paths in folders.items():
        for scan in sorted(paths, key=lambda path: len(_stem(path))):
            copies = [path for path in paths if path != scan and _is_derived(path, scan)]
            if copies:
                names = ", ".join(path.name for path in (scan, *copies))
                raise DataError(
                    f"{folder}: expected one FLAIR scan per person and visit, found {names}. "
                    "Keep one of them, or rename them if they show different people."
                )


def _is_derived(path: Path, scan: Path) -> bool:
    stem, start = _stem(path).lower(), _stem(scan).lower()
    if not stem.startswith(start):
        return False
    more = stem[len(start) :]
    if VISIT.fullmatch(more) or re.fullmatch(r"[-_.]?\d+", more):
        return False
    return not more or more[0] in "-_." or start.endswith("flair")


def _files(root: Path) -> tuple[list[Path], list[Path], dict[Path, list[Path]]]:
    """Return volumes, masks without brain masks, and DICOM files by examination, each sorted."""
    scans, masks, others = [], [], defaultdict(list)
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        aside = parts[0].lower() in ASIDE
        if path.name.lower().endswith(SCAN_SUFFIXES):
            if BRAIN_MASK.search(_stem(path)):
                continue
            if MASK.search(_stem(path)):
                masks.append(path)
            elif not aside:
                scans.append(path)
        elif not aside and _may_be_dicom(path, beside_root=len(parts) == 1):
            others[root / parts[0] if len(parts) > 1 else root].append(path)
    with_volumes = {root / path.relative_to(root).parts[0] for path in scans}
    return scans, masks, {f: paths for f, paths in others.items() if f not in with_volumes}


def _may_be_dicom(path: Path, beside_root: bool) -> bool:
    """Return whether a file may be DICOM, by its name.

    DICOM files often have no suffix or a number as suffix. Directly under the root only .dcm and
    .ima count, because other files, such as a README, may lie there.
    """
    suffix = path.suffix.lower()
    if path.stem.upper() in ("DICOMDIR", "README", "LICENSE", "CHANGES"):
        return False
    if beside_root:
        return suffix in DICOM_SUFFIXES[1:]
    return suffix in DICOM_SUFFIXES or suffix[1:].isdigit()


def _masks_by_name(root: Path, masks: list[Path]) -> dict[tuple[Path | None, str], list[Path]]:
    """Group masks by folder and the name shared with a scan; under derivatives/ by name alone."""
    groups = defaultdict(list)
    for path in masks:
        aside = path.relative_to(root).parts[0].lower() in ASIDE
        if not aside or _base(path):  # a file mask.nii there could belong to any scan
            groups[(None if aside else path.parent, _base(path))].append(path)
    return groups


def _case(
    root: Path, name: str, person: str, folder: Path, files: tuple[tuple[str, Path], ...]
) -> Case:
    full = "_".join(part for part in (root.name, name) if part)
    return Case(
        case_id=safe_name(full),
        source="tumor-free",
        site=_site(person),
        # The root is part of the name, because sub-01 of another data set is another person.
        names=tcga_ids(name)
        or (safe_name("_".join(part for part in (root.name, person) if part)),),
        folder=folder,
        files=files,
    )


def _scan_name(root: Path, path: Path, alone: bool) -> str:
    """Return a scan's name: its file's in BIDS, else its folders' and, if needed, its file's."""
    stem = FLAIR_ENDING.sub("", _stem(path))
    if stem.lower().startswith("sub-"):
        return stem
    folders = _folders(root, path)
    if alone and folders:
        return "_".join(folders)
    return "_".join([*folders, stem or _stem(path)])


def _folders(root: Path, path: Path) -> list[str]:
    parts = path.relative_to(root).parent.parts
    return [part for part in parts if part.lower() not in SEQUENCE_FOLDERS]


def _person(name: str, folders: list[str]) -> str:
    """Return the person of a scan with this name in these folders under the root."""
    if match := PERSON.search(name):
        return name[: match.end()]
    person = folders[0] if folders else name
    person = SAYS_FLAIR.split(person, maxsplit=1)[0].rstrip("-_. ") or person
    return VISIT_NUMBER.sub(r"\1", VISIT.sub("", person))


def _site(person: str) -> str:
    word = re.split(r"[^A-Za-z]", person.removeprefix("sub-"), maxsplit=1)[0]
    return "unknown" if word.lower() in PERSON_WORDS else word


def _says_flair(path: Path) -> bool:
    return bool(SAYS_FLAIR.search(_stem(path))) or path.parent.name.lower() in ("flair", "t2f")


def _base(path: Path) -> str:
    ending = MASK_ENDING if MASK.search(_stem(path)) else FLAIR_ENDING
    return ending.sub("", _stem(path)).lower()


def _stem(path: Path) -> str:
    suffix = next(s for s in reversed(SCAN_SUFFIXES) if path.name.lower().endswith(s))
    return path.name[: -len(suffix)]
