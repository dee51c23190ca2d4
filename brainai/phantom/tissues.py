"""Compute the tissues and the labels of the tumor at each point of the head of a patient."""

from dataclasses import dataclass

import numpy as np

from brainai.phantom.fields import Field, ramp, smooth_noise
from brainai.phantom.head import HeadShape, add_head
from brainai.phantom.lesion import Lesion
from brainai.phantom.plaques import Plaques
from brainai.phantom.signal import INDEX, NAMES
from brainai.phantom.template import Template
from brainai.phantom.vessels import vessel_fields

LABELS = (1, 2, 4)  # in BraTS 2021: core that does not enhance, edema, enhancing core
SPOT_NOISE_MM = 2.0


@dataclass(frozen=True)
class Patient:
    """The tissues of a person in template space.

    lesion: the tumor, or None.
    head: None if the skull is stripped.
    blood: part of blood, 0 to 1.
    plexus: part of choroid plexus, 0 to 1.
    sulci: value of `Template.brain` at which sulci open, from 0.36 (young) to 0.7 (shrunken).
    wrinkles: noise that changes this value from place to place.
    spots: noise that places bright spots of white matter.
    spot_level: threshold of this noise; a lower one gives more spots, infinity none.
    plaques: the plaques, or None.
    softness: width of the outer border of edema, mm.
    """

    template: Template
    lesion: Lesion | None
    head: HeadShape | None
    blood: Field
    plexus: Field
    sulci: float
    wrinkles: Field
    spots: Field
    spot_level: float
    plaques: Plaques | None
    softness: float


def draw_patient(
    template: Template,
    lesion: Lesion | None,
    head: HeadShape | None,
    spots: float,
    plaques: Plaques | None,
    rng: np.random.Generator,
) -> Patient:
    """Return a person at random.

    Args:
        lesion: the tumor, or None.
        head: the head, or None if the skull is stripped.
        spots: amount of bright spots in white matter, from 0 (none) to 1 (many).
        plaques: the plaques, or None.
    """
    blood, plexus = vessel_fields()
    grid = template.cavity
    return Patient(
        template=template,
        lesion=lesion,
        head=head,
        blood=blood,
        plexus=plexus,
        sulci=rng.uniform(0.36, 0.7),
        wrinkles=grid.with_values(smooth_noise(grid.values.shape, 3, rng)),
        spots=grid.with_values(smooth_noise(grid.values.shape, 1.1, rng)),
        plaques=plaques,
        spot_level=3.4 - 1.4 * spots * rng.uniform(0, 1) + (0 if spots > 0 else np.inf),
        softness=rng.uniform(1.5, 6),
    )


