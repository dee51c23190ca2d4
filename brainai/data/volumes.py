"""One scan file → `Volume`: voxels in one orientation, whatever its header says; and a mask back
into the file's own geometry. With `dicom.py` and `dicom_headers.py`, the only user of SimpleITK.

`read_volume` runs in the process that calls it. For files of strangers use `scans.read_scan`.

Orientation is LPS: x grows to the patient's left, y to the back, z to the head. A slice is shown
as `voxels[:, :, k].T`, `[H, W]`: front of the head up, patient's right on the left of the picture.
"""

import gzip
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

from brainai.data.files import write_whole
from brainai.data.headers import check_place, shear
from brainai.data.kinds import GZIP, METAIMAGE, first_bytes, is_nifti, kind_of
from brainai.data.metaimage import metaimage_bytes, read_metaimage
from brainai.data.nifti import nifti_bytes, read_nifti, read_nifti_volumes
from brainai.data.voxels import Stored
from brainai.errors import DataError, StorageError

NIFTI_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz")
MASK_SUFFIXES = (".nii.gz", ".nii", ".mha")
LPS = (("R", "L"), ("A", "P"), ("I", "S"))  # where each axis comes from, and where it goes
MAX_PIXEL_MM = 2.5  # larger ones within an axial slice are the thickness of other slices
NOTED_SHEAR = 0.001  # a cosine: 0.2 mm over the width of a head
GRID_TOLERANCE_MM = 0.01  # headers round; a hundredth of a voxel moves nothing


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie, and how its file orders them: enough to write a mask that
    lies over the file in any viewer. Fields as in `Volume`."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    stored_axes: str
    place: dict[str, Any] | None = None

    def heights_mm(self) -> np.ndarray:
        """How high the middle of each slice lies, `[Z]` float, mm towards the head by the header's
        coordinates."""
        towards_head = np.reshape(self.direction, (3, 3))[2] * self.spacing_mm
        middle = (np.array(self.shape[:2]) - 1) / 2
        start = self.origin_mm[2] + towards_head[:2] @ middle
        return start + towards_head[2] * np.arange(self.shape[2])


@dataclass(frozen=True)
class Volume:
    """One sequence of one study, or its segmentation.

    voxels: `[X, Y, Z]` in LPS orientation, in the number type of the file.
    spacing_mm: size of a voxel along x, y, z.
    origin_mm: where voxel (0, 0, 0) lies, in LPS coordinates.
    direction: nine numbers, row by row: columns are the axes of x, y, z.
    stored_axes: the orientation in the file, three letters such as "RAS".
    place: the fields of a NIfTI header that say where the voxels lie; None of other files.
    header_text: what the header says in words (description, names, history), "" where nothing.
    note: what the reader chose among several things, fit for a visitor; "" where nothing.
    """

    voxels: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    stored_axes: str = "LPS"
    place: dict[str, Any] | None = None
    header_text: str = ""
    note: str = ""

    @property
    def grid(self) -> Grid:
        """The place of the voxels, without them."""
        return Grid(
            self.voxels.shape, self.spacing_mm, self.origin_mm, self.direction, self.stored_axes,
            self.place,
        )  # fmt: skip

    @property
    def square_size(self) -> tuple[int, int]:
        """Height and width of its axial slices with square pixels, of the smaller side."""
        (x, y, _), (width, height, _) = self.spacing_mm, self.voxels.shape
        return round(height * y / min(x, y)), round(width * x / min(x, y))

    def has_grid_of(self, other: "Volume") -> bool:
        """True where both have their voxels at the same places."""
        return self.voxels.shape == other.voxels.shape and all(
            np.abs(np.subtract(mine, others)).max() < GRID_TOLERANCE_MM
            for mine, others in (
                (self.spacing_mm, other.spacing_mm),
                (self.origin_mm, other.origin_mm),
                (self.direction, other.direction),
            )
        )


def use_one_thread() -> None:
    """Keep SimpleITK to one thread: where each core has its own worker, more only disturb."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def keep_quiet() -> None:
    """No warnings of SimpleITK on stderr: they quote file names and headers, which name people."""
    sitk.ProcessObject.GlobalWarningDisplayOff()


def read_volume(path: Path, called: str | None = None, allow_companion: bool = True) -> Volume:
    """Read a NIfTI or MetaImage file as a volume in LPS orientation, whatever its name says.

    Args:
        called: what errors call the file; its path if not given.
        allow_companion: whether a MetaImage header may name a data file of the same folder.
    Raises:
        DataError: damaged, cut short, too large, or no single three-dimensional volume of numbers.
    """
    called = called or str(path)
    begin = first_bytes(path)
    by_name = path.name.lower().endswith(NIFTI_SUFFIXES) and kind_of(begin) != METAIMAGE
    if by_name or is_nifti(begin) or begin.startswith(GZIP):
        return oriented(read_nifti(path, called), called)
    return oriented(read_metaimage(path, called, allow_companion), called)


def read_volumes(path: Path, count: int) -> list[Volume]:
    """Read a NIfTI file that holds `count` volumes, as volumes in LPS orientation.

    Raises:
        DataError: as `read_volume`, or another number of volumes.
    """
    called = str(path)
    return [oriented(stored, called) for stored in read_nifti_volumes(path, called, count)]


def oriented(stored: Stored, called: str, note: str = "") -> Volume:
    """Turn what a file holds into LPS orientation, along the axes nearest to the body's.

    Raises:
        DataError: the header places the voxels as no scanner does.
    """
    check_place(stored.affine, stored.voxels.shape, called)
    if (cosine := shear(stored.affine)) > NOTED_SHEAR:
        degrees = np.degrees(np.arcsin(cosine))
        sheared = (
            f"The axes in its header are {degrees:.1f}° off right angles; they were taken as at "
            "right angles."
        )
        note = f"{note} {sheared}".strip()
    turn = io_orientation(stored.affine)
    voxels = apply_orientation(stored.voxels, turn)
    affine = stored.affine @ inv_ornt_aff(turn, stored.voxels.shape)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    # The nearest axes at right angles: headers round, and some are a little oblique.
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    return Volume(
        voxels,
        tuple(spacing.tolist()),
        tuple(affine[:3, 3].tolist()),
        tuple((left @ right).ravel().tolist()),
        "".join(aff2axcodes(stored.affine, labels=LPS)),
        stored.place,
        stored.text,
        note,
    )


def write_mask(path: Path, mask: np.ndarray, grid: Grid) -> None:
    """Write a mask over the file that `grid` comes from, aside first and then renamed.

    The file has the orientation, the number of voxels and the places of that file, and no text. A
    NIfTI mask of a NIfTI file takes over its qform, sform and codes; a MetaImage lies where the
    sform puts it.

    Args:
        path: ends in .nii.gz, .nii or .mha.
        mask: `[X, Y, Z]` bool in LPS, of the grid's shape; written as 0 and 1, uint8.
    Raises:
        DataError: another ending, or a place that cannot be written to.
    """
    suffix = next((s for s in MASK_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(MASK_SUFFIXES)}.")
    try:
        with write_whole(path) as file:
            file.write(_mask_bytes(mask.astype(np.uint8), grid, suffix))
    except StorageError as error:
        raise DataError(f"{path}: expected a place to write the mask to, found none.") from error


def _mask_bytes(mask: np.ndarray, grid: Grid, suffix: str) -> bytes:
    turn = ornt_transform(axcodes2ornt("LPS", LPS), axcodes2ornt(grid.stored_axes, LPS))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(grid.direction, (3, 3)) * grid.spacing_mm
    affine[:3, 3] = grid.origin_mm
    affine = affine @ inv_ornt_aff(turn, mask.shape)
    stored = apply_orientation(mask, turn)
    if suffix == ".mha":
        return metaimage_bytes(stored, affine)
    content = nifti_bytes(stored, affine, grid.place)
    return gzip.compress(content, mtime=0) if suffix == ".nii.gz" else content


def resample(volume: Volume, grid: Volume) -> Volume:
    """The volume on the voxels of `grid`, placed by both headers; linear, 0 outside."""
    if volume.has_grid_of(grid):
        return volume
    image = sitk.Resample(
        sitk.Cast(_to_image(volume), sitk.sitkFloat32), _to_image(grid), sitk.Transform(),
        sitk.sitkLinear, 0.0,
    )  # fmt: skip
    voxels = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    return replace(
        grid, voxels=voxels, stored_axes=volume.stored_axes, header_text=volume.header_text,
        note=volume.note,
    )  # fmt: skip


def _to_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction)
    return image
