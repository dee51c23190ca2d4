"""Tell by the name of a file what it holds, and handle names that are not UTF-8.

A name such as "Müller" in Latin-1, from an older Linux disk, is not UTF-8. Python represents such a
byte by a surrogate, which text files and C++ libraries do not accept.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

NIFTI_SUFFIXES = (".nii", ".nii.gz")
NIFTI_PAIRS = ((".hdr", ".img"), (".hdr.gz", ".img.gz"))  # header and voxels in two files
PAIR_SUFFIXES = tuple(suffix for pair in NIFTI_PAIRS for suffix in pair)
SCAN_SUFFIXES = (*NIFTI_SUFFIXES, ".mha", ".mhd")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
# Digits may follow or precede "t2f", as in 01t2f and t2f2. With a letter it is another word.
SAYS_FLAIR = re.compile(r"flair|(?<![a-z])t2f(?![a-z])", re.IGNORECASE)


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
