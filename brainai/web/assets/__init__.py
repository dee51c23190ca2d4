"""Style sheets and scripts of the page, read as text."""

from pathlib import Path


def asset(name: str) -> str:
    """Return the text of a file in this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
