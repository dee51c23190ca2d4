"""The results as tables with a row for each scan and for each slice, as CSV and as Parquet.

Rows are written scan by scan, so that the memory does not grow with their number. Parquet files
need pyarrow, which is not a requirement: without it, only CSV files are written.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from brainai.data.dataset import LABEL_NAMES
from brainai.data.files import write_whole
from brainai.inference.cohort.ledger import JUDGED

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:
    pyarrow = parquet = None

WRITES_PARQUET = pyarrow is not None
SCAN_COLUMNS = {
    "scan": "string",
    "status": "string",
    "label": "string",
    "probability": "float64",
    "threshold": "float64",
    "volume_ml": "float64",
    "largest_area_cm2": "float64",
    "slices": "int32",
    "slices_judged": "int32",
    "slices_tumor": "int32",
    "strongest_slice": "int32",
    "reason": "string",
    "code": "string",
    "seconds": "float64",
    "read_seconds": "float64",
    "model_revision": "string",
    "flair": "string",
    "t1c": "string",
    "t2": "string",
    "mask": "string",
    "notes": "string",
}
SLICE_COLUMNS = {
    "scan": "string",
    "index": "int32",
    "position_mm": "float64",
    "probability": "float64",
    "label": "string",
    "area_cm2": "float64",
}
ROWS_AT_ONCE = 50_000  # rows of a Parquet row group


def scan_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a scan, with the keys of `SCAN_COLUMNS`; missing values are None.

    Args:
        record: a record of `judge_scans`.
    """
    answer = record["answer"] or {}
    slices = answer.get("slices", [])
    judged = record["status"] == JUDGED
    labels = [row["label"] for row in slices if row["label"]]
    values = {
        **record,
        **record["files"],
        "label": answer.get("label"),
        "probability": answer.get("probability"),
        "threshold": answer.get("threshold"),
        "volume_ml": answer.get("volume_ml"),
        "largest_area_cm2": answer.get("area_cm2"),
        "slices": len(slices) if judged else None,
        "slices_judged": len(labels) if judged else None,
        "slices_tumor": labels.count(LABEL_NAMES[1]) if judged else None,
        "mask": answer.get("mask"),
        "notes": " ".join(answer.get("notes", [])) or None,
    }
    return {name: values.get(name) for name in SCAN_COLUMNS}


def slice_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a scan's slices, lowest first; none if the scan was not judged."""
    for row in (record["answer"] or {}).get("slices", []):
        yield {"scan": record["scan"], **row}


class Tables:
    """The open tables of an output folder."""

    def __init__(self, scans: list["Table"], slices: list["Table"]):
        self._scans, self._slices = scans, slices

    def add(self, record: dict[str, Any]) -> None:
        """Add the rows of a scan."""
        for table in self._scans:
            table.add(scan_row(record))
        for row in slice_rows(record):
            for table in self._slices:
                table.add(row)


@contextmanager
def open_tables(out: Path) -> Iterator[Tables]:
    """Open results.csv and slices.csv, and also .parquet files if pyarrow is installed.

    The complete files appear when the block ends.

    Raises:
        StorageError: the folder cannot be written to.
    """
    kinds: list[type[Table]] = [CsvTable, *([ParquetTable] if WRITES_PARQUET else [])]
    with ExitStack() as files:
        tables: list[list[Table]] = []
        for name, columns in (("results", SCAN_COLUMNS), ("slices", SLICE_COLUMNS)):
            tables.append([])
            for kind in kinds:
                file = files.enter_context(write_whole(out / f"{name}.{kind.suffix}"))
                tables[-1].append(kind(file, columns))
        yield Tables(*tables)
        for table in (*tables[0], *tables[1]):
            table.close()


class CsvTable:
    """Rows as CSV, with empty cells for missing values."""

    suffix = "csv"

    def __init__(self, file: BinaryIO, columns: dict[str, str]):
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._writer = csv.DictWriter(self._text, columns)
        self._writer.writeheader()

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self._writer.writerow(row)

    def close(self) -> None:
        """Detach from the file, which its opener closes."""
        self._text.detach()


class ParquetTable:
    """Rows as Parquet, with null for missing values."""

    suffix = "parquet"

    def __init__(self, file: BinaryIO, columns: dict[str, str]):
        types = [(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()]
        self._schema = pyarrow.schema(types)
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Add a row; rows are written in groups."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write the remaining rows and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
            self._rows = []


Table = CsvTable | ParquetTable
