"""Find the scans of a BIDS data set, a folder of files, DICOM studies, or a table of paths.

Only the names of files and folders are used; no file is opened except a table.

sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz     BIDS: T1w with ce- is T1c, T2w is T2
p7/p7_flair.nii.gz, p7/p7_t1ce.nii.gz           a folder of NIfTI or MetaImage files
patient/study/series/IM0001                     DICOM: a study is a folder of series
scans.csv: flair, optionally t1c, t2, name      paths relative to the table, or absolute
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
from brainai.data.file_names import SAYS_FLAIR, SCAN_SUFFIXES
from brainai.data.layouts import visible
from brainai.data.tumor_free import FLAIR_ENDING, flair_cases
from brainai.errors import DataError

BIDS_NAME = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*")
BIDS_FLAIR = "sub-*/**/anat/sub-*_FLAIR.nii*"
OTHER_WORDS = {  # words that replace "flair" in file names of BraTS and others
    "t1c": ("t1ce", "t1c", "t1gd", "t1post", "t1w_post"),
    "t2": ("t2w", "t2"),
}
MAX_LABEL = 60  # letters, because the length of file names is limited


@dataclass(frozen=True)
class Scan:
    """A scan to judge, not opened yet.

    name: unique name in BIDS form, such as "sub-01_ses-1", used for the files of the answer.
    files: modality and path, FLAIR first; paths under the root of the cohort are relative to it.
    """

    name: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cohort:
    """The scans of a cohort.

    root: folder that relative paths start from.
    bids: whether it is a BIDS data set.
    """

    root: Path
    scans: tuple[Scan, ...]
    bids: bool = False


def find_scans(path: Path) -> Cohort:
    """Find all scans of a folder or table, sorted by name.

    Raises:
        DataError: the path does not exist or holds no scans, or a table has no column flair.
    """
    bids = False
    if path.is_file() and path.suffix.lower() == ".csv":
        root, scans = path.parent, list(_in_table(path))
    elif path.is_dir():
        root, scans = path, list(_in_bids(path))
        bids = bool(scans)
        scans = scans or list(_in_folder(path))
    else:
        raise DataError(f"--scans {path}: expected a folder or a .csv of paths, found neither.")
    if not scans:
        raise DataError(
            f"--scans {path}: expected FLAIR scans (BIDS, NIfTI, MetaImage or DICOM), found none. "
            "If file names do not contain “flair”, list the files in a .csv with a column flair."
        )
    return Cohort(root, tuple(sorted(_unique(scans), key=lambda scan: scan.name)), bids)


def _in_bids(root: Path) -> Iterator[Scan]:
    # If a file exists both as .nii and as .nii.gz, the latter is used.
    flairs = {path.name.split(".")[0]: path for path in sorted(visible(root.glob(BIDS_FLAIR)))}
    for stem, path in flairs.items():
        name = stem.removesuffix("_FLAIR")
        if not BIDS_NAME.fullmatch(name):
            continue
        others = {m: _in_same_session(path, m) for m in ("t1c", "t2")}
        yield _scan(root, name, {"flair": path, **others})


def _in_same_session(flair: Path, modality: str) -> Path | None:
    """Return the T1c or T2 in the folder of a FLAIR that shares the most entities with it.

    If several share the most, return None.
    """
    suffix = "T1w" if modality == "t1c" else "T2w"
    flair_entities = _entities(flair)
    shared: dict[int, list[Path]] = {}
    for path in sorted(visible(flair.parent.glob(f"*_{suffix}.nii*"))):
        entities = _entities(path)
        if modality == "t1c" and not any(entity.startswith("ce-") for entity in entities):
            continue
        shared.setdefault(len(flair_entities & entities), []).append(path)
    best = shared[max(shared)] if shared else []
    return best[0] if len({path.name.split(".")[0] for path in best}) == 1 else None


def _entities(path: Path) -> set[str]:
    return set(path.name.split("_")[:-1])


def _in_folder(root: Path) -> Iterator[Scan]:
    for case in flair_cases(root):
        flair = case.file("flair")
        if flair is None:
            yield from _dicom_studies(root, case)
            continue
        name = case.case_id.removeprefix(f"{safe_name(root.name)}_")
        others = {m: _sibling(flair, words) for m, words in OTHER_WORDS.items()}
        yield _scan(root, f"sub-{_label(name)}", {"flair": flair, **others})


def _dicom_studies(root: Path, case: Case) -> Iterator[Scan]:
    """Yield DICOM studies; the headers tell later which series is FLAIR.

    A study is the folder above its series, or the folder of the series itself if that lies directly
    under the root.
    """
    leaves = {path.parent for _, path in case.files}
    studies = {leaf if leaf in (root, case.folder) else leaf.parent for leaf in leaves}
    # A study within the folder of another study is part of that one.
    for study in sorted(s for s in studies if not any(p in studies for p in s.parents)):
        parts = study.relative_to(root).parts or (root.name,)
        yield _scan(root, f"sub-{_label('_'.join(parts))}", {"flair": study})


def _sibling(flair: Path, words: Iterable[str]) -> Path | None:
    """Return the only file named like FLAIR's with one of `words` in place of "flair", or None."""
    stem = flair.name[: -len(_suffix(flair))]
    matches = list(SAYS_FLAIR.finditer(stem))
    if not matches:
        return None
    start, end = matches[-1].span()
    names = {f"{stem[:start]}{word}{stem[end:]}".lower() for word in words}
    files = {path.name: path for path in visible(flair.parent.iterdir()) if _suffix(path)}
    siblings = [path for n, path in files.items() if n[: -len(_suffix(path))].lower() in names]
    return siblings[0] if len(siblings) == 1 else None


