"""Grow a tumor in the template: a core, its enhancing part, and edema along the white matter.

Core and edema are the places that a front reaches within a time. It travels fast in white matter,
slowly in gray matter and hardly in fluid (eikonal growth, after Konukoglu et al. 2010, IEEE Trans
Med Imaging 29:77).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage

from brainai.errors import ConfigError
from brainai.phantom.fields import Field, ramp, smooth_noise
from brainai.phantom.template import Template, gradient_fields

STEP_MM = 2.0
STYLES = ("ring", "solid", "patchy", "none")  # how the core takes up contrast agent
STYLE_SHARES = (0.5, 0.1, 0.2, 0.2)
CORE_COST = (1.0, 1.3, 8.0)  # time per mm in white matter, gray matter and fluid
EDEMA_COST = (1.0, 5.0, 30.0)
NEVER = np.float32(1e6)
TRIES = 10  # number of cores to draw; with the smallest radius, about one in ten is empty


@dataclass(frozen=True)
class Lesion:
    """A tumor, as fields around it in template space.

    A depth is the way that the front still travels beyond a point, in mm of white matter.

    edema: depth inside the outer border of the edema, negative outside it.
    core: depth inside the border of the core, negative outside it.
    enhancing: positive where the core takes up contrast agent.
    texture: smooth noise with a standard deviation of about 1.
    push: gradient of the blurred core, per mm; tissue moves against it.
    style: one of `STYLES`.
    center_mm: where the tumor started, `[3]`, LPS.
    """

    edema: Field
    core: Field
    enhancing: Field
    texture: Field
    push: tuple[Field, Field, Field]
    style: str
    center_mm: np.ndarray


def grow(
    template: Template,
    rng: np.random.Generator,
    center_mm: tuple[float, float, float] | None = None,
    style: str | None = None,
    radius_mm: float | None = None,
) -> Lesion:
    """Return a tumor. Center, style and radius are drawn at random if they are None.

    Args:
        center_mm: where the tumor starts, LPS, in template space; else in white matter.
        style: one of `STYLES`.
        radius_mm: how far the core grows.
    Raises:
        ConfigError: the style is unknown, or no core grows, because the center is outside the brain
            or the radius too small.
    """
    if style not in (None, *STYLES):
        raise ConfigError(f"style: expected one of {', '.join(STYLES)}, found {style!r}.")
    center = _random_center(template, rng) if center_mm is None else np.array(center_mm, float)
    drawn_style = str(rng.choice(STYLES, p=STYLE_SHARES))
    style = drawn_style if style is None else style
    drawn_radius = float(np.clip(rng.lognormal(np.log(13), 0.45), 5, 26))
    radius = drawn_radius if radius_mm is None else radius_mm
    extent = rng.uniform(2, 10) if style == "none" else rng.uniform(5, 24)
    grid = _grid_around(center, 1.5 * radius + 1.2 * extent + 14)
    parts = _tissue_at(template, grid)
    core = _core(grid, parts, center, radius, rng)
    cost = _cost(parts, EDEMA_COST) * np.exp(0.45 * _rough(grid.values.shape, rng))
    edema = extent - _travel(cost, np.where(core > 0, np.float32(0), NEVER))
    texture = _rough(grid.values.shape, rng)
    blurred = grid.with_values(ndimage.gaussian_filter((core > 0).astype(np.float32), 4))
    return Lesion(
        edema=grid.with_values(np.clip(ndimage.gaussian_filter(edema, 0.7), -9, 30)),
        core=grid.with_values(core),
        enhancing=grid.with_values(_enhancing(core, style, radius, rng)),
        texture=grid.with_values(texture),
        push=gradient_fields(blurred),
        style=style,
        center_mm=center,
    )


def _random_center(template: Template, rng: np.random.Generator) -> np.ndarray:
    """Return a random point deep in the white matter of the cerebrum, `[3]`, LPS, mm."""
    coarse = template.cavity
    step = round(coarse.step)
    x, y, z = points = coarse.coordinates()
    white = template.white.at(points.reshape(3, -1), 0.0).reshape(x.shape)
    white = ndimage.gaussian_filter(white, 1)
    deep = (coarse.values < -9) & (white > 0.6) & (z > -14) & (np.abs(x) > 9)
    deep &= (z > 6) | (y < 45)  # the cerebellum is left out
    choices = np.argwhere(deep)
    index = choices[rng.integers(len(choices))]
    return coarse.origin + step * index


def _grid_around(center: np.ndarray, reach_mm: float) -> Field:
    """Return a field of zeros on a cube of voxels of `STEP_MM` with its middle at `center`."""
    count = 2 * int(np.ceil(reach_mm / STEP_MM)) + 1
    origin = center - STEP_MM * (count // 2)
    return Field(np.zeros((count,) * 3, np.float32), origin, STEP_MM)


def _tissue_at(template: Template, grid: Field) -> np.ndarray:
    """Return the parts of white matter, gray matter and fluid on a grid, `[3, A, B, C]`."""
    points = grid.coordinates().reshape(3, -1)
    brain = ramp(template.brain.at(points, 0.0), 0.7, 0.4)
    white = ramp(template.white.at(points, 0.0), 0.5, 0.5) * brain
    fluid = 1 - brain
    fluid[template.cavity.at(points) > -1] = 1e4  # the skull stops every front
    # So does the falx, except at the corpus callosum.
    x, _, z = points
    fluid[(np.abs(x) < 1.5) & (z > 24)] = 30
    return np.stack([white, brain - white, fluid]).reshape(3, *grid.values.shape)


def _cost(parts: np.ndarray, cost: tuple[float, ...]) -> np.ndarray:
    """Return the time per mm in each voxel, `[A, B, C]`."""
    return np.tensordot(np.array(cost, np.float32), parts, 1)


def _core(
    grid: Field, parts: np.ndarray, center: np.ndarray, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """Return how deep each voxel lies in the core, `[A, B, C]`, mm; negative outside it.

    A small core is drawn again if slow growth and blur leave nothing of it.

    Raises:
        ConfigError: no core grows.
    """
    for _ in range(TRIES):
        core = _draw_core(grid, parts, center, radius, rng)
        if (core > 0).any():
            return core
    raise ConfigError(
        "center_mm and radius_mm: expected a place in the brain and a radius with which a core "
        f"grows there, such as 5, found {tuple(map(float, center))} and {radius:g}."
    )


def _draw_core(
    grid: Field, parts: np.ndarray, center: np.ndarray, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """Return how deep each voxel lies in a core of two to six seeds, mm; negative outside it.

    One seed is the center; the others are drawn around it, and may fall into the same voxel.
    """
    shape = grid.values.shape
    start = np.full(shape, NEVER)
    for _ in range(rng.integers(1, 6)):
        place = center + rng.normal(0, 0.5 * radius, 3).clip(-radius, radius)
        delay = rng.uniform(0, 0.5) * radius
        index = tuple(np.rint((place - grid.origin) / STEP_MM).astype(int))
        start[index] = min(start[index], delay)
    start[tuple(n // 2 for n in shape)] = 0
    cost = _cost(parts, CORE_COST) * np.exp(0.5 * _rough(shape, rng))
    core = ndimage.gaussian_filter(np.clip(radius - _travel(cost, start), -12, None), 0.8)
    return core + 0.8 * smooth_noise(shape, 0.8, rng)


def _enhancing(core: np.ndarray, style: str, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Return values that are positive where the core enhances, `[A, B, C]`.

    That is a rim of uneven thickness, patches, all of the core, or nothing, as `style` says.
    """
    if style == "none":
        return np.full(core.shape, -9, np.float32)
    if style == "solid":
        return core + 0.5
    uneven = _rough(core.shape, rng)
    if style == "patchy":
        return np.minimum(core, 2.0 * (uneven - 0.4))
    thickness = np.clip(0.22 * radius, 2.0, 4.5) * np.exp(0.6 * uneven)
    return np.minimum(core + 0.3, thickness - core)


