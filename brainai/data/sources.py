"""Find the cases in the folder layouts of public data sets.

Names of files decide. Files are opened only if two cases have the same name, because identical
copies count once.

lgg         TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_7.tif and ..._7_mask.tif (Buda et al. 2019)
brats       every release from 2013 to 2025, and the Medical Segmentation Decathlon: see
            `brainai.data.releases`
tumor-free  FLAIR scans or pictures of people without a tumor: see `brainai.data.tumor_free`
pairs       images/10002_46.png and masks/10002_46.png: see `brainai.data.picture_sources`
folders     two class folders of pictures, such as yes/ and no/
phantom     simulated studies, named as BraTS 2021 names its files
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from brainai.data.cases import Case, safe_name, same_content
from brainai.data.file_names import as_text
from brainai.data.identity import tcga_ids
from brainai.data.layouts import describe_content, visible
from brainai.data.picture_sources import UP_TO_THE_LAST, folder_cases, pair_cases
from brainai.data.releases import find_studies, person_name, site_name
from brainai.data.tumor_free import tumor_free_cases
from brainai.errors import DataError

SOURCES = ("lgg", "brats", "tumor-free", "pairs", "folders", "phantom")


def find_cases(
    source: str,
    root: Path,
    positive: str | None = None,
    patient_pattern: str = UP_TO_THE_LAST,
) -> list[Case]:
    """Return all cases of a source under a folder, sorted by id.

    Args:
        source: one of `SOURCES`.
        positive: name of the class folder with tumor, if its name does not tell (`folders`).
        patient_pattern: regular expression whose first group is the patient's id in the name of a
            picture without its suffix (`pairs`).

    Raises:
        DataError: the folder does not exist, or it holds no case of this source.
    """
    check_root(root)
    if source == "folders":
        cases = list(folder_cases(root, positive))
    elif source == "pairs":
        cases = list(pair_cases(root, patient_pattern))
    elif source == "tumor-free":
        cases = list(tumor_free_cases(root))
    else:
        cases = list(BY_NAMES[source](root))
    if not cases:
        other = [name for name, find in BY_NAMES.items() if name != source and any(find(root))]
        hint = f"It looks like --source {other[0]}." if other else describe_content(root)
        hint = hint or (
            f"Name the folder that holds the cases, or choose another --source of "
            f"{', '.join(SOURCES)}."
        )
        raise DataError(f"--root {root}: found no case of the source {source!r}. {hint}")
    named = [replace(case, names=tuple(map(as_text, case.names))) for case in cases]
    return sorted(_unique(named), key=lambda case: case.case_id)


def check_root(root: Path) -> None:
    """Raise DataError if the folder of a source does not exist."""
    if not root.is_dir():
        raise DataError(f"--root {root}: expected a folder, found none.")


def check_unique(cases: Iterable[Case]) -> None:
    """Raise DataError if two cases have the same id, because they would count twice."""
    folders = defaultdict(list)
    for case in cases:
        folders[case.case_id].append(case.folder)
    twice = sorted(case_id for case_id, found in folders.items() if len(found) > 1)
    if twice:
        places = " and ".join(map(str, folders[twice[0]][:2]))
        raise DataError(
            f"Expected each case once, found {len(twice)} in two folders ({', '.join(twice[:5])}). "
            f"The first one is in {places}. Leave out one of the folders, or rename the case."
        )


def _unique(cases: list[Case]) -> Iterator[Case]:
    """Yield identical copies once, and put the parent folder's name before an id that is shared."""
    by_id: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: (len(case.folder.parts), case.folder)):
        if not any(same_content(case, other) for other in by_id[case.case_id]):
            by_id[case.case_id].append(case)
    for case_id, same_id in by_id.items():
        for case in same_id:
            above = safe_name(case.folder.parent.name)
            yield case if len(same_id) == 1 else replace(case, case_id=f"{above}_{case_id}")


def _lgg_cases(root: Path) -> Iterator[Case]:
    folders = {path.parent for path in visible(root.rglob("*.tif"))}
    # Empty folders too, which are incomplete copies.
    folders |= {path for path in visible(root.rglob("TCGA_*")) if path.is_dir()}
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


BY_NAMES: dict[str, Callable[[Path], Iterable[Case]]] = {
    "lgg": _lgg_cases,
    "brats": partial(_volume_cases, "brats"),
    "phantom": partial(_volume_cases, "phantom"),
}
