"""Large vessels and the choroid plexus, which take up contrast agent but are no tumor."""

from functools import cache
from itertools import pairwise

import numpy as np

from brainai.phantom.fields import Field
from brainai.phantom.template import Template, load_template

# Radius and polyline of each vessel of one side, in template space (LPS, mm); the other side is its
# mirror image.
TUBES: tuple[tuple[float, tuple[tuple[float, float, float], ...]], ...] = (
    (2.2, ((12, -4, -34), (13, -2, -22), (11, -2, -14), (22, -4, -16), (34, -6, -14), (41, 4, -4))),
    (1.5, ((11, -2, -14), (3, -16, -14), (2, -34, -2), (2, -38, 12), (2, -24, 28))),
    (2.0, ((0, 24, -50), (0, 24, -34), (1, 20, -18))),
    (1.3, ((1, 20, -18), (12, 22, -16), (20, 36, -10))),
    (1.4, ((2, 0, 14), (2, 18, 14), (2, 36, 12))),
    (2.4, ((0, 36, 12), (0, 48, 6), (0, 64, 0), (0, 84, -10))),
)
PLEXUS = (22.0, 38.0, 8.0)  # middle of the choroid plexus of one side, LPS, mm
PLEXUS_RADII = (5.0, 7.0, 9.0)  # mm


@cache
def vessel_fields() -> tuple[Field, Field]:
    """Return the parts of blood and of choroid plexus, 0 to 1, on the grid of `Template.brain`."""
    template = load_template()
    grid = template.brain
    blood = np.zeros_like(grid.values)
    for radius, line in TUBES:
        for side in (-1, 1):
            points = [np.array((side * x, y, z), float) for x, y, z in line]
            for start, end in pairwise(points):
                _add_tube(blood, grid.origin, start, end, radius)
    _add_sinuses(blood, template)
    plexus = np.zeros_like(grid.values)
    for side in (-1, 1):
        place = np.array([side * PLEXUS[0], *PLEXUS[1:]])
        _add_blob(plexus, grid.origin, place, np.array(PLEXUS_RADII))
    return grid.with_values(blood), grid.with_values(plexus)


def _add_tube(
    part: np.ndarray, origin: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float
) -> None:
    """Add a straight vessel to `part`."""
    low, high = np.minimum(start, end) - radius - 2, np.maximum(start, end) + radius + 2
    box, points = _box(part, origin, low, high)
    along = end - start
    t = np.tensordot(along, points - start[:, None, None, None], 1) / (along @ along)
    nearest = start[:, None, None, None] + along[:, None, None, None] * np.clip(t, 0, 1)
    distance = np.sqrt(((points - nearest) ** 2).sum(0))
    part[box] = np.maximum(part[box], np.clip(radius - distance + 0.5, 0, 1))


def _add_blob(part: np.ndarray, origin: np.ndarray, place: np.ndarray, radii: np.ndarray) -> None:
    """Add a soft ellipsoid to `part`."""
    box, points = _box(part, origin, place - radii - 2, place + radii + 2)
    offset = (points - place[:, None, None, None]) / radii[:, None, None, None]
    distance = np.sqrt((offset**2).sum(0))
    part[box] = np.maximum(part[box], np.clip(3 * (1 - distance), 0, 1))


def _add_sinuses(part: np.ndarray, template: Template) -> None:
    """Add the superior sagittal and the transverse sinuses, which lie between skull and brain."""
    grid = template.brain
    for low, high, straight in (
        ((-5, -70, 0), (5, 100, 90), 0),
        ((-62, 45, -32), (62, 100, -14), 2),
    ):
        box, points = _box(part, grid.origin, np.array(low), np.array(high))
        edge = template.cavity.at(points.reshape(3, -1)).reshape(points.shape[1:])
        across = np.abs(points[straight] - (0 if straight == 0 else -23))
        inside = np.clip(4.0 + edge - 0.6 * across, 0, 1) * np.clip(1.5 - edge, 0, 1)
        part[box] = np.maximum(part[box], inside * np.clip(4.5 - across, 0, 1))


def _box(
    part: np.ndarray, origin: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the voxels of 1 mm between two corners, and their positions, `[3, A, B, C]`, mm."""
    first = np.clip(np.floor(low - origin).astype(int), 0, part.shape)
    last = np.clip(np.ceil(high - origin).astype(int) + 1, 0, part.shape)
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    axes = [np.arange(a, b) + o for a, b, o in zip(first, last, origin, strict=True)]
    return box, np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
