"""A picture something like a slice, for the tests of the web."""

import numpy as np


def head(seed: int = 0, height: int = 96, width: int = 80) -> np.ndarray:
    """Something like a slice: a textured ellipse with a bright disc in the dark, uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    ellipse = ((y / height - 0.5) / 0.42) ** 2 + ((x / width - 0.5) / 0.38) ** 2 < 1
    top, left = random.integers(30, 50, 2)
    disc = (y - top) ** 2 + (x - left) ** 2 < 60
    grey = np.where(disc, 210, 90 + random.integers(0, 40, (height, width)))
    return np.where(ellipse, grey, 0).astype(np.uint8)
