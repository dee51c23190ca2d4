"""Find cases in folders of single pictures: two class folders, or pictures with their masks."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from brainai.data.cases import Case, safe_name
from brainai.data.file_names import PICTURE_SUFFIXES
from brainai.data.identity import tcga_ids
from brainai.data.layouts import visible
from brainai.data.releases import person_name, site_name
from brainai.errors import DataError

TUMOR_WORDS = ("yes", "tumor", "tumour", "positive", "1", "glioma", "abnormal")
NO_TUMOR_WORDS = ("no", "notumor", "notumour", "negative", "0", "normal", "healthy", "nontumor")
PERSON_IN_NAME = re.compile(r"(?<![a-z])(?:sub|subject|patient|pat)[-_ ]?(\d+)", re.IGNORECASE)
UP_TO_THE_LAST = r"(.+)_"  # finds 10002 in 10002_46


def folder_cases(root: Path, positive: str | None) -> Iterator[Case]:
    """Yield a case for each picture in the two class folders.

    Args:
        positive: name of the folder with tumor; None if the names of the folders tell.
    Raises:
        DataError: there are not exactly two folders with pictures, or it is unclear which of them
            has the pictures with tumor.
    """
    folders = sorted(path for path in visible(root.iterdir()) if path.is_dir())
    pictures = {folder: find_pictures(folder) for folder in folders}
    pictures = {folder: found for folder, found in pictures.items() if found}
    if len(pictures) != 2:
        listed = ", ".join(folder.name for folder in pictures) or "none"
        raise DataError(
            f"--root {root}: expected exactly two class folders with pictures, found {listed}. "
            "Name a folder that holds two, such as yes/ and no/."
        )
    with_tumor = _positive_folder(list(pictures), positive)
    names = picture_names(root, root, [path for found in pictures.values() for path in found])
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


def pair_cases(root: Path, patient_pattern: str) -> Iterator[Case]:
    """Yield a case for each picture under images/, with the mask of the same name under masks/.

    Args:
        patient_pattern: regular expression whose first group is the patient's id in the name of a
            picture without its suffix.
    Raises:
        DataError: one of the two folders is missing, or the pattern does not match a name.
    """
    for name in ("images", "masks"):
        if not (root / name).is_dir():
            raise DataError(
                f"--root {root}: expected the folders images and masks, but {name} is missing. "
                "Name the folder that holds both."
            )
    masks = defaultdict(list)
    for path in find_pictures(root / "masks"):
        masks[path.relative_to(root / "masks").with_suffix("")].append(path)
    pictures = find_pictures(root / "images")
    for path, name in picture_names(root, root / "images", pictures).items():
        person = _patient(path, patient_pattern)
        masks_of_picture = masks[path.relative_to(root / "images").with_suffix("")]
        yield Case(
            case_id=name,
            source="pairs",
            site=site_name(person),
            names=_known_everywhere(person) or (f"{safe_name(root.name)}_{safe_name(person)}",),
            folder=path.parent,
            files=(("picture", path), *(("mask", mask) for mask in masks_of_picture)),
        )


def _patient(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.stem)
    if match and match[1]:
        return match[1]
    if pattern == UP_TO_THE_LAST:
        return path.stem
    raise DataError(
        f"{path}: expected a name in which --patient-pattern {pattern} finds the patient, but it "
        "does not match. Choose another pattern, or rename the picture."
    )


def _known_everywhere(person: str) -> tuple[str, ...]:
    """Return the names of a person that are the same in all data sets: those of TCGA and BraTS."""
    if ids := tcga_ids(person):
        return ids
    return (person_name(person),) if person.lower().startswith("brats") else ()


def find_pictures(folder: Path) -> list[Path]:
    """Return the visible picture files anywhere under a folder, sorted."""
    paths = visible(folder.rglob("*"))
    return sorted(path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES)


def picture_names(root: Path, folder: Path, paths: list[Path]) -> dict[Path, str]:
    """Return a case id for each picture.

    It consists of the root's name and the picture's path within `folder`. The suffix is added only
    if two pictures would have the same id otherwise.
    """
    short = {
        path: safe_name("_".join((root.name, *path.relative_to(folder).with_suffix("").parts)))
        for path in paths
    }
    counts = Counter(short.values())
    return {
        path: name if counts[name] == 1 else f"{name}_{path.suffix[1:].lower()}"
        for path, name in short.items()
    }


def _persons_in(root: Path, path: Path) -> tuple[str, ...]:
    """Return the ids of persons in the name of a picture: TCGA ids, or patient12, sub-03 and such.

    The name of the root is put before a number, because patient 12 of another data set is another
    person.
    """
    if ids := tcga_ids(path.stem):
        return ids
    match = PERSON_IN_NAME.search(path.stem)
    return (f"{safe_name(root.name)}_patient_{int(match[1])}",) if match else ()


def _positive_folder(folders: list[Path], positive: str | None) -> Path:
    """Return the class folder with tumor, which --positive names or known words tell.

    Raises:
        DataError: it is unclear which folder has the pictures with tumor.
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
            f"Expected one class folder whose name means tumor, found {names}. "
            "Name it with --positive NAME."
        )
    return chosen[0]