def _rough(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return noise of several sizes, 2 to 12 mm, with a standard deviation of about 1."""
    coarse, middle, fine = (
        part * smooth_noise(shape, sigma, rng) for part, sigma in ((0.7, 4), (0.55, 2), (0.45, 0.9))
    )
    return coarse + middle + fine


def _travel(cost: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return when a front arrives at each voxel, `[A, B, C]`, where each voxel has 26 neighbors.

    The times of all voxels are updated together until none changes, as Bellman and Ford do.

    Args:
        cost: time per mm, `[A, B, C]`.
        start: when the front starts in each voxel, `[A, B, C]`; `NEVER` where it does not.
    """
    steps = [s for s in product((-1, 0, 1), repeat=3) if any(s)]
    cost, time = (
        np.pad(cost, 1, mode="edge").astype(np.float32),
        np.pad(start, 1, constant_values=NEVER),
    )
    inner = (slice(1, -1),) * 3
    while True:
        before = time[inner].copy()
        for step in steps:
            there = tuple(slice(1 + d, n - 1 + d) for d, n in zip(step, time.shape, strict=True))
            length = 0.5 * STEP_MM * np.float32(np.sqrt(sum(map(abs, step))))
            arrival = time[there] + length * (cost[there] + cost[inner])
            np.minimum(time[inner], arrival, out=time[inner])
        if np.array_equal(before, time[inner]):
            return time[inner]
