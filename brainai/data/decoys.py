"""Pictures that are no upright axial FLAIR slice: what “Cannot judge” is fitted on.

Cut and turned from the scans of a data set, or drawn with no scan at all. No torch in here.
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

# Of a scan's height to the width of its slices: 155 mm over 240 mm in BraTS, about that in LGG.
SCAN_HEIGHT = 0.65
HEAD_LEVEL = 0.1  # of the gray window: what is brighter is head
STACK = 12  # slices that make a case a stack that can be cut across


def stacks(case_ids: Sequence[str]) -> dict[str, list[int]]:
    """The places of the slices of each case that has enough of them to be cut across."""
    cases: dict[str, list[int]] = {}
    for place, case in enumerate(case_ids):
        cases.setdefault(case, []).append(place)
    return {case: own for case, own in cases.items() if len(own) >= STACK}


class Scan(NamedTuple):
    """The slices of a case, lowest first, as a scan to keep or to refuse.

    kind: "FLAIR", which is to keep, or what stands in its place.
    record: of one of its slices.
    planes: `[Z, S, S]` uint8.
    """

    kind: str
    record: SliceRecord
    planes: np.ndarray


def scans(store: Store, rows: Iterable[int]) -> Iterator[Scan]:
    """The cases among some rows of a store that are stacks: FLAIR, FLAIR upside down, and the other
    sequences that they have."""
    rows = list(rows)
    for own in stacks([store.records[row].case_id for row in rows]).values():
        stack = [rows[place] for place in own]
        record, flair = store.records[stack[0]], store.planes[stack, 0]
        yield Scan("FLAIR", record, flair)
        yield Scan("FLAIR upside down", record, flair[:, ::-1])
        for channel, name in enumerate(MODALITIES):
            if channel and name in record.modalities:
                yield Scan(f"{name.upper()[:2]}{name[2:]}", record, store.planes[stack, channel])


def turn(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """An axial slice upside down, mirrored top to bottom, or on its side: `[S, S]` → `[S, S]`."""
    ways = (np.flipud, np.rot90, lambda p: np.rot90(p, 2), lambda p: np.rot90(p, 3))
    return np.ascontiguousarray(ways[random.integers(len(ways))](plane))


def recolor(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A FLAIR slice with the gray levels of another sequence or machine: `[S, S]` → `[S, S]`, both
    in [0, 1].

    White matter brighter than gray and lesions dark as in T1; fluid bright as in T2, or about as
    bright as tissue as in proton density; a bright skull around dull tissue as in CT. Some are
    coarse, as echo-planar pictures are. Fluid and lesions never look both as they do in FLAIR.
    """
    inside = plane[plane > HEAD_LEVEL]
    if inside.size == 0:
        return invert(plane, random)
    tissue = float(np.median(inside))
    contrast = CONTRASTS[random.choice(len(CONTRASTS), p=CONTRAST_SHARES)]
    places = np.array([0, 0.5, 0.85, 1.25, max(1.3, 1 / tissue)]) * tissue
    head = _enclosed(plane > HEAD_LEVEL)
    changed = np.interp(plane, places, contrast(random)) * head
    if contrast is _ct:
        thick = max(1, round(len(plane) * random.uniform(0.01, 0.04)))
        changed[head & ~binary_erosion(head, iterations=thick)] = random.uniform(0.8, 1.5)
    if random.random() < COARSE:
        side = round(len(plane) / random.uniform(1.5, 4))
        changed = stretch(stretch(changed, side, side), *plane.shape)
    return prepare_slice(changed, len(plane))


# Levels of fluid, fluid, white matter, gray matter and what is brighter in FLAIR.


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
COARSE = 0.25  # so many of them


def _enclosed(head: np.ndarray) -> np.ndarray:
    """What lies between pixels of the head in its row and in its column, `[S, S]` bool."""
    seen = [
        np.flip(np.logical_or.accumulate(np.flip(head, axis) if back else head, axis), axis)
        if back
        else np.logical_or.accumulate(head, axis)
        for axis in (0, 1)
        for back in (False, True)
    ]
    return np.logical_and.reduce(seen)


def cut(stack: np.ndarray, across: int, random: np.random.Generator) -> np.ndarray:
    """A sagittal or coronal slice through a stack of axial ones, head up.

    Args:
        stack: `[Z, S, S]` uint8, lowest first.
        across: the axis that is cut across: 2 gives a sagittal slice, 1 a coronal one.
    Returns:
        `[S, S]` float32 in [0, 1].
    """
    size = stack.shape[1]
    place = int(size * random.uniform(0.3, 0.7))
    plane = stack.take(place, axis=across)[::-1]
    return prepare_slice(stretch(plane, round(SCAN_HEIGHT * size), size), size)


def draw_noise(size: int, random: np.random.Generator) -> np.ndarray:
    """Noise of any grain, from white to clouds, `[size, size]`."""
    shape = (size, size)
    white = random.normal(size=shape) if random.random() < 0.7 else random.random(shape) ** 4
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    falling = np.maximum(np.hypot(rows, columns), 1 / size) ** -random.uniform(0, 2)
    return np.fft.irfft2(np.fft.rfft2(white) * falling, s=shape)


def draw_shapes(size: int, random: np.random.Generator) -> np.ndarray:
    """Ellipses, boxes and lines over a slope, blurred or not, `[size, size]`."""
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
    """A page of letters, dark on light or light on dark, `[size, size]`."""
    page = Image.new("L", (size, size), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(random.uniform(0.03, 0.12) * size)
    letters = np.array(list(string.ascii_letters + "    "))
    for line in range(24):
        text = "".join(random.choice(letters, random.integers(4, 60)))
        pen.text((size * 0.05, line * font.size * 1.3), text, fill=0, font=font)
    pixels = np.asarray(page, np.float32)
    return 255 - pixels if random.random() < 0.3 else pixels


def draw_chart(size: int, random: np.random.Generator) -> np.ndarray:
    """Curves, bars or points between axes, `[size, size]`."""
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
    """The pieces of a slice in another order, `[S, S]` → `[S, S]`: all of it, and no brain."""
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
    """A small part of a slice, as large as the whole: `[S, S]` → `[S, S]`."""
    size = len(plane)
    side = int(size * random.uniform(0.2, 0.45))
    y, x = random.integers(0.2 * size, 0.8 * size - side, 2)
    part = plane[y : y + side, x : x + side]
    return prepare_slice(stretch(part, size, size), size)


def invert(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Dark for bright, as on a film held against the light: `[S, S]` → `[S, S]`."""
    return 1 - plane


DRAWINGS: tuple[Callable, ...] = (draw_noise, draw_shapes, draw_text, draw_chart)
SPOILINGS: tuple[Callable, ...] = (shatter, magnify, invert)


def draw(size: int, random: np.random.Generator) -> np.ndarray:
    """A picture that is no scan at all, as the network sees one: `[size, size]` in [0, 1]."""
    while True:
        pixels = DRAWINGS[random.integers(len(DRAWINGS))](size, random)
        if np.ptp(pixels) > 0:
            return prepare_slice(pixels, size)


def spoil(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A slice of which no brain is left to be seen, `[S, S]` → `[S, S]`, both in [0, 1]."""
    return SPOILINGS[random.integers(len(SPOILINGS))](plane, random)
