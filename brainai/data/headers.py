"""Check what the header of a scan claims, before its voxels are read.

`called` is the name of the file in error messages.
"""

import math

import numpy as np

from brainai.errors import DataError

MAX_VOXELS = 100_000_000  # 512 × 512 × 380: bounds the memory whatever a small file claims
MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 100.0  # finer and coarser than any clinical scanner
MIN_PIXEL_MM, MAX_PIXEL_MM = 0.05, 10.0  # side of a pixel of a single slice
MAX_EXTENT_MM = 3000.0  # along one axis; no scanner is longer
MAX_ORIGIN_MM = 100_000.0  # from the scanner's center
MAX_SHEAR = 0.1  # cosine between two axes, about 6 degrees from a right angle


def check_size(size: tuple[int, ...], numbers: int, called: str) -> None:
    """Raise DataError unless a file holds one volume of three dimensions that is not too large.

    Args:
        size: number of voxels along each axis.
        numbers: how many numbers each voxel has.
    """
    if numbers == 1 and len(size) == 2:
        raise single_slice(size, called)
    if numbers != 1 or len(size) < 3 or min(size) < 1 or math.prod(size[3:]) != 1:
        found = f"size {' × '.join(map(str, size))} with {numbers} numbers per voxel"
        if len(size) == 4 and min(size) > 0:
            found = f"{size[3]} volumes in one file"
        raise DataError(
            f"{called}: expected one volume of three dimensions, found {found}. "
            "Save the sequence that you want to have judged as a separate file."
        )
    if math.prod(size) > MAX_VOXELS:
        raise DataError(
            f"{called}: expected at most {MAX_VOXELS // 1_000_000} million voxels, found "
            f"{' × '.join(map(str, size))}. Resample the scan to larger voxels.",
            "too_large",
        )


def single_slice(size: tuple[int, ...], called: str) -> DataError:
    """Return the error for a file that holds one slice. `size` may have an axis of length 1."""
    plane = " × ".join(str(length) for length in size if length > 1)
    return DataError(
        f"{called}: expected a scan of several slices, found a single slice of {plane} voxels. "
        "Provide the whole scan, or save the slice as PNG and use it as a slice."
    )


def check_place(affine: np.ndarray, size: tuple[int, ...], called: str) -> None:
    """Raise DataError if a header gives sizes or places of voxels that no scanner produces.

    Args:
        affine: `[4, 4]` float, voxel index → mm.
        size: number of voxels along each axis.
    """
    axes, origin = affine[:3, :3], affine[:3, 3]
    with np.errstate(over="ignore", invalid="ignore"):
        spacing = np.sqrt((axes**2).sum(axis=0))
        extent = spacing * size[:3]
    possible = (
        np.isfinite(affine).all()
        and (spacing >= MIN_SPACING_MM).all()
        and (spacing <= MAX_SPACING_MM).all()
        and (extent <= MAX_EXTENT_MM).all()
        and (np.abs(origin) <= MAX_ORIGIN_MM).all()
    )
    if not possible:
        voxel, whole = (" × ".join(f"{x:.3g}" for x in lengths) for lengths in (spacing, extent))
        raise DataError(
            f"{called}: expected voxels of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm in a scan "
            f"of at most {MAX_EXTENT_MM:g} mm, found voxels of {voxel} mm in a scan of {whole} mm. "
            "Export the scan again."
        )
    if shear(affine) > MAX_SHEAR:
        raise DataError(
            f"{called}: expected axes at right angles, found a sheared scan. "
            "Resample it onto a grid with right angles."
        )


def shear(affine: np.ndarray) -> float:
    """Return the largest cosine between two axes, which is 0 if all angles are right angles."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def unopened(called: str, error: OSError) -> DataError:
    """Return the error for a file that the operating system cannot read."""
    return DataError(
        f"{called}: expected a file that can be read, but the operating system reports: "
        f"{error.strerror or type(error).__name__}. Check its path and its permissions.",
        "unreadable",
    )


def unclear(called: str, what: str) -> DataError:
    """Return the error for a header that cannot be understood.

    Args:
        what: the fault as a verb phrase, such as "gives impossible numbers".
    """
    return DataError(
        f"{called}: expected a header as scanners and converters write it, found one that {what}. "
        "Export the scan again, as NIfTI (.nii.gz).",
        "unreadable",
    )


def damaged(called: str, found: str) -> DataError:
    """Return the error for a damaged file; `found` says what is wrong with it."""
    return DataError(
        f"{called}: expected a complete scan file, found a damaged one: {found}. Copy it again.",
        "unreadable",
    )
