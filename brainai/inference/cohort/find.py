"""Which scans there are: a BIDS data set, a folder of files, DICOM studies, or a table of paths.

Names of files and folders alone are read; nothing is opened but a table.

sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz     BIDS; T1w with ce- is T1c, T2w is T2
p7/p7_flair.nii.gz, p7/p7_t1ce.nii.gz           a folder of NIfTI or MetaImage
patient/study/series/IM0001                     DICOM: a study is a folder of series
scans.csv: flair, and t1c, t2, name if wanted   paths relative to the table, or absolute
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from brainai.data.cases import Case, safe_name
from brainai.data.dataset import MODALITIES
from brainai.data.layouts import visible
from brainai.data.packed import SCAN_SUFFIXES
from brainai.data.tumor_free import FLAIR_ENDING, SAYS_FLAIR, flair_cases
from brainai.errors import DataError

BIDS_NAME = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*")
BIDS_FLAIR = "sub-*/**/anat/sub-*_FLAIR.nii*"
OTHER_WORDS = {  # in place of the word FLAIR, as BraTS and others name the files of a study
    "t1c": ("t1ce", "t1c", "t1gd", "t1post", "t1w_post"),
    "t2": ("t2w", "t2"),
}
MAX_LABEL = 60  # letters: file names have an end


@dataclass(frozen=True)
class Scan:
    """One scan to judge, not opened yet.

    name: unique in a cohort, of the form of BIDS such as "sub-01_ses-1"; names its files.
    files: modality and path, FLAIR first; relative to the cohort's root where it lies under it.
    """

    name: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cohort:
    """root: what relative paths start from; bids: whether it is a BIDS data set."""

    root: Path
    scans: tuple[Scan, ...]
    bids: bool = False


def find_scans(place: Path) -> Cohort:
    """All scans of a folder or table, sorted by name.

    Raises:
        DataError: no such place, nothing in it, or a table without the column flair.
    """
    bids = False
    if place.is_file() and place.suffix.lower() == ".csv":
        root, scans = place.parent, list(_listed(place))
    elif place.is_dir():
        root, scans = place, list(_of_bids(place))
        bids = bool(scans)
        scans = scans or list(_of_folder(place))
    else:
        raise DataError(f"--scans {place}: expected a folder, or a .csv of paths, found neither.")
    if not scans:
        raise DataError(
            f"--scans {place}: expected FLAIR scans (BIDS, NIfTI, MetaImage or DICOM), found none. "
            "A .csv with a column flair names them where their names do not tell."
        )
    return Cohort(root, tuple(sorted(_unique(scans), key=lambda scan: scan.name)), bids)


def _of_bids(root: Path) -> Iterator[Scan]:
    # .nii.gz goes before .nii, of which it is a copy.
    flairs = {path.name.split(".")[0]: path for path in sorted(visible(root.glob(BIDS_FLAIR)))}
    for stem, path in flairs.items():
        name = stem.removesuffix("_FLAIR")
        if not BIDS_NAME.fullmatch(name):
            continue
        others = {m: _of_same_session(path, m) for m in ("t1c", "t2")}
        yield _scan(root, name, {"flair": path, **others})


def _of_same_session(flair: Path, modality: str) -> Path | None:
    """T1c or T2 beside a FLAIR: the only one, else the one that shares most entities with it."""
    suffix = "T1w" if modality == "t1c" else "T2w"
    own = _entities(flair)
    shared: dict[int, list[Path]] = {}
    for path in sorted(visible(flair.parent.glob(f"*_{suffix}.nii*"))):
        entities = _entities(path)
        if modality == "t1c" and not any(entity.startswith("ce-") for entity in entities):
            continue
        shared.setdefault(len(own & entities), []).append(path)
    best = shared[max(shared)] if shared else []
    return best[0] if len({path.name.split(".")[0] for path in best}) == 1 else None


def _entities(path: Path) -> set[str]:
    return set(path.name.split("_")[:-1])


def _of_folder(root: Path) -> Iterator[Scan]:
    for case in flair_cases(root):
        flair = case.file("flair")
        if flair is None:
            yield from _dicom_studies(root, case)
            continue
        name = case.case_id.removeprefix(f"{safe_name(root.name)}_")
        others = {m: _sibling(flair, words) for m, words in OTHER_WORDS.items()}
        yield _scan(root, f"sub-{_label(name)}", {"flair": flair, **others})


def _dicom_studies(root: Path, case: Case) -> Iterator[Scan]:
    """A study is the folder above its series, or the folder itself where it is directly under the
    root; which series is FLAIR is told by the headers, later."""
    leaves = {path.parent for _, path in case.files}
    studies = {leaf if leaf in (root, case.folder) else leaf.parent for leaf in leaves}
    # What lies in another study's folder is part of it.
    for study in sorted(s for s in studies if not any(p in studies for p in s.parents)):
        parts = study.relative_to(root).parts or (root.name,)
        yield _scan(root, f"sub-{_label('_'.join(parts))}", {"flair": study})


def _sibling(flair: Path, words: Iterable[str]) -> Path | None:
    """The file whose name has one of these words where FLAIR's has "flair"."""
    stem = flair.name[: -len(_suffix(flair))]
    found = list(SAYS_FLAIR.finditer(stem))
    if not found:
        return None
    start, end = found[-1].span()
    wanted = {f"{stem[:start]}{word}{stem[end:]}".lower() for word in words}
    files = {path.name: path for path in visible(flair.parent.iterdir()) if _suffix(path)}
    same = [path for n, path in files.items() if n[: -len(_suffix(path))].lower() in wanted]
    return same[0] if len(same) == 1 else None


