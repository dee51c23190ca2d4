"""report.json: the version of its format, and the one way to read it."""

from pathlib import Path

from brainai.data.seals import unsealed
from brainai.errors import DataError

REPORT_FORMAT = 1


def read_report(path: str | Path) -> dict:
    """Read report.json.

    Returns:
        What `report.build_report` returned.
    Raises:
        DataError: the file is missing, damaged, or of another format version.
    """
    try:
        report = unsealed(Path(path).read_bytes())
    except (OSError, ValueError):
        report = {}
    if report.get("format_version") != REPORT_FORMAT:
        raise DataError(
            f"{path}: expected a report.json of this version, found none. Run the evaluation again."
        )
    return report


def report_of(path: str | Path, revision: str) -> dict | None:
    """Return the report of weights of this revision, or None if there is none that can be read.

    The weights can be used without a report.
    """
    try:
        report = read_report(path)
    except DataError:
        return None
    return report if report["about"]["model_revision"] == revision else None
