"""Add plaques as in multiple sclerosis, which are bright but no tumor.

Plaques are ovoids of a few millimeters in white matter. Most lie at the ventricles and point away
from the wall ("Dawson's fingers"); the others are scattered up to the cortex. The McDonald criteria
name these places (Thompson et al. 2018, https://doi.org/10.1016/S1474-4422(17)30470-2).
"""

from dataclasses import dataclass

import numpy as np

from brainai.phantom.fields import ramp
from brainai.phantom.template import Template, gradient_fields

AT_VENTRICLES = 0.6  # share of the plaques
NEAR_MM = (1.0, 9.0)  # distance of these plaques from the ventricles
COUNT = (12, 45)  # number of plaques of a person; the second one is excluded
SHORT_MM = (1.5, 4.5)  # half the short axes
LONG = (1.2, 2.8)  # long axis as a multiple of the short ones


@dataclass(frozen=True)
class Plaques:
    """K ovoids in template space.

    centers: `[K, 3]`, mm.
    axes: the direction of each long axis, `[K, 3]`, of length 1.
    short_mm: half the short axes, `[K]`.
    long: the long axis as a multiple of the short ones, `[K]`.
    """

    centers: np.ndarray
    axes: np.ndarray
    short_mm: np.ndarray
    long: np.ndarray

    def at(self, points: np.ndarray) -> np.ndarray:
        """Return how much of each point `[3, N]`, mm, is plaque, `[N]` float32 in [0, 1]."""
        part = np.zeros(points.shape[1], np.float32)
        ovoids = zip(self.centers, self.axes, self.short_mm, self.long, strict=True)
        for center, axis, short, long in ovoids:
            away = points - center[:, None].astype(np.float32)
            near = np.flatnonzero((np.abs(away) < short * long + 2).all(axis=0))
            along = axis.astype(np.float32) @ away[:, near]
            across = np.sqrt(np.maximum((away[:, near] ** 2).sum(axis=0) - along**2, 0))
            depth = short * (1 - np.hypot(across / short, along / (short * long)))
            part[near] = np.maximum(part[near], ramp(depth, 0, 1.0))
        return part


def draw_plaques(template: Template, rng: np.random.Generator) -> Plaques:
    """Return the plaques of a person at random."""
    distance = template.ventricles
    points = distance.coordinates().reshape(3, -1)
    white = (template.white.at(points, 0.0) > 0.8) & (template.cavity.at(points) < -6)
    white &= points[2] > -25  # only the cerebrum
    far = distance.values.reshape(-1)
    at_wall = np.flatnonzero(white & (far > NEAR_MM[0]) & (far < NEAR_MM[1]))
    count = int(rng.integers(*COUNT))
    walled = rng.random(count) < AT_VENTRICLES
    chosen = np.where(walled, rng.choice(at_wall, count), rng.choice(np.flatnonzero(white), count))
    centers = points[:, chosen].T.astype(float)
    outward = np.stack([g.at(points[:, chosen]) for g in gradient_fields(distance)], axis=1)
    axes = np.where(walled[:, None], outward, 0) + rng.normal(0, 0.3, (count, 3))
    return Plaques(
        centers,
        axes / np.linalg.norm(axes, axis=1, keepdims=True),
        rng.uniform(*SHORT_MM, count),
        rng.uniform(*LONG, count),
    )
