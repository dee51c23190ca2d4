"""Assemble the finished cases of a dataset folder.

This joins persons, assigns splits, writes metadata.csv and dataset.json, and makes the summary that
the command prints.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from brainai.data.dataset import (
    DATASET_FORMAT,
    SPLITS,
    SliceRecord,
    read_dataset_info,
    write_records,
)
from brainai.data.files import write_text
from brainai.data.identity import join_persons
from brainai.data.parts import Part
from brainai.data.seals import sealed
from brainai.data.splits import choose_splits
from brainai.errors import DataError

MAX_LINES = 40
TUMOR_NOT_EXPECTED = ("tumor-free", "pairs", "folders")  # the last two are single pictures


@dataclass(frozen=True)
class Assembled:
    """A finished data set.

    records: all slices, sorted by case and index.
    joined: the cases of each person who was joined from several names, by the person's id.
    content_hash: hash of pixels and records. It does not depend on the number of workers.
    """

    records: list[SliceRecord]
    joined: dict[str, list[str]]
    content_hash: str


def assemble(
    parts: Sequence[Part],
    same_patient: Iterable[Sequence[str]] = (),
    test_sites: Sequence[str] = (),
    pinned: Mapping[str, str] | None = None,
) -> Assembled:
    """Join persons, assign a patient and a split to each slice, and compute the content hash.

    Args:
        parts: the finished cases.
        same_patient: groups of names that are known to belong to one person.
        test_sites, pinned: as in `choose_splits`.
    Raises:
        ConfigError: as in `choose_splits`.
    """
    person = join_persons([part.names for part in parts] + [tuple(g) for g in same_patient])
    records, lines, cases = [], [], defaultdict(list)
    splits = choose_splits(parts, person, test_sites, pinned)
    for part in sorted(parts, key=lambda part: part.case_id):
        patient = person[part.names[0]]
        cases[patient].append(part)
        slices = [
            replace(record, patient_id=patient, split=splits[patient]) for record in part.slices
        ]
        records += slices
        lines.append(json.dumps([part.digest, [asdict(record) for record in slices]]))
    joined = {
        patient: [part.case_id for part in patient_parts]
        for patient, patient_parts in sorted(cases.items())
        if len({part.names[0] for part in patient_parts}) > 1
    }
    return Assembled(records, joined, sha256("\n".join(lines).encode()).hexdigest())


def write_assembled(out: Path, assembled: Assembled, options: dict) -> None:
    """Write metadata.csv and then dataset.json, each completely or not at all.

    Raises:
        DataError: there are no slices.
    """
    if not assembled.records:
        raise DataError(
            f"{out}: expected slices, found none, because every case is bad or empty. Check --root."
        )
    if _hash_of(out) != assembled.content_hash:
        # dataset.json marks a complete data set, so it must not exist while the set changes.
        (out / "dataset.json").unlink(missing_ok=True)
    checksum = write_records(out / "metadata.csv", assembled.records)
    info = {
        "format_version": DATASET_FORMAT,
        "options": options,
        "counts": count(assembled.records),
        "joined_persons": assembled.joined,
        "content_hash": assembled.content_hash,
        "metadata_checksum": checksum,
    }
    write_text(out / "dataset.json", json.dumps(sealed(info), indent=2) + "\n")


def _hash_of(out: Path) -> str:
    try:
        return read_dataset_info(out)["content_hash"]
    except DataError:
        return ""


def count(records: Iterable[SliceRecord]) -> dict[str, int]:
    """Count patients, cases, slices and slices with tumor (`positives`)."""
    records = list(records)
    return {
        "patients": len({record.patient_id for record in records}),
        "cases": len({record.case_id for record in records}),
        "slices": len(records),
        "positives": sum(record.label for record in records),
    }


def summary(assembled: Assembled) -> str:
    """Return a table of counts per source, split and site, with notes on persons and cases."""
    records = assembled.records
    rows: list[tuple[str, ...]] = [("", "patients", "cases", "slices", "positives")]
    for title, columns in (
        ("source", ("source",)),
        ("split", ("split",)),
        ("source and split", ("source", "split")),
        ("site", ("source", "site")),
    ):
        rows.append((f"by {title}", "", "", "", ""))
        for name, group in _groups(records, columns):
            rows.append((f"  {name}", *map(str, count(group).values())))
    rows.append(("all", *map(str, count(records).values())))
    first = max(len(row[0]) for row in rows)
    lines = [f"{row[0]:<{first}}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
    return "\n".join(line.rstrip() for line in lines + _notes(assembled))


def _groups(
    records: list[SliceRecord], columns: tuple[str, ...]
) -> list[tuple[str, list[SliceRecord]]]:
    """Group records by the values of columns. Splits are in their own order, all else by name."""
    groups = defaultdict(list)
    for record in records:
        groups[tuple(getattr(record, column) for column in columns)].append(record)
    order = {split: f"{number}" for number, split in enumerate(SPLITS)}
    keys = sorted(groups, key=lambda key: [order.get(value, value) for value in key])
    return [(" ".join(key), groups[key]) for key in keys]


def _notes(assembled: Assembled) -> list[str]:
    notes = []
    if assembled.joined:
        notes += ["", f"Persons joined from several names ({len(assembled.joined)}):"]
        lines = [f"  {patient} = {', '.join(ids)}" for patient, ids in assembled.joined.items()]
        notes += lines[:MAX_LINES]
        if len(lines) > MAX_LINES:
            notes.append(f"  and {len(lines) - MAX_LINES} more (joined_persons in dataset.json)")
    positive = {record.case_id for record in assembled.records if record.label}
    expected = {r.case_id for r in assembled.records if r.source not in TUMOR_NOT_EXPECTED}
    without = sorted(expected - positive)
    if without:
        names = ", ".join(without[:8]) + (", …" if len(without) > 8 else "")
        notes += ["", f"Cases without a slice with tumor ({len(without)}): {names}"]
    return notes
