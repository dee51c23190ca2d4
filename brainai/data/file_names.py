"""Handle file names that are not UTF-8, such as "Müller" in Latin-1 on older Linux disks.

Python represents such a byte by a surrogate, which text files and C++ libraries do not accept.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def as_text(name: str) -> str:
    """Return a name as valid text, in which a byte that is not UTF-8 is replaced by its number.

    Example:
        >>> as_text("M\\udcfcller")
        'M\\\\udcfcller'
    """
    return name.encode(errors="backslashreplace").decode()


@contextmanager
def readable_names(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield the paths with valid UTF-8 names, because ITK ends the process on other names.

    A path with another name is replaced by a link, which is removed at the end of the block.
    """
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
