"""Who is who: one person can stand in several releases under several names.

Names of one person come from folder names, from the text of scan headers, and from lists of known
pairs. Persons who share a name are one person, so that nobody stands in two splits.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np

from brainai.errors import DataError

TCGA_ID = re.compile(
    r"(?<![A-Z0-9])TCGA[-_. ]([A-Z0-9]{2})[-_. ]([A-Z0-9]{4})(?![A-Z0-9])", re.IGNORECASE
)
SAME_PIXELS = "same-pixels-"  # a name made from the pixels: it joins, and never becomes the id


def tcga_ids(text: str) -> tuple[str, ...]:
    """The ids of The Cancer Genome Atlas in a text, written as TCGA_CS_4941, each once, sorted."""
    found = {f"TCGA_{site}_{person}".upper() for site, person in TCGA_ID.findall(text)}
    return tuple(sorted(found))


def same_pixels(pixels: np.ndarray) -> str:
    """A name for whoever is in this picture: two files with equal pixels are one person."""
    return SAME_PIXELS + sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def join_persons(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """Map every name to the id of its person.

    Each group holds names of one person; groups that share a name are joined. The id is the
    smallest TCGA id of all names, else the smallest name.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for group in groups:
        first, *others = group
        for other in others:
            parent[root(other)] = root(first)
        root(first)
    members = defaultdict(list)
    for name in parent:
        members[root(name)].append(name)
    return {
        name: person
        for names in members.values()
        for person in [_person_id(names)]
        for name in names
    }


def _person_id(names: list[str]) -> str:
    return min(
        names, key=lambda name: (name.startswith(SAME_PIXELS), not TCGA_ID.search(name), name)
    )


def read_same_patient(path: Path, known: Iterable[str]) -> list[tuple[str, ...]]:
    """Known names of the same persons: a CSV file, one person a row, one name a cell.

    The name_mapping.csv of a BraTS release is such a file. Cells that name nobody (a grade, an age,
    "NA") are passed over: a name is one of `known`, or has letters and digits and five signs or
    more. Ids of TCGA may be written with any separator.

    Raises:
        DataError: the file cannot be read, or no row has two names.
    """
    known = set(known)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file of patient names, found none.") from error
    groups = []
    for row in rows:
        names = [_plain(cell.strip()) for cell in row]
        names = [name for name in names if name in known or _looks_like_name(name)]
        if len(names) > 1:
            groups.append(tuple(names))
    if not groups:
        raise DataError(
            f"{path}: expected rows with the names of one person, separated by commas, found none."
        )
    return groups


def _plain(name: str) -> str:
    return tcga_ids(name)[0] if tcga_ids(name) else name


def _looks_like_name(cell: str) -> bool:
    return len(cell) >= 5 and bool(re.search(r"\d", cell)) and bool(re.search(r"[A-Za-z]", cell))
