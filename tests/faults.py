"""Disks that are full and files that are damaged, for tests."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from brainai.data.seals import SealedWriter


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may grow beyond `limit` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def damage(path: Path, how: str) -> None:
    """Cut a file in half, empty it, or change one byte near its start, its middle or its end."""
    content = bytearray(path.read_bytes())
    places = {"start": 0.02, "middle": 0.5, "end": 0.97}
    if how in places:
        content[int(len(content) * places[how])] ^= 0x15
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b""}.get(how, content))


def seal(path: Path) -> None:
    """Put a seal on a file, as if the program had written it."""
    content = path.read_bytes()
    with path.open("wb") as file:
        writer = SealedWriter(file)
        writer.write(content)
        writer.close()


every_damage = pytest.mark.parametrize("how", ["cut", "empty", "start", "middle", "end"])


def listing(folder: Path) -> dict[str, bytes]:
    """All files of a folder and what they hold."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
