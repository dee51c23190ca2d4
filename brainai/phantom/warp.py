"""The shape of a patient: a smooth map from positions in the scanner to those in the template."""

from dataclasses import dataclass

import numpy as np

from brainai.phantom.fields import Field, ramp, spline_basis
from brainai.phantom.lesion import Lesion
from brainai.phantom.template import Template

NODE_MM = 6.0  # distance of the control points
EXTENT_MM = np.array([[-144.0, 144.0], [-144.0, 144.0], [-120.0, 120.0]])  # of the control points
CENTER_MM = np.array([0.0, 18.0, 4.0])  # of the brain in the template
SCALES_MM = ((60.0, 3.0), (24.0, 1.8), (13.0, 1.0))  # spacing and size of random displacements
SKULL_MM = 24.0  # displacements with this spacing or a smaller one fade out towards the skull


@dataclass(frozen=True)
class Warp:
    """A map from positions in the scanner to template coordinates.

    nodes: template coordinates at control points with a distance of `NODE_MM`, `[3, A, B, C]`, mm.
    """

    nodes: np.ndarray

    def slab(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        """Return the template coordinates of a plane, `[3, len(x), len(y)]` float32, mm."""
        bases = [
            spline_basis(positions, start, NODE_MM, count)
            for positions, start, count in zip(
                (x, y, np.array([z])), EXTENT_MM[:, 0], self.nodes.shape[1:], strict=True
            )
        ]
        plane = (self.nodes @ bases[2][0]).astype(np.float32)
        return bases[0].astype(np.float32) @ plane @ bases[1].astype(np.float32).T


def draw_warp(
    template: Template, lesion: Lesion | None, rng: np.random.Generator, mass: float
) -> Warp:
    """Return the shape of a patient at random.

    It has a pose, a size, random displacements, a size of the ventricles, and tissue that the
    lesion pushes aside.

    Args:
        mass: how strongly the lesion pushes, about 0 to 1.
    """
    axes = [np.arange(low, high + 1, NODE_MM) for low, high in EXTENT_MM]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    shape = places.shape
    points = _pose(rng) @ places.reshape(3, -1) + CENTER_MM[:, None]
    points += rng.normal(0, (3, 4, 4))[:, None]
    deep = ramp(-template.cavity.at(points), 8, 16)
    for spacing, size in SCALES_MM:
        fading = deep if spacing <= SKULL_MM else 1.0
        points += size * fading * _displacement(axes, spacing, rng).reshape(3, -1)
    points = _push(points, template.opening, rng.gamma(2.0, 0.9))
    if lesion is not None:
        points = _push(points, lesion.push, 9.0 * mass)
    return Warp(points.reshape(shape))


def _pose(rng: np.random.Generator) -> np.ndarray:
    """Return a random rotation, mostly a nod, with a scale for each axis, `[3, 3]`."""
    nod, tilt, turn = np.deg2rad(rng.normal((3, 0, 0), (6, 2.5, 3.5)))
    about_x = [[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]]
    about_y = [[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]]
    about_z = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    # The template is larger than most heads: Lancaster et al. 2007, Hum Brain Mapp 28:1194.
    size = rng.normal(1.06, 0.03) * rng.normal(1, 0.02, 3)
    return np.array(about_x) @ about_y @ about_z @ np.diag(size)


def _displacement(axes: list[np.ndarray], spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Return random displacements with a standard deviation of 1 at the nodes, `[3, A, B, C]`."""
    bases = []
    for positions in axes:
        count = int((positions[-1] - positions[0]) / spacing) + 4
        bases.append(spline_basis(positions, positions[0] - spacing, spacing, count))
    control = rng.standard_normal((3, *(basis.shape[1] for basis in bases)))
    field = control
    for basis in bases:  # the first of the three axes becomes the last one each time
        field = np.moveaxis(np.tensordot(basis, field, ([1], [1])), 0, -1)
    return field / field.std()


def _push(points: np.ndarray, gradient: tuple[Field, ...], size_mm: float) -> np.ndarray:
    """Return template coordinates that lie nearer to a structure that grows, `[3, N]`, mm.

    Tissue around the structure then appears farther away from it.

    Args:
        points: template coordinates, `[3, N]`, mm.
        gradient: the gradient of the blurred structure; only its direction and relative size count.
        size_mm: the largest displacement along an axis.
    """
    if size_mm <= 0:
        return points
    steepest = max(float(np.abs(part.values).max()) for part in gradient)
    moved = np.stack([part.at(points, 0.0) for part in gradient])
    return points + moved * (size_mm / max(steepest, 1e-6))
