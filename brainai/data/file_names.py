"""File names that are no UTF-8, as older Linux disks hold them: "Müller" in Latin-1.

Python holds such a byte as half a character, which no text file and no library in C++ takes.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def as_text(name: str) -> str:
    """A name that can be written: a byte that is no UTF-8 becomes its number, never the same as
    that of another byte."""
    return name.encode(errors="backslashreplace").decode()


@contextmanager
def readable_names(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """The paths, each of them with a name in UTF-8: the others get links for as long as they are
    read. ITK ends the process on their own names."""
    paths = list(paths)
    odd = [path for path in paths if as_text(str(path)) != str(path)]
    if not odd:
        yield paths
        return
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        links = {path: Path(folder) / f"{number:05d}" for number, path in enumerate(odd)}
        for path, link in links.items():
            link.symlink_to(path.absolute())
        yield [links.get(path, path) for path in paths]
