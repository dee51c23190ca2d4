"""Pictures other than brain MRI, to measure how often they are refused; none is used for training.

They come from installed packages, or are drawn here in other ways than in `brainai.data.decoys`.
"""

import io
import string
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

SHIPPED = {  # package: folder of its pictures, and their file name extensions
    "skimage": ("data", (".png", ".jpg")),
    "sklearn": ("datasets/images", (".jpg",)),
    "matplotlib": ("mpl-data/sample_data", (".png", ".jpg")),
    "gradio": ("media_assets/images", (".jpg", ".jpeg")),
}
TISSUE = {"retina", "ihc", "cell", "microaneurysms"}  # scikit-image: eye, bowel, cell, vessels
NEARLY_GRAY = 10  # mean spread of the colors, of 255; see `brainai.data.images`
DRAWN = 20  # pictures of each kind


def shipped() -> Iterator[tuple[str, Image.Image]]:
    """Yield group and picture of the pictures in installed packages, sorted by file name.

    A color picture is yielded twice, in color and in gray, because a gray one must be refused too.
    """
    for package, (folder, extensions) in SHIPPED.items():
        spec = find_spec(package)  # locates the package without importing it
        if spec is None or spec.origin is None:
            continue
        for path in sorted((Path(spec.origin).parent / folder).glob("*")):
            if path.suffix not in extensions:
                continue
            with Image.open(path) as image:
                picture = image.convert("RGB")
            gray = picture.convert("L")
            spread = np.ptp(np.asarray(picture, float), axis=2).mean()
            if min(gray.size) >= 32 and np.ptp(np.asarray(gray)) > 0:
                if spread > NEARLY_GRAY:
                    yield "color pictures", picture
                tissue = path.stem in TISSUE
                yield "microscopy and retina, gray" if tissue else "photographs, gray", gray


def drawn(seed: int = 0, count: int = DRAWN) -> Iterator[tuple[str, Image.Image]]:
    """Yield group and picture of `count` pictures each of noise, pages of text, and charts."""
    random = np.random.default_rng(seed)
    for number in range(count):
        yield "noise", Image.fromarray(_noise(number, random))
        yield "pages of text", _page(random)
        yield "charts", _chart(number, random)


def _noise(number: int, random: np.random.Generator) -> np.ndarray:
    side = int(random.integers(64, 512))
    levels = (
        random.integers(0, 256, (side, side)),
        random.poisson(random.uniform(1, 40), (side, side)),
        255 * (random.random((side, side)) < random.uniform(0.02, 0.5)),
        np.kron(random.integers(0, 256, (side // 8, side // 8)), np.ones((8, 8))),
        np.hypot(*random.normal(0, 40, (2, side, side))),
    )
    return np.clip(levels[number % len(levels)], 0, 255).astype(np.uint8)


def _page(random: np.random.Generator) -> Image.Image:
    width, height = int(random.integers(300, 900)), int(random.integers(300, 1200))
    page = Image.new("L", (width, height), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(random.uniform(10, 30))
    for top in np.arange(20, height - 20, font.size * 1.5):
        words = ["".join(random.choice(list(string.printable[:62]), random.integers(1, 11)))
                 for _ in range(int(width / font.size / 3))]  # fmt: skip
        pen.text((20, top), " ".join(words), fill=int(random.integers(0, 80)), font=font)
    return page


def _chart(number: int, random: np.random.Generator) -> Image.Image:
    figure = Figure(figsize=random.uniform(2, 6, 2), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    kind = number % 4
    if kind == 0:
        axes.pie(random.random(5), labels=list("abcde"), colors=[str(g) for g in random.random(5)])
    elif kind == 1:
        axes.contour(random.random((8, 8)), colors="black")
    elif kind == 2:
        axes.hist(random.normal(size=300), bins=20, color="0.4")
    else:
        axes.imshow(random.random((6, 6)), cmap="gray")
    axes.set_title("A chart")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("L")
