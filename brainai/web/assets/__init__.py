"""Style sheets and scripts of the page, read as text."""

from pathlib import Path


def asset(name: str) -> str:
    """The text of a file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
