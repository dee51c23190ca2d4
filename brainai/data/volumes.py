"""One scan file → `Volume`: voxels in one orientation, whatever its header says; and a mask back
into the file's own geometry. With `dicom.py`, the only user of SimpleITK.

Orientation is LPS: x grows to the patient's left, y to the back, z to the head. A slice is shown
as `voxels[:, :, k].T`, `[H, W]`: front of the head up, patient's right on the left of the picture.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from brainai.data.headers import check_metaimage, check_nifti, check_size, damaged
from brainai.errors import DataError

MASK_SUFFIXES = (".nii.gz", ".nii", ".mha")
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


def read_volume(path: Path, called: str | None = None) -> Volume:
    """A NIfTI or MetaImage file as a volume in LPS orientation.

    Args:
        called: what errors call the file; its path if not given.
    Raises:
        DataError: damaged, cut short, too large, or no single three-dimensional volume of numbers.
    """
    keep_quiet()
    called = called or str(path)
    is_nifti = path.name.lower().endswith((".nii", ".nii.gz"))
    header_text = check_nifti(path, called) if is_nifti else check_metaimage(path, called)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NiftiImageIO" if is_nifti else "MetaImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        check_size(reader.GetSize(), reader.GetNumberOfComponents(), called)
        image = reader.Execute()
    except RuntimeError as error:
        raise damaged(called, "SimpleITK cannot read it") from error
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    return from_image(image, header_text)


def from_image(image: sitk.Image, header_text: str = "", note: str = "") -> Volume:
    """An image in any orientation as a volume in LPS; voxels that are no numbers become 0."""
    axes = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    return _to_volume(sitk.DICOMOrient(image, "LPS"), axes, header_text, note)


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
    partial = path.with_name(f".{path.name}.partial{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = sitk.DICOMOrient(_to_image(volume), grid.stored_axes)
        sitk.WriteImage(image, str(partial), useCompression=True)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        if partial.exists():
            partial.unlink()
        raise DataError(f"{path}: expected a place to write the mask to, found none.") from error


def resample(volume: Volume, grid: Volume) -> Volume:
    """The volume on the voxels of `grid`, placed by both headers; linear, 0 outside."""
    if volume.has_grid_of(grid):
        return volume
    resampled = sitk.Resample(
        sitk.Cast(_to_image(volume), sitk.sitkFloat32), _to_image(grid), sitk.Transform(),
        sitk.sitkLinear, 0.0,
    )  # fmt: skip
    return _to_volume(resampled, volume.stored_axes, volume.header_text, volume.note)


def _to_volume(image: sitk.Image, axes: str, header_text: str, note: str) -> Volume:
    voxels = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    if np.issubdtype(voxels.dtype, np.floating):
        voxels = np.nan_to_num(voxels, nan=0.0, posinf=0.0, neginf=0.0)
    place = image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    return Volume(voxels, *place, axes, header_text, note)


def _to_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction)
    return image
