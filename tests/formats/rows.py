"""The rows of docs/formats.md: files that people provide, and the result of reading them.

Each row builds its file anew. `python tests/formats/rows.py` writes the tables of the page.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "formats.md"
READ = "read"


@dataclass(frozen=True)
class Row:
    """One kind of file, and the result of reading it.

    what: the file in the words of the person who has it.
    outcome: `READ`, `READ` and a note, or the error message; "…" stands for parts that differ from
        file to file.
    build: writes the file or folder into an empty folder, and returns its path.
    """

    what: str
    outcome: str
    build: Callable[[Path], Path]

    @property
    def is_read(self) -> bool:
        return self.outcome.split(":")[0] == READ

    def line(self) -> str:
        """The row as a line of a Markdown table."""
        return f"| {self.what} | {self.outcome} |"

    def says(self, message: str) -> bool:
        """Whether a message is the one that this row promises."""
        promised = self.outcome.removeprefix(f"{READ}: ")
        pattern = ".*".join(re.escape(part) for part in promised.split("…"))
        return re.fullmatch(pattern, message, re.DOTALL) is not None


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    return "\n".join(["| Input | Result |", "|---|---|", *(r.line() for r in rows)])


def written(page: str, tables: dict[str, list[Row]]) -> str:
    """The page with its tables rewritten, each between its two markers."""
    for name, rows in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{table(rows)}\n{end}{after}"
    return page


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from formats.all_rows import TABLES

    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
