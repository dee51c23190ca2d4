"""One scan file → `Volume`: voxels in one orientation, whatever its header says; and a mask back
into the file's own geometry. With `dicom.py`, the only user of SimpleITK.

`read_volume` runs in the process that calls it. For files of strangers use `scans.read_scan`.

Orientation is LPS: x grows to the patient's left, y to the back, z to the head. A slice is shown
as `voxels[:, :, k].T`, `[H, W]`: front of the head up, patient's right on the left of the picture.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from nibabel.orientations import aff2axcodes, apply_orientation, inv_ornt_aff, io_orientation

from brainai.data.files import write_aside
from brainai.data.headers import check_place
from brainai.data.metaimage import read_metaimage
from brainai.data.nifti import read_nifti
from brainai.data.voxels import Stored
from brainai.errors import DataError, StorageError

MASK_SUFFIXES = (".nii.gz", ".nii", ".mha")
LPS = (("R", "L"), ("A", "P"), ("I", "S"))  # where each axis comes from, and where it goes
MAX_PIXEL_MM = 2.5  # larger ones within an axial slice are the thickness of other slices
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
    header_text: what the header says in words (description, names, history), "" where nothing.
    note: what the reader chose among several things, fit for a visitor; "" where nothing.
    """

    voxels: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    stored_axes: str = "LPS"
    header_text: str = ""
    note: str = ""

    @property
    def grid(self) -> Grid:
        """The place of the voxels, without them."""
        return Grid(
            self.voxels.shape, self.spacing_mm, self.origin_mm, self.direction, self.stored_axes
        )

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
    """Read a NIfTI or MetaImage file as a volume in LPS orientation.

    Args:
        called: what errors call the file; its path if not given.
        allow_companion: whether a MetaImage header may name a data file of the same folder.
    Raises:
        DataError: damaged, cut short, too large, or no single three-dimensional volume of numbers.
    """
    called = called or str(path)
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return oriented(read_nifti(path, called), called)
    return oriented(read_metaimage(path, called, allow_companion), called)


def oriented(stored: Stored, called: str, note: str = "") -> Volume:
    """Turn what a file holds into LPS orientation, along the axes nearest to the body's.

    Raises:
        DataError: the header places the voxels as no scanner does.
    """
    check_place(stored.affine, stored.voxels.shape, called)
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
        stored.text,
        note,
    )


def write_mask(path: Path, mask: np.ndarray, grid: Grid) -> None:
    """Write a mask over the file that `grid` comes from, aside first and then renamed.

    The file has the orientation, the number of voxels and the places of that file, and no text.

    Args:
        path: ends in .nii.gz, .nii or .mha.
        mask: `[X, Y, Z]` bool in LPS, of the grid's shape; written as 0 and 1, uint8.
    Raises:
        DataError: another ending, or a place that cannot be written to.
    """
    suffix = next((s for s in MASK_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(MASK_SUFFIXES)}.")
    volume = Volume(mask.astype(np.uint8), grid.spacing_mm, grid.origin_mm, grid.direction)
    image = sitk.DICOMOrient(_to_image(volume), grid.stored_axes)
    try:
        with write_aside(path, suffix=suffix) as partial:
            sitk.WriteImage(image, str(partial), useCompression=True)
    except (StorageError, RuntimeError) as error:
        raise DataError(f"{path}: expected a place to write the mask to, found none.") from error


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
