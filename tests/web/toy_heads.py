"""Pictures something like slices and scans, for the tests of the web."""

from pathlib import Path

import nibabel
import numpy as np


def head(seed: int = 0, height: int = 96, width: int = 80) -> np.ndarray:
    """Something like a slice: a textured ellipse with a bright disc in the dark, uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    ellipse = ((y / height - 0.5) / 0.42) ** 2 + ((x / width - 0.5) / 0.38) ** 2 < 1
    top, left = random.integers(30, 50, 2)
    disc = (y - top) ** 2 + (x - left) ** 2 < 60
    gray = np.where(disc, 210, 90 + random.integers(0, 40, (height, width)))
    return np.where(ellipse, gray, 0).astype(np.uint8)


def scan_file(path: Path, slices: int = 12, seed: int = 0) -> Path:
    """Something like a scan of 5 mm slices: heads of 120 × 150 mm, the two ends nearly empty."""
    planes = np.stack([head(seed, 75, 60).T] * slices, axis=2).astype(np.int16) * 4
    planes[:, :, [0, -1]] //= 400
    nibabel.save(nibabel.Nifti1Image(planes, np.diag([-2.0, -2.0, 5.0, 1.0])), path)
    return path
