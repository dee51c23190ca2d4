"""Scalar fields on regular grids: sampling at points, smooth random fields, spline bases."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Field:
    """A scalar field given on a grid.

    values: `[A, B, C]` float32.
    origin: where values[0, 0, 0] lies, mm.
    step: distance of neighbors, mm, the same along all axes.
    """

    values: np.ndarray
    origin: np.ndarray
    step: float

    def at(self, points: np.ndarray, outside: float | None = None) -> np.ndarray:
        """Linear interpolation at `points` `[3, N]` in mm: `[N]` float32.

        Args:
            outside: the value beyond the grid; None repeats the value at its border.
        """
        index = (points - self.origin[:, None].astype(points.dtype)) / points.dtype.type(self.step)
        mode = "nearest" if outside is None else "constant"
        return ndimage.map_coordinates(
            self.values, index, np.float32, order=1, mode=mode, cval=outside or 0.0
        )

    def with_values(self, values: np.ndarray) -> "Field":
        """Other values on the same grid."""
        return Field(np.asarray(values, np.float32), self.origin, self.step)

    def coordinates(self) -> np.ndarray:
        """Where the grid's points lie: `[3, A, B, C]` in mm."""
        axes = [
            start + self.step * np.arange(count)
            for start, count in zip(self.origin, self.values.shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def spline_basis(positions: np.ndarray, start: float, step: float, count: int) -> np.ndarray:
    """Weights `[len(positions), count]` of uniform cubic B-splines centered on start + i * step.

    The free-form deformation of Rueckert et al. 1999 (IEEE Trans Med Imaging 18:712); control
    values that are linear in position are reproduced exactly where four of them are in reach.
    """
    nodes = start + step * np.arange(count)
    distance = np.abs(positions[:, None] - nodes[None]) / step
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)


def smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Normal noise of mean 0 and standard deviation 1, blurred by `sigma` grid steps."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="wrap")
    return noise / max(float(noise.std()), 1e-6)


def ramp(values: np.ndarray, center: float | np.ndarray, width: float) -> np.ndarray:
    """0 below, 1 above `center`, with a smooth rise over `width`."""
    t = np.clip((values - center) / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)
