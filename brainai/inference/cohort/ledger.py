"""What is done: a line of JSON for each scan, on the disk before the next scan begins.

    OUT/.cohort/run.json                which weights judge here: others are refused
    OUT/.cohort/records/0003-0001.jsonl lines of process 1 in the third start

Each process has a file of its own, so nobody waits and no line is torn in two. A line comes after
the files that it tells of: after a kill, what has no whole line is judged again, and only that.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from brainai.data.files import storage_error, write_text
from brainai.errors import ConfigError
from brainai.inference.cohort.find import Cohort, Scan

HIDDEN = ".cohort"
LEDGER_FORMAT = 1
JUDGED, REFUSED, ERROR = "judged", "refused", "error"  # status of a record
FAILED = "failed"  # the program's fault, not the scan's: tried again by the next start


class Place(NamedTuple):
    """Where the line of a scan stands, and what of it decides whether it still holds."""

    path: Path
    offset: int
    files: dict[str, str]
    status: str
    stamps: list[list[int] | None]


def stamps(root: Path, scan: Scan) -> list[list[int] | None]:
    """Size and time of change of a scan's files; None for one that is not there."""
    found: list[list[int] | None] = []
    for _, path in scan.files:
        try:
            state = (root / path).stat()
        except OSError:
            found.append(None)
        else:
            found.append([state.st_size, state.st_mtime_ns])
    return found


class Ledger:
    """The records under an output folder."""

    def __init__(self, out: Path):
        self.folder = out / HIDDEN / "records"
        self._run = out / HIDDEN / "run.json"
        self._read: Counter[Path] = Counter()  # bytes, and lines of a start, that were counted
        self._lines: Counter[int] = Counter()

    def claim(self, revision: str) -> None:
        """Note which weights answer here.

        Raises:
            ConfigError: the answers that are there come from others.
        """
        mine = {"format_version": LEDGER_FORMAT, "model_revision": revision}
        if not self._run.exists():
            write_text(self._run, json.dumps(mine) + "\n")
            return
        found = json.loads(self._run.read_text())
        if found != mine:
            raise ConfigError(
                f"--out {self._run.parents[1]}: expected answers of the weights {revision}, found "
                f"some of {found.get('model_revision')}. Choose another folder, or the same model."
            )

    def places(self) -> dict[str, Place]:
        """The last whole line of each scan, by the scan's name."""
        found = {}
        for path in self._files():
            for offset, record in _lines(path):
                place = Place(path, offset, *(record[key] for key in ("files", "status", "stamps")))
                found[record["scan"]] = place
        return found

    def pending(self, cohort: Cohort) -> list[Scan]:
        """Scans that have no answer, or that of other files, in their order; and those that could
        not be used, where their files have changed since."""
        done = self.places()
        return [
            scan
            for scan in cohort.scans
            if (place := done.get(scan.name)) is None
            or place.status == FAILED
            or place.files != dict(scan.files)
            or (place.status == ERROR and place.stamps != stamps(cohort.root, scan))
        ]

    def records(self, scans: Sequence[Scan]) -> Iterator[dict[str, Any]]:
        """The record of each scan that has one, in the order given; one at a time in memory."""
        places = self.places()
        for scan in scans:
            if (place := places.get(scan.name)) is not None:
                with place.path.open("rb") as file:
                    file.seek(place.offset)
                    yield json.loads(file.readline())

    def next_start(self) -> int:
        """A number that no earlier start had."""
        return 1 + max((int(path.name.split("-")[0]) for path in self._files()), default=0)

    def writer(self, start: int, process: int) -> "Writer":
        """To be opened by one process of one start."""
        return Writer(self.folder / f"{start:04d}-{process:04d}.jsonl")

    def count(self, start: int) -> int:
        """Scans that all processes of a start have recorded so far; reads only what is new."""
        for path in self.folder.glob(f"{start:04d}-*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read[path])
                added = file.read()
            self._read[path] += len(added)
            self._lines[start] += added.count(b"\n")
        return self._lines[start]

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))


class Writer:
    """Appends records to one file; each is on the disk when `add` returns."""

    def __init__(self, path: Path):
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        except OSError as error:
            raise storage_error(error, path) from error

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, record: dict[str, Any]) -> None:
        """Append a record.

        Raises:
            StorageError: the disk is full, for instance.
        """
        try:
            self._file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(error, self._path) from error


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Where each whole line begins, and what it holds; a line cut short by a kill is left out."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, json.loads(line)
            offset += len(line)
