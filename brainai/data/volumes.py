"""One scan file → `Volume`: voxels in one orientation, whatever its header says. The only user of
SimpleITK.

Orientation is LPS: x grows to the patient's left, y to the back, z to the head. A slice is shown
as `voxels[:, :, k].T`, `[H, W]`: front of the head up, patient's right on the left of the picture.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from brainai.errors import DataError

NIFTI_HEADER_BYTES = 348
GRID_TOLERANCE_MM = 0.01  # headers round; a hundredth of a voxel moves nothing


@dataclass(frozen=True)
class Volume:
    """One sequence of one study, or its segmentation.

    voxels: `[X, Y, Z]` in LPS orientation, in the number type of the file.
    spacing_mm: size of a voxel along x, y, z.
    origin_mm: where voxel (0, 0, 0) lies, in LPS coordinates.
    direction: nine numbers, row by row: columns are the axes of x, y, z.
    stored_axes: the orientation in the file, three letters such as "RAS".
    header_text: what the header says in words (description, names, history), "" where nothing.
    """

    voxels: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    stored_axes: str = "LPS"
    header_text: str = ""

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
    sitk.ProcessObject.GlobalWarningDisplayOff()


def read_volume(path: Path) -> Volume:
    """A NIfTI or MetaImage file as a volume in LPS orientation.

    Raises:
        DataError: damaged, cut short, or no single three-dimensional volume of numbers.
    """
    header_text = _check_nifti(path) if _is_nifti(path) else _metaimage_text(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _damaged(path, "SimpleITK cannot read it") from error
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(
            f"{path}: expected one volume of three dimensions, found size {image.GetSize()} with "
            f"{image.GetNumberOfComponentsPerPixel()} numbers per voxel. Export one sequence."
        )
    axes = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    return _to_volume(sitk.DICOMOrient(image, "LPS"), axes, header_text)


def resample(volume: Volume, grid: Volume) -> Volume:
    """The volume on the voxels of `grid`, placed by both headers; linear, 0 outside."""
    if volume.has_grid_of(grid):
        return volume
    resampled = sitk.Resample(
        sitk.Cast(_to_image(volume), sitk.sitkFloat32), _to_image(grid), sitk.Transform(),
        sitk.sitkLinear, 0.0,
    )  # fmt: skip
    return _to_volume(resampled, volume.stored_axes, volume.header_text)


def _to_volume(image: sitk.Image, axes: str, header_text: str) -> Volume:
    voxels = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    if np.issubdtype(voxels.dtype, np.floating):
        voxels = np.nan_to_num(voxels, nan=0.0, posinf=0.0, neginf=0.0)
    return Volume(
        voxels, image.GetSpacing(), image.GetOrigin(), image.GetDirection(), axes, header_text
    )


def _to_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction)
    return image


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _check_nifti(path: Path) -> str:
    """Check that a NIfTI file is whole, which its library does not; give the text of its header.

    Text stands in fixed fields and, in files that AFNI wrote, in an extension before the voxels.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, "its compressed data break off or are changed") from error
    try:
        start, end = _voxel_bytes(content)
    except (struct.error, ValueError, OverflowError) as error:
        raise _damaged(path, "it does not begin with a NIfTI header") from error
    if len(content) < end:
        raise _damaged(path, f"it should hold {end} bytes and holds {len(content)}")
    fields = (content[4:32], content[148:252], content[328:344], content[348:start])
    return "\n".join(_text(field) for field in fields if field.strip(b"\0"))


def _voxel_bytes(content: bytes) -> tuple[int, int]:
    """First byte of the voxels and first byte after them, by a NIfTI-1 header.

    Raises:
        struct.error, ValueError, OverflowError: no such header.
    """
    order = "<" if content[:4] == struct.pack("<i", NIFTI_HEADER_BYTES) else ">"
    if struct.unpack(order + "i", content[:4])[0] != NIFTI_HEADER_BYTES:
        raise ValueError("not the size of a NIfTI-1 header")
    rank, *sizes = struct.unpack(order + "8h", content[40:56])
    (bits,) = struct.unpack(order + "h", content[72:74])
    (offset,) = struct.unpack(order + "f", content[108:112])
    if not 1 <= rank <= 7 or min(sizes[:rank]) < 1 or bits < 1 or not 348 <= offset < 2**31:
        raise ValueError("impossible sizes")
    return int(offset), int(offset) + math.prod(sizes[:rank]) * bits // 8


def _metaimage_text(path: Path) -> str:
    """The header of a MetaImage file, which is text and stands before the voxels."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise _damaged(path, "it cannot be opened") from error
    return _text(start.split(b"ElementDataFile")[0])


def _text(field: bytes) -> str:
    return field.replace(b"\0", b" ").decode("latin-1").strip()


def _damaged(path: Path, found: str) -> DataError:
    return DataError(
        f"{path}: expected a whole scan file, found a damaged one: {found}. Copy it again."
    )
