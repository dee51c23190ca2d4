"""Find out which names belong to the same person, who may be in several releases.

Names of a person come from names of folders, from the text of scan headers, and from lists of known
pairs. Persons who share a name are one person, so that nobody is in two splits.
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
SAME_PIXELS = "same-pixels-"  # starts names that come from pixels, which never become the id


def tcga_ids(text: str) -> tuple[str, ...]:
    """Return the different ids of The Cancer Genome Atlas in a text, sorted.

    Example:
        >>> tcga_ids("tcga-cs-4941, series 2")
        ('TCGA_CS_4941',)
    """
    found = {f"TCGA_{site}_{person}".upper() for site, person in TCGA_ID.findall(text)}
    return tuple(sorted(found))


def same_pixels(pixels: np.ndarray) -> str:
    """Return a name for the person in a picture: files with the same pixels show one person."""
    return SAME_PIXELS + sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def join_persons(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """Map every name to the id of its person.

    Each group holds names of one person. Groups that share a name are joined. The id is the
    smallest TCGA id among the names, else the smallest name.

    Example:
        >>> join_persons([("a", "b"), ("b", "c"), ("d",)])
        {'a': 'a', 'b': 'a', 'c': 'a', 'd': 'd'}
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
    """Read names of the same persons from a CSV file with one person a row and one name a cell.

    The name_mapping.csv of a BraTS release is such a file. A cell counts as a name if it is one of
    `known`, or has at least five characters with letters and digits among them. Other cells, such
    as a grade, an age or "NA", are ignored. TCGA ids may have any separator.

    Raises:
        DataError: the file cannot be read, or no row has two names.
    """
    known = set(known)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: expected a CSV file of patient names, found one that cannot be read. Check "
            "the path and save the file as CSV in UTF-8."
        ) from error
    groups = []
    for row in rows:
        names = [_plain(cell.strip()) for cell in row]
        names = [name for name in names if name in known or _looks_like_name(name)]
        if len(names) > 1:
            groups.append(tuple(names))
    if not groups:
        raise DataError(
            f"{path}: expected rows with two or more names of one person, separated by commas, "
            "found none. Add such rows, or leave out --same-patient."
        )
    return groups


def _plain(name: str) -> str:
    return tcga_ids(name)[0] if tcga_ids(name) else name


def _looks_like_name(cell: str) -> bool:
    return len(cell) >= 5 and bool(re.search(r"\d", cell)) and bool(re.search(r"[A-Za-z]", cell))
