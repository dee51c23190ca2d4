"""Surround the brain with skull, scalp, orbits, sinuses and muscles, at about their places."""

from dataclasses import dataclass

import numpy as np

from brainai.phantom.fields import Field, ramp, smooth_noise
from brainai.phantom.signal import INDEX

NOISE_MM = 2.5


@dataclass(frozen=True)
class HeadShape:
    """The head of a patient.

    skull: thickness of the skull, mm.
    scalp: thickness of the scalp, mm.
    noise: smooth noise that makes bone, fat and sinuses uneven.
    """

    skull: float
    scalp: float
    noise: Field

    @property
    def reach(self) -> float:
        """The largest distance of the skin from the cavity, mm."""
        return self.skull + self.scalp + 4


def draw_head(rng: np.random.Generator) -> HeadShape:
    """Return the head of a patient at random."""
    shape = (96, 112, 96)
    noise = smooth_noise(shape, 1.2, rng)
    origin = np.array([-120.0, -130.0, -100.0])
    return HeadShape(rng.uniform(5, 8.5), rng.uniform(4, 8), Field(noise, origin, NOISE_MM))


def add_head(
    parts: np.ndarray, points: np.ndarray, cavity: np.ndarray, hull: np.ndarray, shape: HeadShape
) -> None:
    """Write the tissues outside the cavity into `parts`, and leave those inside it as they are.

    Args:
        parts: part of each tissue at each point, `[tissues, N]`; it is changed.
        points: template coordinates, `[3, N]`, mm.
        cavity: distance from the inner skull, `[N]`, mm, positive outside it.
        hull: distance from `Template.head`, `[N]`, mm, positive outside it.
        shape: the head of the patient.
    """
    outside = ramp(cavity, 0.5, 1.5)
    noise = shape.noise.at(points)
    scalp = shape.scalp * np.clip(1 + 0.003 * points[1], 0.75, 1.25)  # thicker at the back
    depth = shape.skull + scalp - hull  # below the surface of the skin
    layers = np.zeros_like(parts)
    layers[INDEX["skin"]] = ramp(depth, 0, 1.0) - ramp(depth, 1.8, 1.2)
    layers[INDEX["fat"]] = ramp(depth, 1.8, 1.2) - ramp(depth, scalp, 1.2)
    inner = ramp(depth, scalp, 1.2)
    bone = ramp(-cavity, -(shape.skull + 2), 2.0)
    middle = np.clip(1 - np.abs(cavity / shape.skull - 0.55) / 0.3, 0, 1)
    marrow = middle * np.clip(0.55 + 0.3 * noise, 0, 1)
    layers[INDEX["marrow"]] = inner * bone * marrow
    layers[INDEX["bone"]] = inner * bone * (1 - marrow)
    _add_deep(layers, inner * (1 - bone), points, noise)
    layers[INDEX["air"]] += np.clip(1 - layers.sum(0), 0, 1)
    parts *= 1 - outside
    parts += outside * layers


def _add_deep(layers: np.ndarray, room: np.ndarray, points: np.ndarray, noise: np.ndarray) -> None:
    """Add the face and the base of the skull to `layers`, which are changed.

    Each tissue takes its part of the room that the tissues before it left.

    Args:
        room: the part of each point that is still empty, `[N]`.
    """
    x, y, z = np.abs(points[0]), points[1], points[2]
    eye = np.sqrt((x - 32) ** 2 + (y + 64) ** 2 + (z + 36) ** 2)
    cone = np.hypot(x - 32 + 0.35 * (y + 64), z + 36)
    orbit = ramp(-cone, -(22 + 0.3 * np.minimum(-(y + 64), 0)), 2) * ramp(-y, 18, 4)
    nerve = np.exp(-((cone / 2.2) ** 2))
    wall = np.exp(-(((cone - 10) / 1.5) ** 2)) * ramp(-eye, -24, 4) * ramp(-y, 30, 4)
    ethmoid = ramp(-x, -12, 2) * ramp(-y, 22, 6) * ramp(-z, 26, 4)
    maxilla = ramp(-np.hypot(x - 28, y + 50), -17, 3) * ramp(-z, 58, 3)
    mastoid = ramp(-np.hypot((x - 48) / 1.2, y - 22), -16, 6) * ramp(-z, 22, 6)
    temporal = ramp(x, 48, 6) * ramp(-np.abs(y + 22), -30, 8)
    cells = ramp(noise, -0.5, 0.5)  # air between thin walls of mucosa
    for name, part in (
        ("muscle", ramp(-np.abs(eye - 12.5), -0.8, 0.6)),
        ("vitreous", ramp(-eye, -12.5, 1)),
        ("muscle", np.maximum(nerve, wall) * orbit),
        ("fat", orbit),
        ("air", np.maximum(ethmoid, maxilla) * cells),
        ("mucosa", np.maximum(ethmoid, maxilla)),
        ("air", mastoid * ramp(noise, 0.2, 0.6)),
        ("muscle", temporal * ramp(noise, -1.2, 1)),
        ("bone", ramp(z, -50, 24) * (0.7 + 0.2 * noise)),
        ("muscle", 0.6 + 0.15 * noise),
        ("marrow", 0.5 + 0.15 * noise),
        ("fat", 0.7 + 0.1 * noise),
        ("muscle", np.ones_like(noise)),
    ):
        taken = room * np.clip(part, 0, 1)
        layers[INDEX[name]] += taken
        room = room - taken
