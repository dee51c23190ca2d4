"""Simulate a study: draw a patient and a scanner, and compute the volumes and the mask."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from brainai.errors import ConfigError
from brainai.phantom.fields import ramp, spline_basis
from brainai.phantom.head import draw_head
from brainai.phantom.lesion import grow
from brainai.phantom.plaques import draw_plaques
from brainai.phantom.signal import INDEX, draw_protocol, receive, tissue_signals
from brainai.phantom.template import load_template
from brainai.phantom.tissues import LABELS, Patient, compose, draw_patient
from brainai.phantom.warp import Warp, draw_warp

MODALITIES = ("flair", "t1c", "t2")
SUBSLICE_MM = 1.5  # a thick slice is the mean of planes at about this distance
BIAS_MM = 80.0  # distance of the control points of the sensitivity
WHITE_LEVEL = 300.0  # gray level of white matter, before the scanner's gain
HEAD_MM = (-68.0, 80.0)  # from below the cerebellum to above the scalp


@dataclass(frozen=True)
class Phantom:
    """A simulated study.

    volumes: the requested sequences, by default `flair`, `t1c` and `t2`, `[X, Y, Z]` float32 in LPS
        axes: x grows to the patient's left, y to the back, z to the head. Without skull, voxels
        outside the brain are 0.
    mask: `[X, Y, Z]` uint8 with the labels of BraTS 2021: 1 is core, 2 edema, 4 enhancing.
    spacing_mm: size of a voxel along x, y and z.
    """

    volumes: dict[str, np.ndarray]
    mask: np.ndarray
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Scanner:
    """The properties of an examination that turn tissue into gray levels.

    levels: gray level of each pure tissue in each sequence, `[M, tissues]` float32.
    bias: control values of the logarithm of the sensitivity, `[M, A, B, C]`.
    surface: difference of the sensitivity between the rim of the head and its middle.
    sigma: standard deviation of the noise in each sequence, `[M]`, gray levels.
    blur: width of the blur within a slice in each sequence, `[M]`, voxels.
    grain: see `receive`.
    """

    levels: np.ndarray
    bias: np.ndarray
    surface: float
    sigma: np.ndarray
    blur: np.ndarray
    grain: float


def simulate(
    seed: int,
    *,
    lesion: bool = True,
    skull: bool = False,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 4.0),
    fov_mm: float = 240.0,
    range_mm: tuple[float, float] = HEAD_MM,
    spots: float = 0.4,
    plaques: bool = False,
    center_mm: tuple[float, float, float] | None = None,
    style: str | None = None,
    radius_mm: float | None = None,
    sequences: tuple[str, ...] = MODALITIES,
) -> Phantom:
    """Return a simulated study. The same arguments give the same study.

    A seed stands for the same person and scanner with and without lesion, skull, spots or plaques.

    Args:
        lesion: whether the person has a tumor.
        skull: whether skull and scalp are kept; else the study shows the brain and its fluid alone.
        spacing_mm: size of a voxel along x, y and z; slices have no gaps.
        fov_mm: width and height of the pictures.
        range_mm: lowest and highest level, from the middle of the brain.
        spots: amount of bright spots in white matter that are no tumor, from 0 (none) to 1 (many).
        plaques: whether the person has plaques as in multiple sclerosis, which are no tumor.
        center_mm: the center of the tumor; see `grow`, which draws it if it is None.
        style: how the core of the tumor takes up contrast agent, in the same way.
        radius_mm: the radius of the core of the tumor, in the same way.
        sequences: the volumes to compute, of those that `tissue_signals` knows.
    Raises:
        DataError: nilearn, which contains the anatomical template, is not installed.
        ConfigError: spacing, field of view or range give no voxels, the style is unknown, or no
            tumor grows.
    """
    axes = _axes(spacing_mm, fov_mm, range_mm)
    draw = [np.random.default_rng([seed, part]) for part in range(8)]
    template = load_template()
    tumor = grow(template, draw[0], center_mm, style, radius_mm) if lesion else None
    head = draw_head(draw[1]) if skull else None
    sclerosis = draw_plaques(template, draw[7]) if plaques else None
    patient = draw_patient(template, tumor, head, spots, sclerosis, draw[2])
    warp = draw_warp(template, tumor, draw[3], mass=draw[4].uniform(0.3, 1.0))
    scanner = _draw_scanner(draw[5], sequences)
    image = partial(_image_slice, patient, warp, scanner, axes, spacing_mm[2], rng=draw[6])
    pictures, labels = zip(*map(image, axes[2]), strict=True)
    volumes = dict(zip(sequences, np.stack(pictures, axis=-1), strict=True))
    return Phantom(volumes, np.stack(labels, axis=-1), spacing_mm)


def _axes(
    spacing_mm: tuple[float, float, float], fov_mm: float, range_mm: tuple[float, float]
) -> list[np.ndarray]:
    """Return the positions of the centers of the voxels along x, y and z.

    They are in mm from the middle of the brain.

    Raises:
        ConfigError: there would be no voxels.
    """
    low, high = range_mm
    if min(spacing_mm) <= 0 or fov_mm < spacing_mm[0] or high - low < spacing_mm[2]:
        raise ConfigError(
            f"A phantom needs voxels: found a spacing of {spacing_mm} mm, a field of view of "
            f"{fov_mm} mm and levels from {low} to {high} mm. Make the voxels smaller."
        )
    counts = [
        round(extent / step)
        for extent, step in zip((fov_mm, fov_mm, high - low), spacing_mm, strict=True)
    ]
    starts = (-fov_mm / 2, -fov_mm / 2, low)
    return [
        start + step * (np.arange(count) + 0.5)
        for start, step, count in zip(starts, spacing_mm, counts, strict=True)
    ]


def _draw_scanner(rng: np.random.Generator, sequences: tuple[str, ...]) -> Scanner:
    """Return the properties of an examination at random."""
    signals = tissue_signals(draw_protocol(rng), rng)
    levels = np.stack([signals[name] for name in sequences])
    count = len(sequences)
    levels *= WHITE_LEVEL * rng.uniform(0.5, 2.0, (count, 1)) / levels[:, [INDEX["white"]]]
    white = levels[:, INDEX["white"]]
    return Scanner(
        levels=levels.astype(np.float32),
        bias=rng.normal(0, rng.uniform(0.05, 0.25), (count, 7, 7, 7)),
        surface=rng.uniform(0, 0.5),
        sigma=white / rng.uniform(11, 40, count),
        blur=rng.uniform(0.0, 0.55, count),
        grain=rng.uniform(0, 0.5),
    )


def _image_slice(
    patient: Patient,
    warp: Warp,
    scanner: Scanner,
    axes: list[np.ndarray],
    thickness: float,
    z: float,
    *,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures of a slice, `[M, X, Y]` float32, and its labels, `[X, Y]` uint8.

    Args:
        axes: see `_axes`.
        thickness: of the slice, mm.
        z: the level of its middle, mm.
    """
    count = max(1, round(thickness / SUBSLICE_MM))
    planes = z + thickness * ((np.arange(count) + 0.5) / count - 0.5)
    shape = (len(axes[0]), len(axes[1]))
    signal = np.zeros((len(scanner.levels), shape[0] * shape[1]), np.float32)
    labels = np.zeros((len(LABELS), shape[0] * shape[1]), np.float32)
    for plane in planes:
        points = warp.slab(axes[0], axes[1], plane).reshape(3, -1)
        seen = np.flatnonzero(_reaches(patient, points))
        parts, found = compose(patient, points[:, seen])
        signal[:, seen] += scanner.levels @ parts / count
        labels[:, seen] += found / count
    points = warp.slab(axes[0], axes[1], z).reshape(3, -1)
    cavity = patient.template.cavity.at(points).reshape(shape)
    keep = np.ones(shape, bool)
    if patient.head is None:
        wrinkle = patient.wrinkles.at(points).reshape(shape)
        keep = cavity + 0.8 * wrinkle < -0.6
    pictures = _acquire(signal.reshape(-1, *shape), scanner, axes, z, rng)
    mask = np.where(labels.sum(0) > 0.5, np.array(LABELS, np.uint8)[labels.argmax(0)], 0)
    return pictures * keep, mask.reshape(shape).astype(np.uint8) * keep


