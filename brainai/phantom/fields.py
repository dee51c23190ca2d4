"""Scalar fields on regular grids, smooth random fields, and bases of splines."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Field:
    """A scalar field on a regular grid.

    values: `[A, B, C]` float32.
    origin: the position of values[0, 0, 0], `[3]`, mm.
    step: the distance of neighbors, mm, the same along all axes.
    """

    values: np.ndarray
    origin: np.ndarray
    step: float

    def at(self, points: np.ndarray, outside: float | None = None) -> np.ndarray:
        """Return the values at points, by linear interpolation, `[N]` float32.

        Args:
            points: `[3, N]`, mm.
            outside: the value beyond the grid; None repeats the value at its border.
        """
        index = (points - self.origin[:, None].astype(points.dtype)) / points.dtype.type(self.step)
        mode = "nearest" if outside is None else "constant"
        return ndimage.map_coordinates(
            self.values, index, np.float32, order=1, mode=mode, cval=outside or 0.0
        )

    def with_values(self, values: np.ndarray) -> "Field":
        """Return a field with other values on the same grid."""
        return Field(np.asarray(values, np.float32), self.origin, self.step)

    def coordinates(self) -> np.ndarray:
        """Return the positions of the points of the grid, `[3, A, B, C]` float32, mm."""
        axes = [
            start + self.step * np.arange(count)
            for start, count in zip(self.origin, self.values.shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def spline_basis(positions: np.ndarray, start: float, step: float, count: int) -> np.ndarray:
    """Return the weights of uniform cubic B-splines at positions, `[N, count]`.

    Spline i is centered on start + i * step. The splines are those of the free-form deformation of
    Rueckert et al. 1999 (IEEE Trans Med Imaging 18:712). They reproduce control values that are
    linear in position exactly where four of them are within reach.

    Args:
        positions: `[N]`, mm.
        start: the center of the first spline, mm.
        step: the distance of the centers, mm.
        count: the number of splines.
    """
    nodes = start + step * np.arange(count)
    distance = np.abs(positions[:, None] - nodes[None]) / step
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)


def smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise with a standard deviation of 1, float32.

    Args:
        shape: the shape of the result.
        sigma: the width of the Gaussian that blurs the noise, in steps of the grid.
    """
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="wrap")
    return noise / max(float(noise.std()), 1e-6)


def ramp(values: np.ndarray, center: float | np.ndarray, width: float) -> np.ndarray:
    """Return 0 for values below `center` and 1 above it, with a smooth rise over `width`."""
    t = np.clip((values - center) / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)