def _listed(table: Path) -> Iterator[Scan]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if "flair" not in (reader.fieldnames or ()):
                raise DataError(
                    f"--scans {table}: expected a column flair (and t1c, t2, name if wanted), "
                    f"found {', '.join(reader.fieldnames or ()) or 'an empty file'}."
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"--scans {table}: expected a table in UTF-8, found another file."
        ) from error
    for number, row in enumerate(rows, 2):
        if not row["flair"]:
            raise DataError(
                f"--scans {table}: line {number} names no FLAIR scan. Fill or remove it."
            )
        name = row.get("name") or _own_name(Path(row["flair"]))
        name = name if BIDS_NAME.fullmatch(name) else f"sub-{_label(name)}"
        files = tuple((m, row[m]) for m in MODALITIES if row.get(m))
        yield Scan(name, files)


def _own_name(path: Path) -> str:
    """Of a path in a table: the file without what says FLAIR, else its folder."""
    stem = path.name[: -len(_suffix(path))] if _suffix(path) else path.stem
    return FLAIR_ENDING.sub("", stem) or path.parent.name or "scan"


def _scan(root: Path, name: str, paths: dict[str, Path | None]) -> Scan:
    files = ((m, path.relative_to(root).as_posix()) for m, path in paths.items() if path)
    return Scan(name, tuple(files))


def _unique(scans: list[Scan]) -> Iterator[Scan]:
    """Scans of one name get a part of the hash of their path, whichever comes first."""
    counts = Counter(scan.name.lower() for scan in scans)  # some disks know no capitals
    for scan in scans:
        if counts[scan.name.lower()] == 1:
            yield scan
        else:
            subject, *rest = scan.name.split("_")
            yield replace(scan, name="_".join([subject + _hash(scan.files[0][1]), *rest]))


def _label(text: str) -> str:
    """Letters and digits alone, as a label of BIDS."""
    letters = re.sub(r"[^A-Za-z0-9]", "", re.sub(r"^sub-", "", text)) or "scan"
    return letters if len(letters) <= MAX_LABEL else letters[:MAX_LABEL] + _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _suffix(path: Path) -> str:
    return next((s for s in SCAN_SUFFIXES[::-1] if path.name.lower().endswith(s)), "")
