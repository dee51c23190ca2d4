"""Make pictures that are not upright axial FLAIR slices, on which “Cannot judge” is fitted.

They are cut from the scans of a data set and turned or changed, or drawn without any scan. The
module does not import torch.
"""

import io
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from brainai.data.dataset import MODALITIES, SliceRecord
from brainai.data.images import prepare_slice, stretch
from brainai.data.store import Store

# Ratio of a scan's height to the width of its slices: 155 mm to 240 mm in BraTS, similar in LGG.
SCAN_HEIGHT = 0.65
HEAD_LEVEL = 0.1  # of the gray window; brighter pixels belong to the head
STACK = 12  # least number of slices of a case for sagittal and coronal cuts


def stacks(case_ids: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the slices of each case with at least `STACK` slices.

    Args:
        case_ids: the case of each slice.
    """
    cases: dict[str, list[int]] = {}
    for index, case in enumerate(case_ids):
        cases.setdefault(case, []).append(index)
    return {case: indices for case, indices in cases.items() if len(indices) >= STACK}


class Scan(NamedTuple):
    """The slices of a case as a scan that is in scope or out of scope.

    kind: "FLAIR", which is in scope, or the kind of scan that is out of scope.
    record: the record of one of its slices.
    planes: `[Z, S, S]` uint8, from bottom to top.
    """

    kind: str
    record: SliceRecord
    planes: np.ndarray


def scans(store: Store, rows: Iterable[int]) -> Iterator[Scan]:
    """Yield the scans of the cases with at least `STACK` slices among some rows of a store.

    For each case these are FLAIR, FLAIR upside down, and the other sequences of the case.
    """
    rows = list(rows)
    for indices in stacks([store.records[row].case_id for row in rows]).values():
        stack = [rows[index] for index in indices]
        record, flair = store.records[stack[0]], store.planes[stack, 0]
        yield Scan("FLAIR", record, flair)
        yield Scan("FLAIR upside down", record, flair[:, ::-1])
        for channel, name in enumerate(MODALITIES):
            if channel and name in record.modalities:
                yield Scan(f"{name.upper()[:2]}{name[2:]}", record, store.planes[stack, channel])


def turn(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turn an axial slice upside down or on its side, or flip it vertically: `[S, S]` → same."""
    ways = (np.flipud, np.rot90, lambda p: np.rot90(p, 2), lambda p: np.rot90(p, 3))
    return np.ascontiguousarray(ways[random.integers(len(ways))](plane))


def recolor(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Give a FLAIR slice the gray levels of another sequence or of CT: `[S, S]` → `[S, S]`.

    Values are in [0, 1]. In T1, white matter is brighter than gray matter and lesions are dark. In
    T2, fluid is bright; in proton density it is about as bright as tissue. In CT, a bright skull
    surrounds tissue of low contrast. Some slices are coarse, like echo-planar pictures. Fluid and
    lesions never both look as they do in FLAIR.
    """
    inside = plane[plane > HEAD_LEVEL]
    if inside.size == 0:
        return invert(plane, random)
    tissue = float(np.median(inside))
    contrast = CONTRASTS[random.choice(len(CONTRASTS), p=CONTRAST_SHARES)]
    flair_levels = np.array([0, 0.5, 0.85, 1.25, max(1.3, 1 / tissue)]) * tissue
    head = _enclosed(plane > HEAD_LEVEL)
    changed = np.interp(plane, flair_levels, contrast(random)) * head
    if contrast is _ct:
        thick = max(1, round(len(plane) * random.uniform(0.01, 0.04)))
        changed[head & ~binary_erosion(head, iterations=thick)] = random.uniform(0.8, 1.5)
    if random.random() < COARSE:
        side = round(len(plane) / random.uniform(1.5, 4))
        changed = stretch(stretch(changed, side, side), *plane.shape)
    return prepare_slice(changed, len(plane))


# Each returns the gray levels of fluid, fluid, white matter, gray matter and of tissue that is
# brighter in FLAIR.
def _t1(random: np.random.Generator) -> list[float]:
    white, gray = random.uniform(0.6, 0.9), random.uniform(0.2, 0.4)
    return [0, random.uniform(0, 0.2), white, gray, random.uniform(0, gray)]


def _t2(random: np.random.Generator) -> list[float]:
    white, gray, fluid = (random.uniform(*ends) for ends in ((0.2, 0.6), (0.4, 0.7), (0.7, 1)))
    return [fluid, fluid, white, gray, random.uniform(0, 1)]


def _proton_density(random: np.random.Generator) -> list[float]:
    white = random.uniform(0.5, 0.8)
    gray, fluid = white + random.uniform(0.02, 0.15), white + random.uniform(0.01, 0.25)
    return [fluid, fluid, white, gray, gray + random.uniform(-0.1, 0.2)]


def _ct(random: np.random.Generator) -> list[float]:
    white = random.uniform(0.3, 0.6)
    fluid = white * random.uniform(0.4, 0.8)
    return [fluid, fluid, white, white * random.uniform(1, 1.2), white * random.uniform(0.6, 0.9)]


CONTRASTS = (_t1, _t2, _proton_density, _ct)
CONTRAST_SHARES = (0.3, 0.25, 0.25, 0.2)
COARSE = 0.25  # share of recolored slices that are coarse


def _enclosed(head: np.ndarray) -> np.ndarray:
    """Return which pixels lie between pixels of the head in row and column, `[S, S]` bool."""
    seen = [
        np.flip(np.logical_or.accumulate(np.flip(head, axis) if back else head, axis), axis)
        if back
        else np.logical_or.accumulate(head, axis)
        for axis in (0, 1)
        for back in (False, True)
    ]
    return np.logical_and.reduce(seen)


def cut(stack: np.ndarray, across: int, random: np.random.Generator) -> np.ndarray:
    """Cut a sagittal or coronal slice, head up, through a stack of axial slices.

    Args:
        stack: `[Z, S, S]` uint8, from bottom to top.
        across: axis across which to cut: 2 gives a sagittal slice, 1 a coronal slice.
    Returns:
        `[S, S]` float32 in [0, 1].
    """
    size = stack.shape[1]
    place = int(size * random.uniform(0.3, 0.7))
    plane = stack.take(place, axis=across)[::-1]
    return prepare_slice(stretch(plane, round(SCAN_HEIGHT * size), size), size)


def draw_noise(size: int, random: np.random.Generator) -> np.ndarray:
    """Draw noise of any grain, from white noise to clouds, `[size, size]`."""
    shape = (size, size)
    white = random.normal(size=shape) if random.random() < 0.7 else random.random(shape) ** 4
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    falling = np.maximum(np.hypot(rows, columns), 1 / size) ** -random.uniform(0, 2)
    return np.fft.irfft2(np.fft.rfft2(white) * falling, s=shape)


def draw_shapes(size: int, random: np.random.Generator) -> np.ndarray:
    """Draw ellipses, boxes and lines over a gradient, blurred or not, `[size, size]`."""
    slope = np.add.outer(*(np.linspace(0, random.uniform(-90, 90), size) for _ in range(2))) + 128
    picture = Image.fromarray(np.clip(slope, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(random.integers(1, 25)):
        x, y = np.sort(random.uniform(-0.2, 1.2, (2, 2)) * size, axis=1)
        draw = (pen.ellipse, pen.rectangle, pen.line)[random.integers(3)]
        draw((x[0], y[0], x[1], y[1]), fill=int(random.integers(256)))
    pixels = np.asarray(picture, np.float32) + random.normal(size=(size, size)) * random.uniform(
        0, 8
    )
    return (
        stretch(stretch(pixels, size // 3, size // 3), size, size)
        if random.random() < 0.3
        else pixels
    )


def draw_text(size: int, random: np.random.Generator) -> np.ndarray:
    """Draw a page of letters, dark on light or light on dark, `[size, size]`."""
    page = Image.new("L", (size, size), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(random.uniform(0.03, 0.12) * size)
    letters = np.array(list(string.ascii_letters + "    "))
    for line in range(24):
        text = "".join(random.choice(letters, random.integers(4, 60)))
        pen.text((size * 0.05, line * font.size * 1.3), text, fill=0, font=font)
    pixels = np.asarray(page, np.float32)
    return 255 - pixels if random.random() < 0.3 else pixels


def draw_chart(size: int, random: np.random.Generator) -> np.ndarray:
    """Draw a chart of curves, bars or points, `[size, size]`."""
    figure = Figure(figsize=(4, 4), dpi=size / 4)
    axes = figure.add_subplot()
    x, y = np.arange(12), random.normal(size=(3, 12)).cumsum(axis=1)
    kind = random.integers(3)
    if kind == 0:
        axes.plot(x, y.T, linewidth=random.uniform(0.5, 3))
    elif kind == 1:
        axes.bar(x, np.abs(y[0]))
    else:
        axes.scatter(*random.normal(size=(2, 60)))
    axes.set_title("".join(random.choice(list(string.ascii_letters), 12)))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("L"), np.float32)


def shatter(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shuffle the pieces of a slice, so that no brain can be seen, `[S, S]` → `[S, S]`."""
    parts = int(random.integers(2, 5))
    side = len(plane) // parts
    pieces = [
        plane[y * side : (y + 1) * side, x * side : (x + 1) * side]
        for y in range(parts)
        for x in range(parts)
    ]
    order = random.permutation(len(pieces))
    if (order == np.arange(len(pieces))).all():
        order = order[::-1]
    rows = [[pieces[order[y * parts + x]] for x in range(parts)] for y in range(parts)]
    return stretch(np.block(rows), *plane.shape)


def magnify(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Enlarge a small part of a slice to the size of the slice, `[S, S]` → `[S, S]`."""
    size = len(plane)
    side = int(size * random.uniform(0.2, 0.45))
    y, x = random.integers(int(0.2 * size), int(0.8 * size - side), 2)
    part = plane[y : y + side, x : x + side]
    return prepare_slice(stretch(part, size, size), size)


def invert(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Exchange dark and bright, as in a negative: `[S, S]` → `[S, S]`, both in [0, 1]."""
    return 1 - plane


DRAWINGS: tuple[Callable, ...] = (draw_noise, draw_shapes, draw_text, draw_chart)
SPOILINGS: tuple[Callable, ...] = (shatter, magnify, invert)


def draw(size: int, random: np.random.Generator) -> np.ndarray:
    """Draw a picture that is not a scan, prepared for the network: `[size, size]` in [0, 1]."""
    while True:
        pixels = DRAWINGS[random.integers(len(DRAWINGS))](size, random)
        if np.ptp(pixels) > 0:
            return prepare_slice(pixels, size)


def spoil(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Change a slice so that no brain can be seen, `[S, S]` → `[S, S]`, both in [0, 1]."""
    return SPOILINGS[random.integers(len(SPOILINGS))](plane, random)
