"""Folders of single pictures → `Case`: two class folders, or pictures with masks beside."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from brainai.data.cases import Case, safe_name
from brainai.data.identity import tcga_ids
from brainai.data.layouts import visible
from brainai.data.releases import person_name, site_name
from brainai.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
TUMOR_WORDS = ("yes", "tumor", "tumour", "positive", "1", "glioma", "abnormal")
NO_TUMOR_WORDS = ("no", "notumor", "notumour", "negative", "0", "normal", "healthy", "nontumor")
PERSON_IN_NAME = re.compile(r"(?<![a-z])(?:sub|subject|patient|pat)[-_ ]?(\d+)", re.IGNORECASE)
UP_TO_THE_LAST = r"(.+)_"  # of 10002_46: 10002


def folder_cases(root: Path, positive: str | None) -> Iterator[Case]:
    """A case for each picture in the two class folders; `positive` names the one with tumor.

    Raises:
        DataError: there are not two with pictures, or their names do not tell which has tumor.
    """
    folders = sorted(path for path in visible(root.iterdir()) if path.is_dir())
    pictures = {folder: find_pictures(folder) for folder in folders}
    pictures = {folder: found for folder, found in pictures.items() if found}
    if len(pictures) != 2:
        names = ", ".join(folder.name for folder in pictures) or "none"
        raise DataError(
            f"--root {root}: expected exactly two class folders with pictures, found {names}. "
            "Give a folder that holds the two, for instance yes/ and no/."
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
    """A case for each picture under images/, with the mask of the same name under masks/.

    Raises:
        DataError: one of the two folders is not there, or a name in which the pattern finds nobody.
    """
    for name in ("images", "masks"):
        if not (root / name).is_dir():
            raise DataError(
                f"--root {root}: expected the folders images and masks, found no {name}. "
                "Give the folder that holds the two."
            )
    masks = defaultdict(list)
    for path in find_pictures(root / "masks"):
        masks[path.relative_to(root / "masks").with_suffix("")].append(path)
    pictures = find_pictures(root / "images")
    for path, name in picture_names(root, root / "images", pictures).items():
        person = _patient(path, patient_pattern)
        own = masks[path.relative_to(root / "images").with_suffix("")]
        yield Case(
            case_id=name,
            source="pairs",
            site=site_name(person),
            names=_known_everywhere(person) or (f"{safe_name(root.name)}_{safe_name(person)}",),
            folder=path.parent,
            files=(("picture", path), *(("mask", mask) for mask in own)),
        )


def _patient(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.stem)
    if match and match[1]:
        return match[1]
    if pattern == UP_TO_THE_LAST:
        return path.stem
    raise DataError(
        f"{path}: expected a name in which --patient-pattern {pattern} finds the patient, found "
        "none. Give another pattern, or rename the picture."
    )


def _known_everywhere(person: str) -> tuple[str, ...]:
    """A person's names where they mean the same in every data set: of TCGA, and of BraTS."""
    if ids := tcga_ids(person):
        return ids
    return (person_name(person),) if person.lower().startswith("brats") else ()


def find_pictures(folder: Path) -> list[Path]:
    """Picture files anywhere under a folder, sorted; hidden ones are passed over."""
    return sorted(path for path in visible(folder.rglob("*")) if path.suffix.lower() in PICTURES)


def picture_names(root: Path, folder: Path, paths: list[Path]) -> dict[Path, str]:
    """A case id for each picture: the root's name, then its own as seen from `folder`, with the
    suffix only where needed."""
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
    """Ids of persons in the name of a picture: TCGA ids, or patient12, sub-03 and the like.

    A number counts within one root only: patient 12 of another set is somebody else.
    """
    if ids := tcga_ids(path.stem):
        return ids
    match = PERSON_IN_NAME.search(path.stem)
    return (f"{safe_name(root.name)}_patient_{int(match[1])}",) if match else ()


def _positive_folder(folders: list[Path], positive: str | None) -> Path:
    """The class folder with tumor: the one that --positive names, else by known words.

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
            f"Expected to see which class folder means tumor, found {names}: "
            "say it with --positive NAME."
        )
    return chosen[0]
