"""Read a folder of pictures and scans that are not axial FLAIR slices, without importing torch.

A data set lacks such pictures, which train and measure “Cannot judge” (`brainai.training.scope`).
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brainai.data.file_names import PICTURE_SUFFIXES, SCAN_SUFFIXES, as_text
from brainai.data.images import decode, prepare_slice, stretch
from brainai.data.volumes import Volume, keep_quiet, read_volume
from brainai.errors import DataError

KEPT_OUT = 4  # one of this many files is not used for training but for measuring


class Decoys(NamedTuple):
    """The slices of one file.

    name: name of the file.
    is_scan: whether it is a volume, cut into axial slices from bottom to top, or a single picture.
    planes: `[n, S, S]` uint8, prepared for the network, without slices of a single gray level.
    kept_out: whether the file is kept out of training to measure with it.
    """

    name: str
    is_scan: bool
    planes: np.ndarray
    kept_out: bool


def read_decoys(folder: str | Path, size: int) -> Iterator[Decoys]:
    """Yield all pictures and scans (NIfTI, MetaImage) under a folder, in the order of their names.

    The caller is responsible for the folder holding no axial FLAIR slices. Files that cannot be
    read as one picture or one volume are left out, and a line on stderr gives their number.

    Args:
        size: side of the prepared slices, pixels.
    Raises:
        DataError: the folder holds no such file that can be read.
    """
    keep_quiet()
    failed, found = 0, False
    for path in find_decoys(folder):
        try:
            planes = _slices(path, size)
        except DataError:
            failed += 1
            continue
        found = True
        yield Decoys(path.name, _is_scan(path), planes, is_kept_out(path.name))
    if failed:
        print(
            f"{folder}: left out {failed} files that are neither a gray picture nor a volume.",
            file=sys.stderr,
        )
    if not found:
        raise _none(folder)


def find_decoys(folder: str | Path) -> list[Path]:
    """Return the pictures and scans under a folder, by their names, in the order of their names.

    Raises:
        DataError: the folder holds no such file.
    """
    paths = sorted(Path(folder).rglob("*"))
    named = [path for path in paths if _is_scan(path) or _is_picture(path)]
    if not named:
        raise _none(folder)
    return named


def is_kept_out(name: str) -> bool:
    """Return whether a file of this name is kept out of training: one in four, by its hash."""
    digest = hashlib.sha256(as_text(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") % KEPT_OUT == 0


def axial_slices(volume: Volume, size: int) -> np.ndarray:
    """Return the slices of a volume prepared for the network, from bottom to top.

    Slices of a single gray level are left out.

    Returns:
        `[n, S, S]` uint8.
    """
    planes = (volume.voxels[:, :, k].T for k in range(volume.voxels.shape[2]))
    return _levels([stretch(p, *volume.square_size) for p in planes if p.min() < p.max()], size)


def _none(folder: str | Path) -> DataError:
    return DataError(
        f"{folder}: expected pictures or scans other than axial FLAIR slices, found none. "
        "Name a folder that holds PNG, JPEG, TIFF, BMP, WebP, NIfTI or MetaImage files."
    )


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
    return path.suffix.lower() in PICTURE_SUFFIXES