def _in_table(table: Path) -> Iterator[Scan]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if "flair" not in (reader.fieldnames or ()):
                raise DataError(
                    f"--scans {table}: expected a column flair (optionally also t1c, t2, name), "
                    f"found {', '.join(reader.fieldnames or ()) or 'an empty file'}."
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"--scans {table}: expected a CSV table in UTF-8, found another kind of file."
        ) from error
    for number, row in enumerate(rows, 2):
        if not row["flair"]:
            raise DataError(
                f"--scans {table}: line {number} names no FLAIR scan. Fill in its path, or remove "
                "the line."
            )
        name = row.get("name") or _default_name(Path(row["flair"]))
        name = name if BIDS_NAME.fullmatch(name) else f"sub-{_label(name)}"
        files = tuple((m, row[m]) for m in MODALITIES if row.get(m))
        yield Scan(name, files)


def _default_name(path: Path) -> str:
    """Return the file name without its FLAIR ending; if that is empty, the name of the folder."""
    stem = path.name[: -len(_suffix(path))] if _suffix(path) else path.stem
    return FLAIR_ENDING.sub("", stem) or path.parent.name or "scan"


def _scan(root: Path, name: str, paths: dict[str, Path | None]) -> Scan:
    files = ((m, path.relative_to(root).as_posix()) for m, path in paths.items() if path)
    return Scan(name, tuple(files))


def _unique(scans: list[Scan]) -> Iterator[Scan]:
    """Append part of a hash of the path to every name that occurs more than once."""
    counts = Counter(scan.name.lower() for scan in scans)  # some file systems ignore case
    for scan in scans:
        if counts[scan.name.lower()] == 1:
            yield scan
        else:
            subject, *rest = scan.name.split("_")
            yield replace(scan, name="_".join([subject + _hash(scan.files[0][1]), *rest]))


def _label(text: str) -> str:
    """Return a BIDS label, which consists of letters and digits only."""
    letters = re.sub(r"[^A-Za-z0-9]", "", re.sub(r"^sub-", "", text)) or "scan"
    return letters if len(letters) <= MAX_LABEL else letters[:MAX_LABEL] + _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _suffix(path: Path) -> str:
    return next((s for s in SCAN_SUFFIXES[::-1] if path.name.lower().endswith(s)), "")
