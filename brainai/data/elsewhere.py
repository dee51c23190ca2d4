"""Pictures and scans of a folder that hold no axial FLAIR slice: what a data set lacks to teach
“Cannot judge” (`brainai.training.scope`) and to measure it. No torch in here.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brainai.data.file_names import as_text
from brainai.data.images import decode, prepare_slice, stretch
from brainai.data.packed import SCAN_SUFFIXES
from brainai.data.volumes import Volume, keep_quiet, read_volume
from brainai.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
KEPT_OUT = 4  # one of so many files trains nothing, to measure with


class Decoys(NamedTuple):
    """What one file holds.

    name: of the file.
    is_scan: a volume, cut into axial slices from the lowest to the highest; else one picture.
    planes: `[n, S, S]` uint8, prepared as the network sees them; no slice of one gray level.
    kept_out: it is one of those that train nothing.
    """

    name: str
    is_scan: bool
    planes: np.ndarray
    kept_out: bool


def read_decoys(folder: str | Path, size: int) -> Iterator[Decoys]:
    """Every picture and scan (NIfTI, MetaImage) below a folder, in the order of the names.

    Whoever names the folder vouches that none shows axial FLAIR slices. A file that cannot be read
    as one picture or one volume is left out; a line on stderr says how many were.

    Args:
        size: side of the prepared slices, pixels.
    Raises:
        DataError: there is nothing of the kind in the folder.
    """
    keep_quiet()
    folder = Path(folder)
    paths = [path for path in sorted(folder.rglob("*")) if _is_scan(path) or _is_picture(path)]
    failed, found = 0, False
    for path in paths:
        try:
            planes = _slices(path, size)
        except DataError:
            failed += 1
            continue
        found = True
        yield Decoys(path.name, _is_scan(path), planes, is_kept_out(path.name))
    if failed:
        print(f"{folder}: left out {failed} files: no gray picture, no volume.", file=sys.stderr)
    if not found:
        raise DataError(
            f"{folder}: expected pictures or scans that are no axial FLAIR slices, found none. "
            "Name a folder that holds PNG, JPEG, TIFF, NIfTI or MetaImage files."
        )


def is_kept_out(name: str) -> bool:
    """Whether a file of this name trains nothing: one of four by chance, and always the same."""
    digest = hashlib.sha256(as_text(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") % KEPT_OUT == 0


def axial_slices(volume: Volume, size: int) -> np.ndarray:
    """The slices of a volume as the network sees them, lowest first, `[n, S, S]` uint8; those of
    one gray level are left out."""
    planes = (volume.voxels[:, :, k].T for k in range(volume.voxels.shape[2]))
    return _levels([stretch(p, *volume.square_size) for p in planes if p.min() < p.max()], size)


def _slices(path: Path, size: int) -> np.ndarray:
    if not _is_scan(path):
        return _levels([decode(path)], size)
    return axial_slices(read_volume(path), size)


def _levels(planes: list[np.ndarray], size: int) -> np.ndarray:
    prepared = [np.rint(prepare_slice(plane, size) * 255).astype(np.uint8) for plane in planes]
    return np.stack(prepared) if prepared else np.empty((0, size, size), np.uint8)


def _is_scan(path: Path) -> bool:
    return path.name.lower().endswith(SCAN_SUFFIXES)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES
