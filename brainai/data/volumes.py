"""Read one scan file as a `Volume` in LPS orientation, and write a mask in the file's geometry.

`read_volume` runs in the calling process. Use `scans.read_scan` for files from untrusted sources.
SimpleITK is used only here, in `dicom.py` and in `dicom_headers.py`.

In LPS orientation x grows towards the patient's left, y towards the back and z towards the head.
`voxels[:, :, k].T`, `[H, W]`, shows a slice with the front of the head up and the patient's right
on the left of the picture.
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

from brainai.data.file_names import NIFTI_SUFFIXES, PAIR_SUFFIXES
from brainai.data.files import write_whole
from brainai.data.headers import check_place, shear
from brainai.data.kinds import GZIP, METAIMAGE, first_bytes, is_nifti, kind_of
from brainai.data.metaimage import metaimage_bytes, read_metaimage
from brainai.data.nifti import nifti_bytes, read_nifti, read_nifti_volumes
from brainai.data.voxels import Stored
from brainai.errors import DataError, StorageError

MASK_SUFFIXES = (".nii.gz", ".nii", ".mha")
LPS = (("R", "L"), ("A", "P"), ("I", "S"))  # where each axis starts and where it points
MAX_AXIAL_PIXEL_MM = 2.5  # larger pixels of axial slices come from thick sagittal or coronal slices
NOTED_SHEAR = 0.001  # a cosine: 0.2 mm over the width of a head
GRID_TOLERANCE_MM = 0.01  # headers are rounded; a hundredth of a voxel makes no difference


@dataclass(frozen=True)
class Grid:
    """The geometry of a volume and the order of axes in its file.

    This is enough to write a mask that lies over the file in any viewer. The fields are those of
    `Volume`.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    stored_axes: str
    place: dict[str, Any] | None = None

    def heights_mm(self) -> np.ndarray:
        """Return the height of the middle of each slice, `[Z]` float.

        Heights are in mm towards the head, in the coordinates of the header.
        """
        towards_head = np.reshape(self.direction, (3, 3))[2] * self.spacing_mm
        middle = (np.array(self.shape[:2]) - 1) / 2
        start = self.origin_mm[2] + towards_head[:2] @ middle
        return start + towards_head[2] * np.arange(self.shape[2])


@dataclass(frozen=True)
class Volume:
    """One sequence of one study, or its segmentation.

    voxels: `[X, Y, Z]` in LPS orientation, in the number type of the file.
    spacing_mm: size of a voxel along x, y, z.
    origin_mm: LPS coordinates of voxel (0, 0, 0).
    direction: nine numbers, row by row; the columns are the axes of x, y, z.
    stored_axes: the orientation in the file, three letters such as "RAS".
    place: the fields of a NIfTI header that say where the voxels lie; None for other files.
    header_text: the text fields of the header (description, names, history), or "".
    note: what the reader chose or assumed, in words that may be shown to a visitor, or "".
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
        """The geometry of the volume without its voxels."""
        return Grid(
            self.voxels.shape, self.spacing_mm, self.origin_mm, self.direction, self.stored_axes,
            self.place,
        )  # fmt: skip

    @property
    def square_size(self) -> tuple[int, int]:
        """Height and width of the axial slices when resampled to square pixels.

        A pixel then has the length of its shorter side.
        """
        (x, y, _), (width, height, _) = self.spacing_mm, self.voxels.shape
        return round(height * y / min(x, y)), round(width * x / min(x, y))

    def has_grid_of(self, other: "Volume") -> bool:
        """Return whether the voxels of both volumes lie at the same places."""
        return self.voxels.shape == other.voxels.shape and all(
            np.abs(np.subtract(mine, others)).max() < GRID_TOLERANCE_MM
            for mine, others in (
                (self.spacing_mm, other.spacing_mm),
                (self.origin_mm, other.origin_mm),
                (self.direction, other.direction),
            )
        )


def use_one_thread() -> None:
    """Limit SimpleITK to one thread, because each core has a worker process of its own."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def keep_quiet() -> None:
    """Turn off SimpleITK's warnings on stderr: they quote names of files and of patients."""
    sitk.ProcessObject.GlobalWarningDisplayOff()


def read_volume(path: Path, called: str | None = None, allow_companion: bool = True) -> Volume:
    """Read a NIfTI or MetaImage file as a volume in LPS orientation.

    The content of the file decides its format, not its name.

    Args:
        called: the name of the file in error messages; its path if not given.
        allow_companion: whether a MetaImage header may name a data file in the same folder.
    Raises:
        DataError: the file is damaged, truncated or too large, or it does not hold exactly one
            three-dimensional volume of numbers.

    Example:
        >>> volume = read_volume(Path("examples/tumor_scan_flair.nii.gz"))
        >>> len(volume.voxels.shape)
        3
    """
    called = called or str(path)
    begin = first_bytes(path)
    suffixes = (*NIFTI_SUFFIXES, *PAIR_SUFFIXES)
    by_name = path.name.lower().endswith(suffixes) and kind_of(begin) != METAIMAGE
    if by_name or is_nifti(begin) or begin.startswith(GZIP):
        return oriented(read_nifti(path, called), called)
    return oriented(read_metaimage(path, called, allow_companion), called)


def read_volumes(path: Path, count: int) -> list[Volume]:
    """Read a NIfTI file with `count` volumes, each in LPS orientation.

    Raises:
        DataError: as in `read_volume`, or the file holds another number of volumes.
    """
    called = str(path)
    return [oriented(stored, called) for stored in read_nifti_volumes(path, called, count)]


def oriented(stored: Stored, called: str, note: str = "") -> Volume:
    """Turn the content of a file into LPS orientation, along the axes nearest to the body's.

    Raises:
        DataError: the header gives sizes or places that no scanner produces.
    """
    check_place(stored.affine, stored.voxels.shape, called)
    if (cosine := shear(stored.affine)) > NOTED_SHEAR:
        degrees = np.degrees(np.arcsin(cosine))
        sheared = (
            f"The axes in its header deviate from right angles by {degrees:.1f}°; they were "
            "treated as right angles."
        )
        note = f"{note} {sheared}".strip()
    turn = io_orientation(stored.affine)
    voxels = apply_orientation(stored.voxels, turn)
    affine = stored.affine @ inv_ornt_aff(turn, stored.voxels.shape)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    # The nearest orthogonal axes: headers are rounded, and some axes are a little sheared.
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
    """Write a mask that lies over the scan file that `grid` comes from.

    The mask file has the orientation, the shape and the geometry of the scan file, and no text. A
    NIfTI mask of a NIfTI scan keeps its qform, sform and codes; a MetaImage mask is placed by the
    sform. The file appears complete or not at all.

    Args:
        path: a name that ends in .nii.gz, .nii or .mha.
        mask: `[X, Y, Z]` bool in LPS orientation, of the grid's shape; written as 0 and 1, uint8.
        grid: the geometry of the scan, `Volume.grid`.
    Raises:
        DataError: the name has another ending, or the path cannot be written to.
    """
    suffix = next((s for s in MASK_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(MASK_SUFFIXES)}.")
    try:
        with write_whole(path) as file:
            file.write(_mask_bytes(mask.astype(np.uint8), grid, suffix))
    except StorageError as error:
        raise DataError(
            f"{path}: expected a path that the mask can be written to, but writing failed. Choose "
            "another folder or free some space."
        ) from error


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
    """Resample a volume onto the voxels of `grid`, linearly and with 0 outside of the volume.

    Both headers say where the voxels lie.
    """
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
