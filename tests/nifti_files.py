"""NIfTI files for tests, written by nibabel: every way in which a header says where voxels lie."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np

SHAPE = (32, 36, 6)
SPOT = (slice(3, 5), slice(20, 26), slice(1, 2))  # far from the middle, whatever axis is turned
PLACE = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
RAS = np.array([[2.0, 0, 0, -30], [0, 2.0, 0, -40], [0, 0, 5.0, -10], [0, 0, 0, 1]])
LAS = np.array([[-2.0, 0, 0, 32], [0, 2.0, 0, -40], [0, 0, 5.0, -10], [0, 0, 0, 1]])
MOVED = np.array([[2.0, 0, 0, -10], [0, 2.0, 0, -40], [0, 0, 5.0, -10], [0, 0, 0, 1]])  # 20 mm
TURNED = np.array([[0.0, 0, 5.0, -10], [-1.6, 1.2, 0, 20], [1.2, 1.6, 0, -40], [0, 0, 0, 1]])


def voxels() -> np.ndarray:
    """`[X, Y, Z]` int16 in the file's order of axes: a spot of 300 in 100."""
    found = np.full(SHAPE, 100, np.int16)
    found[SPOT] = 300
    return found


def write(path: Path, qform: tuple, sform: tuple, kind=nibabel.Nifti1Image) -> Path:
    """A file with these affines (None leaves the numbers as nibabel begins them) and codes."""
    image = kind(voxels(), None)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(*qform)
    image.set_sform(*sform)
    nibabel.save(image, path)
    return path


def overwrite(path: Path, at: int, numbers: np.ndarray) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + numbers.nbytes] = numbers.tobytes()
    path.write_bytes(bytes(content))


def in_meters(path: Path) -> Path:
    meters = np.diag([0.001, 0.001, 0.001, 1])
    image = nibabel.Nifti1Image(voxels(), None)
    image.set_qform(meters @ RAS, 1)
    image.set_sform(meters @ MOVED, 2)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, path)
    return path


def without_qfac(path: Path) -> Path:
    """pixdim[0] is 0, which counts as 1."""
    overwrite(write(path, (RAS, 1), (None, 0)), 76, np.array([0], "<f4"))
    return path


def sizes_below_zero(path: Path) -> Path:
    overwrite(write(path, (RAS, 1), (MOVED, 1)), 80, np.array([-2, 2, 5], "<f4"))
    return path


# Codes are those of qform and sform.
KINDS: dict[str, Callable[[Path], Path]] = {
    "its sform 20 mm from its qform": lambda path: write(path, (RAS, 1), (MOVED, 1)),
    "an oblique qform and an aligned sform": lambda path: write(path, (TURNED, 1), (LAS, 2)),
    "codes 0 and 0": lambda path: write(path, (None, 0), (None, 0)),
    "codes 0 and 0, and numbers all the same": lambda path: write(path, (RAS, 0), (MOVED, 0)),
    "codes 1 and 0": lambda path: write(path, (TURNED, 1), (None, 0)),
    "codes 0 and 1": lambda path: write(path, (RAS, 0), (MOVED, 1)),
    "codes 4 (MNI) and 1": lambda path: write(path, (MOVED, 4), (RAS, 1)),
    "codes 1 and 4 (MNI)": lambda path: write(path, (RAS, 1), (MOVED, 4)),
    "pixdim[0] = -1": lambda path: write(path, (LAS, 1), (None, 0)),
    "pixdim[0] = 0": without_qfac,
    "voxel sizes below 0": sizes_below_zero,
    "meters as its unit": in_meters,
    "radiological storage": lambda path: write(path, (LAS, 1), (LAS, 1)),
    "neurological storage": lambda path: write(path, (RAS, 1), (RAS, 1)),
    "oblique axes": lambda path: write(path, (TURNED, 1), (TURNED, 1)),
    "a NIfTI-2 header": lambda path: write(path, (RAS, 1), (MOVED, 4), nibabel.Nifti2Image),
}
