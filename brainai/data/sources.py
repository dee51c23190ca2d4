"""Folder layouts of the public sets → `Case`. Nothing is opened here: names alone are read.

lgg      TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_7.tif and ..._7_mask.tif (Buda et al. 2019)
brats    every release from 2013 to 2025: see `brainai.data.releases`
phantom  simulated studies, named as BraTS 2021 names its files
folders  two class folders of pictures, such as yes/ and no/
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from brainai.data.identity import tcga_ids
from brainai.data.releases import Release, find_studies, person_name, site_name
from brainai.errors import DataError

SOURCES = ("lgg", "brats", "folders", "phantom")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
TUMOR_WORDS = ("yes", "tumor", "tumour", "positive", "1", "glioma", "abnormal")
NO_TUMOR_WORDS = ("no", "notumor", "notumour", "negative", "0", "normal", "healthy", "nontumor")
PERSON_IN_NAME = re.compile(r"(?<![a-z])(?:sub|subject|patient|pat)[-_ ]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Case:
    """One study of one patient, not opened yet.

    case_id: unique in a data set; the name of its folders there.
    names: ids of its person, as its names tell; the first is the patient's own.
    folder: where it lies, for messages.
    files: what to read, by role: "flair", "t1c", "t2", "seg"; "slice 7", "mask 7"; "picture".
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


def find_cases(source: str, root: Path, positive: str | None = None) -> list[Case]:
    """All cases of a source under a folder, sorted by id.

    Args:
        positive: name of the class folder with tumour, where its name does not tell (`folders`).

    Raises:
        DataError: no such folder, or nothing in it that this source knows.
    """
    if not root.is_dir():
        raise DataError(f"--root {root}: expected a folder, found none.")
    if source == "folders":
        cases = list(_folder_cases(root, positive))
    elif source == "lgg":
        cases = list(_lgg_cases(root))
    else:
        cases = list(_volume_cases(source, root))
    if not cases:
        raise DataError(
            f"--root {root}: found no case of the source {source!r}. "
            f"Give the folder that holds the cases, or another --source of {', '.join(SOURCES)}."
        )
    return sorted(_unique(cases), key=lambda case: case.case_id)


def check_unique(cases: Iterable[Case]) -> None:
    """Raises DataError where two sources bring a case of the same name: it would count twice."""
    counts = Counter(case.case_id for case in cases)
    twice = sorted(case_id for case_id, count in counts.items() if count > 1)
    if twice:
        raise DataError(
            f"{len(twice)} cases stand in two of the given folders ({', '.join(twice[:5])}): "
            "expected each once. Leave one --source/--root pair out."
        )


def _unique(cases: list[Case]) -> Iterator[Case]:
    """Cases of one name in several subfolders take the name of the parent folder before theirs."""
    counts = Counter(case.case_id for case in cases)
    for case in cases:
        if counts[case.case_id] == 1:
            yield case
        else:
            yield replace(case, case_id=f"{safe_name(case.folder.parent.name)}_{case.case_id}")


def safe_name(name: str) -> str:
    """A name that can be a folder and an address everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "case"


def visible(paths: Iterable[Path]) -> Iterator[Path]:
    """Without hidden files, such as those that macOS leaves beside its copies."""
    return (path for path in paths if not path.name.startswith("."))


def _lgg_cases(root: Path) -> Iterator[Case]:
    folders = {path.parent for path in visible(root.rglob("*.tif"))}
    folders |= {path for path in root.rglob("TCGA_*") if path.is_dir()}  # empty ones: half copied
    for folder in sorted(folders):
        pattern = re.compile(re.escape(folder.name) + r"_(\d+)(_mask)?\.tif", re.IGNORECASE)
        files = []
        for path in visible(folder.iterdir()):
            if match := pattern.fullmatch(path.name):
                files.append((int(match[1]), "mask" if match[2] else "slice", path))
        ids = tcga_ids(folder.name)
        if not files and not ids:
            continue
        yield Case(
            case_id=safe_name(folder.name),
            source="lgg",
            site=ids[0].split("_")[1] if ids else "unknown",
            names=ids or (folder.name,),
            folder=folder,
            files=tuple((f"{role} {number}", path) for number, role, path in sorted(files)),
        )


def _volume_cases(source: str, root: Path) -> Iterator[Case]:
    for study in find_studies(root):
        names = (study.name,) if source == "phantom" else (person_name(study.name),)
        yield Case(
            case_id=safe_name(study.name),
            source=source,
            site="phantom" if source == "phantom" else site_name(study.name),
            names=names + tcga_ids(study.name),
            folder=study.folder,
            files=study.files,
            release=study.release,
        )


def _folder_cases(root: Path, positive: str | None) -> Iterator[Case]:
    folders = sorted(path for path in visible(root.iterdir()) if path.is_dir())
    pictures = {folder: _pictures(folder) for folder in folders}
    pictures = {folder: found for folder, found in pictures.items() if found}
    if len(pictures) != 2:
        names = ", ".join(folder.name for folder in pictures) or "none"
        raise DataError(
            f"--root {root}: expected exactly two class folders with pictures, found {names}. "
            "Give a folder that holds the two, for instance yes/ and no/."
        )
    with_tumor = _positive_folder(list(pictures), positive)
    names = _picture_names(root, [path for found in pictures.values() for path in found])
    for folder, found in pictures.items():
        for path in found:
            name = names[path]
            yield Case(
                case_id=name,
                source="folders",
                site="unknown",
                names=_persons_in(root, path) or (name,),
                folder=path.parent,
                files=(("picture", path),),
                label=int(folder == with_tumor),
            )


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in visible(folder.rglob("*")) if path.suffix.lower() in PICTURES)


def _picture_names(root: Path, paths: list[Path]) -> dict[Path, str]:
    """A case id for each picture: root, class and file name, with the suffix only where needed."""
    short = {
        path: safe_name("_".join((root.name, *path.relative_to(root).with_suffix("").parts)))
        for path in paths
    }
    counts = Counter(short.values())
    return {
        path: name if counts[name] == 1 else f"{name}_{path.suffix[1:].lower()}"
        for path, name in short.items()
    }


def _persons_in(root: Path, path: Path) -> tuple[str, ...]:
    """Ids of persons in the name of a picture: TCGA ids, or patient12, sub-03 and the like.

    A number counts within one root only: patient 12 of another set is somebody else.
    """
    if ids := tcga_ids(path.stem):
        return ids
    match = PERSON_IN_NAME.search(path.stem)
    return (f"{safe_name(root.name)}_patient_{int(match[1])}",) if match else ()


def _positive_folder(folders: list[Path], positive: str | None) -> Path:
    """The class folder with tumour: the one that --positive names, else by known words.

    Raises:
        DataError: the names do not tell.
    """
    if positive is not None:
        chosen = [folder for folder in folders if folder.name == positive]
    else:
        plain = {folder: re.sub(r"[^a-z0-9]", "", folder.name.lower()) for folder in folders}
        chosen = [folder for folder in folders if plain[folder] in TUMOR_WORDS]
        without = [folder for folder in folders if plain[folder] in NO_TUMOR_WORDS]
        if not chosen and len(without) == 1:
            chosen = [folder for folder in folders if folder not in without]
    if len(chosen) != 1:
        names = " and ".join(folder.name for folder in folders)
        raise DataError(
            f"Expected to see which class folder means tumour, found {names}: "
            "say it with --positive NAME."
        )
    return chosen[0]
