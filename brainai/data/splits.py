"""Assign patients to splits by a hash of their id, by site, or by a file."""

import csv
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from brainai.data.cases import Case
from brainai.data.dataset import SPLITS, assign_split
from brainai.data.parts import Part
from brainai.errors import ConfigError, DataError


def choose_splits(
    parts: Sequence[Part],
    person: Mapping[str, str],
    test_sites: Sequence[str] = (),
    pinned: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the split of each patient.

    Args:
        parts: the finished cases.
        person: the id of the person for each name.
        test_sites: if given, only patients of these sites go to `test`, and all other patients of
            the test split go to `train`. This measures a model at a site not seen in training.
        pinned: splits of some patients, by any of their names or by a case id. They take precedence
            over hash and site.
    Raises:
        ConfigError: no slice is from such a site, nobody has a pinned name, or one person is pinned
            to two splits.
    """
    held_out = _patients_of(parts, person, test_sites)
    splits = {}
    for patient in {person[part.names[0]] for part in parts}:
        split = assign_split(patient)
        if test_sites and (patient in held_out or split == "test"):
            split = "test" if patient in held_out else "train"
        splits[patient] = split
    return splits | _pinned_patients(parts, person, pinned or {})


def read_split_file(path: Path) -> dict[str, str]:
    """Read names and splits from a CSV file with rows of `name,split`, with or without a header.

    Raises:
        DataError: the file cannot be read, or a row does not hold a name and a split.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: expected a CSV file of names and splits, found one that cannot be read. "
            "Check the path and save the file as CSV in UTF-8."
        ) from error
    splits: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if not any(row) or (number == 1 and row == ["name", "split"]):
            continue
        if len(row) != 2 or row[1] not in SPLITS:
            raise DataError(
                f"{path}, row {number}: expected a name and one of {', '.join(SPLITS)}, "
                f"found {','.join(row)}. Correct this row."
            )
        if splits.setdefault(row[0], row[1]) != row[1]:
            raise DataError(
                f"{path}, row {number}: expected one split for {row[0]}, found two. Remove one of "
                "the rows."
            )
    return splits


def without_bad(
    pinned: Mapping[str, str], cases: Iterable[Case], bad: Container[str]
) -> dict[str, str]:
    """Return the pinned names without those that only bad cases have, which are left out."""
    bad_names: set[str] = set()
    good_names: set[str] = set()
    for case in cases:
        names = bad_names if case.case_id in bad else good_names
        names |= {case.case_id, *case.names}
    left_out = bad_names - good_names
    return {name: split for name, split in pinned.items() if name not in left_out}


def _pinned_patients(
    parts: Sequence[Part], person: Mapping[str, str], pinned: Mapping[str, str]
) -> dict[str, str]:
    known = dict(person) | {part.case_id: person[part.names[0]] for part in parts}
    unknown = sorted(set(pinned) - set(known))
    if unknown:
        raise ConfigError(
            f"--split-file: expected names of patients or cases of this data set, found "
            f"{', '.join(unknown[:5])}. See patient_id and case_id in metadata.csv."
        )
    splits: dict[str, str] = {}
    for name, split in pinned.items():
        if splits.setdefault(known[name], split) != split:
            raise ConfigError(
                f"--split-file: expected one split for {known[name]}, found {split} and "
                f"{splits[known[name]]} under different names. Give this person one split."
            )
    return splits


def _patients_of(
    parts: Sequence[Part], person: Mapping[str, str], test_sites: Sequence[str]
) -> set[str]:
    sites = {record.site for part in parts for record in part.slices}
    unknown = sorted(set(test_sites) - sites)
    if unknown:
        raise ConfigError(
            f"--test-site: expected one of {', '.join(sorted(sites))}, found {', '.join(unknown)}. "
            "Choose a site of this data set."
        )
    return {
        person[part.names[0]]
        for part in parts
        if any(record.site in test_sites for record in part.slices)
    }
