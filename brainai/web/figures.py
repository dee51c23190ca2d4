"""Pictures on the page: the slice with the tumour outlined, and copies that a browser can show."""

import numpy as np
from PIL import Image, ImageFilter

from brainai.data.images import decode, window
from brainai.errors import DataError

OUTLINE = (255, 176, 0)  # amber: stands out from grey, and for colour-blind eyes too
SHOWN_SIDE = 640  # pixels of the longer side, however large the slice is
BROWSER_FORMATS = {"PNG", "JPEG", "GIF", "WEBP", "BMP"}
THICKNESS = 5  # odd: the filter's side; draws about half of it inside and half outside


def draw_slice(pixels: np.ndarray, mask: np.ndarray | None = None) -> Image.Image:
    """A slice in its grey window, `SHOWN_SIDE` long, with the border of the mask drawn over it.

    Args:
        pixels: `[H, W]` raw grey levels, as `brainai.data.images.decode` gives them.
        mask: `[H, W]` bool, or None for no outline.
    Returns:
        RGB picture of the slice's own proportions.
    """
    size = shown_size(*pixels.shape)
    grey = Image.fromarray(np.round(window(pixels) * 255).astype(np.uint8))
    picture = grey.resize(size, Image.Resampling.BICUBIC).convert("RGB")
    if mask is not None:
        picture.paste(OUTLINE, mask=border(mask, size))
    return picture


def border(mask: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The outline of a mask `[H, W]` bool on a picture of `size` (width, height), mode "L"."""
    smooth = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    solid = smooth.point(lambda value: 255 * (value >= 128))
    # Without the frame a tumour that touches the picture's edge would have no border there.
    framed = Image.new("L", (size[0] + 2, size[1] + 2))
    framed.paste(solid, (1, 1))
    outer = np.asarray(framed.filter(ImageFilter.MaxFilter(THICKNESS)))
    inner = np.asarray(framed.filter(ImageFilter.MinFilter(THICKNESS)))
    return Image.fromarray((outer - inner)[1:-1, 1:-1])


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Width and height on the page of a slice `[H, W]`."""
    scale = SHOWN_SIDE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def browser_shows(file: str) -> bool:
    """False for a file that a browser draws as a broken picture, or 16 bit as black."""
    try:
        with Image.open(file) as image:
            return image.format in BROWSER_FORMATS and not image.mode.startswith("I")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def grey_copy(file: str) -> Image.Image | None:
    """A slice as 16-bit grey from its darkest to its brightest pixel; None if it is no slice.

    Windowing takes no notice of gain and offset, so the copy is judged as the file itself is.
    """
    try:
        pixels = decode(file).astype(np.float64)
    except DataError:
        return None
    levels = (pixels - pixels.min()) * (65535 / np.ptp(pixels))
    return Image.fromarray(np.round(levels).astype(np.uint16))
