"""Put the finished cases of a dataset folder together: persons, splits, metadata.csv, dataset.json,
and the summary that is printed."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from brainai.data.dataset import DATASET_FORMAT, SPLITS, SliceRecord, write_records
from brainai.data.files import write_text
from brainai.data.identity import join_persons
from brainai.data.parts import Part
from brainai.data.seals import sealed, unsealed
from brainai.data.splits import choose_splits
from brainai.errors import DataError

MAX_LINES = 40
TUMOR_NOT_EXPECTED = ("tumor-free", "pairs", "folders")  # the last two are single pictures


@dataclass(frozen=True)
class Assembled:
    """A finished data set.

    records: every slice, sorted by case and index.
    joined: for each person with several names or cases: the id, and the cases.
    content_hash: over pixels and records; equal for equal input, however many workers made it.
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
    """Join persons, give every slice its patient and split, and hash the whole.

    Args:
        same_patient: groups of names that are known to be one person.
        test_sites, pinned: as in `choose_splits`.
    Raises:
        ConfigError: no slice is of such a site, or a pinned name cannot be followed.
    """
    person = join_persons([part.names for part in parts] + [tuple(g) for g in same_patient])
    records, lines, cases = [], [], defaultdict(list)
    splits = choose_splits(parts, person, test_sites, pinned)
    for part in sorted(parts, key=lambda part: part.case_id):
        patient = person[part.names[0]]
        cases[patient].append(part)
        mine = [
            replace(record, patient_id=patient, split=splits[patient]) for record in part.slices
        ]
        records += mine
        lines.append(json.dumps([part.digest, [asdict(record) for record in mine]]))
    joined = {
        patient: [part.case_id for part in found]
        for patient, found in sorted(cases.items())
        if len({part.names[0] for part in found}) > 1
    }
    return Assembled(records, joined, sha256("\n".join(lines).encode()).hexdigest())


def write_assembled(out: Path, assembled: Assembled, options: dict) -> None:
    """Write metadata.csv and then dataset.json, each whole or not at all.

    Raises:
        DataError: there is no slice at all.
    """
    if not assembled.records:
        raise DataError(f"{out}: expected slices, found none: every case is bad or empty.")
    if _hash_of(out) != assembled.content_hash:
        (out / "dataset.json").unlink(missing_ok=True)  # it says "complete": not while it changes
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
        return unsealed((out / "dataset.json").read_bytes())["content_hash"]
    except (OSError, ValueError, KeyError):
        return ""


def count(records: Iterable[SliceRecord]) -> dict[str, int]:
    """Patients, cases, slices, and slices with tumor."""
    records = list(records)
    return {
        "patients": len({record.patient_id for record in records}),
        "cases": len({record.case_id for record in records}),
        "slices": len(records),
        "positives": sum(record.label for record in records),
    }


def summary(assembled: Assembled) -> str:
    """Counts per source, split and site as a table, the persons joined, cases without tumor."""
    records = assembled.records
    rows = [("", "patients", "cases", "slices", "positives")]
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
    """Records by the values of some columns, splits in their own order, the rest by name."""
    groups = defaultdict(list)
    for record in records:
        groups[tuple(getattr(record, column) for column in columns)].append(record)
    order = {split: f"{number}" for number, split in enumerate(SPLITS)}
    keys = sorted(groups, key=lambda key: [order.get(value, value) for value in key])
    return [(" ".join(key), groups[key]) for key in keys]


def _notes(assembled: Assembled) -> list[str]:
    notes = []
    if assembled.joined:
        notes += ["", f"{len(assembled.joined)} persons under several names, joined:"]
        lines = [f"  {patient} = {', '.join(ids)}" for patient, ids in assembled.joined.items()]
        notes += lines[:MAX_LINES]
        if len(lines) > MAX_LINES:
            notes.append(f"  and {len(lines) - MAX_LINES} more: see joined_persons in dataset.json")
    positive = {record.case_id for record in assembled.records if record.label}
    expected = {r.case_id for r in assembled.records if r.source not in TUMOR_NOT_EXPECTED}
    without = sorted(expected - positive)
    if without:
        names = ", ".join(without[:8]) + (", …" if len(without) > 8 else "")
        notes += ["", f"{len(without)} cases without a slice with tumor: {names}"]
    return notes
