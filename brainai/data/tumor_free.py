"""FLAIR scans of people who are known to have no tumour → `Case`. Names alone are read.

sub-01/ses-02/anat/sub-01_ses-02_FLAIR.nii.gz   BIDS: sub-01 is the patient
msl_test01/msl_test01_flair.nii.gz              a folder of its own: its name is the case's
scans/a.nii, scans/b.mha                        several in one folder: their own names too
patient07/…/IM0001                              DICOM: one examination directly under the root

Where any file says FLAIR, only those that do are scans. Masks of other diseases, as
p1_lesion.nii.gz beside p1_flair.nii.gz, or under derivatives/ of BIDS, belong to the scan.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from brainai.data.cases import Case, safe_name
from brainai.data.identity import tcga_ids
from brainai.data.packed import SCAN_SUFFIXES

ASIDE = ("derivatives", "sourcedata", "code")  # of BIDS: no scans as acquired
SEQUENCE_FOLDERS = ("anat", "flair", "t2f")  # say what lies in them, not whose it is
DICOM_SUFFIXES = ("", ".dcm", ".ima")
SAYS_FLAIR = re.compile(r"flair|(?<![a-z])t2f(?![a-z])", re.IGNORECASE)
MASK = re.compile(r"(?:^|[-_.])(?:mask|lesions?|d?seg|roi)$", re.IGNORECASE)
# What a scan and its masks have after the name that they share. Brain masks keep "desc-brain".
ENDINGS = re.compile(
    r"(?:[-_.]?(?:flair|t2f|space-flair|(?:label|desc)-lesions?|mask|lesions?|d?seg|roi))+$",
    re.IGNORECASE,
)
PERSON = re.compile(
    r"(?<![a-z])(?:sub-[a-z0-9]+|(?:sub|subject|patient|pat)[-_ ]?\d+)", re.IGNORECASE
)
VISIT = re.compile(r"[-_.](?:ses|session|visit|tp)[-_.]?\w*$", re.IGNORECASE)
PERSON_WORDS = ("", "sub", "subject", "patient", "pat")


def tumor_free_cases(root: Path) -> Iterator[Case]:
    """A case for each scan under a folder; what is no scan and no mask is passed over."""
    scans, masks, others = _files(root)
    named = [path for path in scans if _says_flair(path)]
    scans = named or scans
    together = Counter(path.parent for path in scans)
    owned = _by_scan(root, masks)
    for path in scans:
        name = _scan_name(root, path, alone=together[path.parent] == 1)
        lesions = owned[(path.parent, _base(path))] or owned[(None, _base(path))]
        files = (("flair", path), *(("lesions", mask) for mask in lesions))
        yield _case(root, name, path.parent, files)
    for folder, paths in others.items():
        files = tuple((f"dicom {number}", path) for number, path in enumerate(paths))
        yield _case(root, "" if folder == root else folder.name, folder, files)


def _files(root: Path) -> tuple[list[Path], list[Path], dict[Path, list[Path]]]:
    """Volumes, masks, and DICOM files by examination, each sorted."""
    scans, masks, others = [], [], defaultdict(list)
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        aside = parts[0].lower() in ASIDE
        if path.name.lower().endswith(SCAN_SUFFIXES):
            if MASK.search(_stem(path)):
                masks.append(path)
            elif not aside:
                scans.append(path)
        elif not aside and _may_be_dicom(path, beside_root=len(parts) == 1):
            others[root / parts[0] if len(parts) > 1 else root].append(path)
    with_volumes = {root / path.relative_to(root).parts[0] for path in scans}
    return scans, masks, {f: paths for f, paths in others.items() if f not in with_volumes}


def _may_be_dicom(path: Path, beside_root: bool) -> bool:
    """DICOM files often have no suffix, or end in a number; a README beside the folders too."""
    suffix = path.suffix.lower()
    if path.stem.upper() in ("DICOMDIR", "README", "LICENSE", "CHANGES"):
        return False
    if beside_root:
        return suffix in DICOM_SUFFIXES[1:]
    return suffix in DICOM_SUFFIXES or suffix[1:].isdigit()


def _by_scan(root: Path, masks: list[Path]) -> dict[tuple[Path | None, str], list[Path]]:
    """Masks by folder and shared name; those under derivatives/ by their name alone."""
    owned = defaultdict(list)
    for path in masks:
        aside = path.relative_to(root).parts[0].lower() in ASIDE
        if not aside or _base(path):  # a mere mask.nii there could be anybody's
            owned[(None if aside else path.parent, _base(path))].append(path)
    return owned


def _case(root: Path, name: str, folder: Path, files: tuple[tuple[str, Path], ...]) -> Case:
    full = "_".join(part for part in (root.name, name) if part)
    person = _person(name)
    return Case(
        case_id=safe_name(full),
        source="tumor-free",
        site=_site(person),
        # A number counts within one root only: sub-01 of another set is somebody else.
        names=tcga_ids(name)
        or (safe_name("_".join(part for part in (root.name, person) if part)),),
        folder=folder,
        files=files,
    )


def _scan_name(root: Path, path: Path, alone: bool) -> str:
    """What a scan is called: by BIDS its file, else its folders, with its file where needed."""
    stem = ENDINGS.sub("", _stem(path))
    if stem.lower().startswith("sub-"):
        return stem
    folders = [
        part for part in path.relative_to(root).parent.parts if part.lower() not in SEQUENCE_FOLDERS
    ]
    if alone and folders:
        return "_".join(folders)
    return "_".join([*folders, stem or _stem(path)])


def _person(name: str) -> str:
    match = PERSON.search(name)
    return name[: match.end()] if match else VISIT.sub("", name)


def _site(person: str) -> str:
    word = re.match(r"(?:sub-)?([A-Za-z]*)", person)[1]
    return "unknown" if word.lower() in PERSON_WORDS else word


def _says_flair(path: Path) -> bool:
    return bool(SAYS_FLAIR.search(_stem(path))) or path.parent.name.lower() in ("flair", "t2f")


def _base(path: Path) -> str:
    return ENDINGS.sub("", _stem(path)).lower()


def _stem(path: Path) -> str:
    suffix = next(s for s in reversed(SCAN_SUFFIXES) if path.name.lower().endswith(s))
    return path.name[: -len(suffix)]
