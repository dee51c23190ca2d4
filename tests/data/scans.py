"""Tiny scan files for tests: a box of tumor in an egg of brain, in every layout."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

SHAPE = (32, 36, 6)  # X, Y, Z in LPS


def brain(seed: int = 0) -> np.ndarray:
    """`[X, Y, Z]` int16: slices 0 empty, 1 to 5 with brain, brighter towards left and front."""
    x, y, _ = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = ((x - 16) / 12) ** 2 + ((y - 18) / 15) ** 2 < 1
    noise = np.random.default_rng(seed).integers(0, 30, SHAPE)
    voxels = np.where(inside, 100 + 10 * x - 3 * y + noise, 0)
    voxels[:, :, 0] = 0
    return voxels.astype(np.int16)


def labels(*values: int) -> np.ndarray:
    """`[X, Y, Z]` int16: in slice 3, from x 10 and y 12 on, 4 voxels of each value side by side."""
    voxels = np.zeros(SHAPE, np.int16)
    for number, value in enumerate(values):
        voxels[10 + 2 * number : 12 + 2 * number, 12:14, 3] = value
    return voxels


def write_scan(
    path: Path,
    voxels: np.ndarray,
    axes: str = "LPS",
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    origin: tuple[float, float, float] = (0.0, -35.0, 0.0),
) -> Path:
    """LPS voxels as a file whose header says, and whose voxels are stored as, `axes`."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, axes), str(path))
    return path


def write_brats(
    root: Path, name: str, segmentation: np.ndarray | None = None, t1c: bool = True, t2: bool = True
) -> Path:
    """A study as BraTS 2017 to 2021 names it."""
    folder = root / name
    write_scan(folder / f"{name}_flair.nii.gz", brain(0))
    if t1c:
        write_scan(folder / f"{name}_t1ce.nii.gz", brain(1))
    if t2:
        write_scan(folder / f"{name}_t2.nii.gz", brain(2))
    write_scan(
        folder / f"{name}_seg.nii.gz", labels(1, 2, 4) if segmentation is None else segmentation
    )
    return folder


def write_lgg(root: Path, name: str, slices: int = 4, t1c: bool = False) -> Path:
    """A study of the LGG set; slice 3 has a tumor of 12 pixels."""
    folder = root / name
    folder.mkdir(parents=True)
    for number in range(1, slices + 1):
        flair = brain(number)[:, :, 3].T.clip(0, 255).astype(np.uint8)
        after = 255 - flair if t1c else flair
        Image.fromarray(np.stack([flair, flair, after], -1)).save(folder / f"{name}_{number}.tif")
        mask = np.zeros(flair.shape, np.uint8)
        if number == 3:
            mask[10:13, 20:24] = 255
        Image.fromarray(mask).save(folder / f"{name}_{number}_mask.tif")
    return folder


def add_header_text(path: Path, text: str) -> None:
    """Put a text extension into an uncompressed NIfTI file, where AFNI keeps its history."""
    content = bytearray(path.read_bytes())
    length = -(-(len(text) + 8) // 16) * 16
    extension = np.array([length, 6], "<i4").tobytes() + text.encode().ljust(length - 8, b"\0")
    content[108:112] = np.array([352 + length], "<f4").tobytes()
    path.write_bytes(bytes(content[:348]) + b"\1\0\0\0" + extension + bytes(content[352:]))
