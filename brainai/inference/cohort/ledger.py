"""The records of judged scans: a line of JSON for each, on disk before the next scan begins.

    OUT/.cohort/run.json                the weights used here; other weights are refused
    OUT/.cohort/records/0003-0001.jsonl lines of process 1 in the third start

Each process writes its own file, so that no process waits and no line is broken. A line is written
after the files it describes. After a kill, exactly the scans without a complete line are judged
again.
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
FAILED = "failed"  # an error of the program, not of the scan; the next start tries again


class RecordPlace(NamedTuple):
    """The position of a scan's line, and the values that decide whether it is still valid."""

    path: Path
    offset: int
    files: dict[str, str]
    status: str
    stamps: list[list[int] | None]


def stamps(root: Path, scan: Scan) -> list[list[int] | None]:
    """Return size and modification time of each file of a scan; None for a missing file."""
    values: list[list[int] | None] = []
    for _, path in scan.files:
        try:
            state = (root / path).stat()
        except OSError:
            values.append(None)
        else:
            values.append([state.st_size, state.st_mtime_ns])
    return values


class Ledger:
    """The records under an output folder."""

    def __init__(self, out: Path):
        self.folder = out / HIDDEN / "records"
        self._run = out / HIDDEN / "run.json"
        self._read: Counter[Path] = Counter()  # bytes of each file that `count` has read
        self._lines: Counter[int] = Counter()  # lines of each start that `count` has read

    def claim(self, revision: str) -> None:
        """Record the weights used in this folder.

        Raises:
            ConfigError: the folder holds answers of other weights.
        """
        run = {"format_version": LEDGER_FORMAT, "model_revision": revision}
        if not self._run.exists():
            write_text(self._run, json.dumps(run) + "\n")
            return
        earlier = json.loads(self._run.read_text())
        if earlier != run:
            raise ConfigError(
                f"--out {self._run.parents[1]}: expected answers of the weights {revision}, found "
                f"some of {earlier.get('model_revision')}. Choose another folder, or the same "
                "model."
            )

    def places(self) -> dict[str, RecordPlace]:
        """Return the position of the last complete line of each scan, by name."""
        places = {}
        for path in self._files():
            for offset, record in _lines(path):
                values = (record[key] for key in ("files", "status", "stamps"))
                places[record["scan"]] = RecordPlace(path, offset, *values)
        return places

    def pending(self, cohort: Cohort) -> list[Scan]:
        """Return the scans to judge, in order.

        These are scans without an answer, scans whose answer belongs to other files, and scans that
        could not be used but whose files have changed since.
        """
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
        """Yield the record of each scan that has one, in order, without keeping them in memory."""
        places = self.places()
        for scan in scans:
            if (place := places.get(scan.name)) is not None:
                with place.path.open("rb") as file:
                    file.seek(place.offset)
                    yield json.loads(file.readline())

    def next_start(self) -> int:
        """Return the number of the next start."""
        return 1 + max((int(path.name.split("-")[0]) for path in self._files()), default=0)

    def writer(self, start: int, process: int) -> "Writer":
        """Return the writer of a process in a start."""
        return Writer(self.folder / f"{start:04d}-{process:04d}.jsonl")

    def count(self, start: int) -> int:
        """Return how many scans a start has recorded so far; only new lines are read."""
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
    """Appends records to a file; each is on disk when `add` returns."""

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
            StorageError: the file cannot be written, for instance because the disk is full.
        """
        try:
            self._file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(error, self._path) from error


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield offset and content of each complete line; a kill may leave an incomplete one."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, json.loads(line)
            offset += len(line)