def _reaches(patient: Patient, points: np.ndarray) -> np.ndarray:
    """Return at which points `[3, N]` there may be more than air, `[N]` bool."""
    if patient.head is None:
        return patient.template.cavity.at(points) < 2
    return patient.template.head.at(points) < patient.head.reach


def _acquire(
    signal: np.ndarray, scanner: Scanner, axes: list[np.ndarray], z: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the pictures of a slice with sensitivity, blur and noise, `[M, X, Y]` float32.

    Args:
        signal: gray levels without these, `[M, X, Y]`.
        z: the level of the slice, mm.
    """
    basis = [
        spline_basis(np.atleast_1d(positions), -3 * BIAS_MM, BIAS_MM, 7)
        for positions in (axes[0], axes[1], z)
    ]
    bias = basis[0] @ (scanner.bias @ basis[2][0]) @ basis[1].T
    radius = np.hypot(axes[0][:, None] / 75, axes[1][None] / 95)
    gain = np.exp(bias) * (1 + scanner.surface * (ramp(radius, 0.7, 1.2) - 0.3))
    pictures = []
    for picture, blur, sigma in zip(signal * gain, scanner.blur, scanner.sigma, strict=True):
        blurred = ndimage.gaussian_filter(picture, blur) if blur > 0.15 else picture
        pictures.append(receive(blurred, float(sigma), scanner.grain, rng))
    return np.stack(pictures)