def compose(patient: Patient, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of the tissues, `[len(NAMES), N]`, and of the labels, `[len(LABELS), N]`.

    Args:
        points: template coordinates, `[3, N]` float32, mm.
    """
    template = patient.template
    cavity = template.cavity.at(points)
    level = patient.sulci + 0.06 * patient.wrinkles.at(points)
    brain = ramp(template.brain.at(points, 0.0), level, 0.45) * ramp(-cavity, 0, 2)
    share = template.white.at(points, 0.0)
    white = ramp(share, 0.5, 0.75) * brain
    parts = np.zeros((len(NAMES), points.shape[1]), np.float32)
    parts[INDEX["white"]] = white
    parts[INDEX["gray"]] = brain - white
    parts[INDEX["fluid"]] = 1 - brain
    _add_spots(parts, patient, points)
    if patient.plaques is not None:
        in_white = ramp(parts[INDEX["white"]], 0.5, 0.8)
        # Plaques are as wet as edema, and therefore as bright.
        _replace(parts, "edema", patient.plaques.at(points) * in_white)
    _add_vessels(parts, patient, points)
    labels = np.zeros((len(LABELS), points.shape[1]), np.float32)
    if patient.lesion is not None:
        _add_lesion(parts, labels, patient.lesion, patient.softness, points, cavity)
    if patient.head is not None:
        add_head(parts, points, cavity, template.head.at(points), patient.head)
    return parts, labels


def _replace(parts: np.ndarray, name: str, part: np.ndarray) -> None:
    """Make `part` of each point this tissue, and scale the other tissues of `parts` to the rest."""
    parts *= 1 - part
    parts[INDEX[name]] += part


def _add_spots(parts: np.ndarray, patient: Patient, points: np.ndarray) -> None:
    """Add the bright white matter that many people have: caps at the ventricles, and spots."""
    if not np.isfinite(patient.spot_level):
        return
    noise = patient.spots.at(points)
    distance = patient.template.ventricles.at(points)
    caps = ramp(noise + 4.2 * np.exp(-np.clip(distance, 0, None) / 3.0), patient.spot_level, 1.2)
    scattered = ramp(noise, patient.spot_level, 0.8)
    part = np.maximum(0.7 * caps, scattered) * ramp(parts[INDEX["white"]], 0.6, 0.6)
    _replace(parts, "spot", part)


def _add_vessels(parts: np.ndarray, patient: Patient, points: np.ndarray) -> None:
    """Add blood and choroid plexus to `parts`."""
    _replace(parts, "vessel", patient.blood.at(points, 0.0))
    plexus = patient.plexus.at(points, 0.0) * np.clip(0.6 + 0.4 * patient.spots.at(points), 0, 1)
    _replace(parts, "plexus", plexus * parts[INDEX["fluid"]])


def _add_lesion(
    parts: np.ndarray,
    labels: np.ndarray,
    lesion: Lesion,
    softness: float,
    points: np.ndarray,
    cavity: np.ndarray,
) -> None:
    """Add the tumor and its edema to `parts`, and its labels to `labels`."""
    reach = lesion.core.step * (lesion.core.values.shape[0] // 2)
    near = (np.abs(points - lesion.center_mm[:, None].astype(np.float32)) < reach).all(0)
    near &= cavity < -0.5
    if not near.any():
        return
    points, inside = points[:, near], parts[:, near]
    depth = lesion.edema.at(points, -9.0)
    core_depth = lesion.core.at(points, -12.0)
    texture = lesion.texture.at(points)
    brain = 1 - inside[INDEX["fluid"]] - inside[INDEX["vessel"]] - inside[INDEX["plexus"]]
    core = ramp(core_depth, 0, 1.5)
    enhancing = core * ramp(lesion.enhancing.at(points), 0, 1.2)
    tissue = ramp(brain, 0.5, 0.8)
    edema = ramp(depth, 0, softness) * (1 - core) * tissue
    labels[1, near] = (depth > 0) * (1 - core) * (brain > 0.5)
    labels[2, near] = enhancing
    labels[0, near] = core - enhancing
    # Edema is wetter near the core; infiltrated cortex changes less than white matter.
    wet = np.clip(0.6 + 0.025 * depth + 0.13 * texture, 0.3, 1)
    _replace(inside, "edema", edema * wet)
    solid, dead = _core_mix(lesion, core_depth, texture)
    inside *= 1 - core
    inside[INDEX["enhancing"]] += enhancing
    for name, part in (("tumor", solid), ("necrosis", dead), ("gray", 1 - solid - dead)):
        inside[INDEX[name]] += (core - enhancing) * part
    parts[:, near] = inside


def _core_mix(
    lesion: Lesion, depth: np.ndarray, texture: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of solid tumor and of necrosis in the core that does not enhance.

    The rest is like gray matter.
    """
    if lesion.style in ("ring", "solid"):
        dead = np.clip(ramp(depth, 3, 3) * (0.75 + 0.25 * texture), 0, 1)
        return (1 - dead) * 0.9, dead
    dead = 0.5 * ramp(texture, 2.0, 0.8)  # a few small cysts
    return np.clip(0.8 + 0.2 * texture, 0.3, 1) * (1 - dead), dead
