"""Pictures of a slice: gray levels, outline and heat map, each to lie over the other."""

import numpy as np
from matplotlib import colormaps
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from brainai.data.images import window

OUTLINE = (255, 176, 0)  # amber: stands out from gray, and for color-blind eyes too
CASING = (0, 0, 0)  # beside the amber, which alone would be lost in the heat map
SHOWN_SIDE = 640  # pixels of the longer side, at least: small slices are enlarged
MAX_SHOWN_SIDE = 2048  # and at most: the picture travels within the page
THICKNESS = 5  # odd: the filter's side; draws about half of it inside and half outside
HEAT_COLORS = colormaps["magma"]  # even steps for the eye, and for color-blind eyes
HEAT_OPACITY = 0.75  # at most: the slice is to be seen below
OPAQUE_FROM = 0.5  # heat of that opacity; weaker heat is clearer, none is clear


def draw_slice(pixels: np.ndarray) -> Image.Image:
    """A slice in its gray window, in full resolution and `SHOWN_SIDE` long at least, mode "L".

    Args:
        pixels: `[H, W]` raw gray levels, as `brainai.data.images.decode` gives them.
    """
    gray = Image.fromarray(np.round(window(pixels) * 255).astype(np.uint8))
    return gray.resize(shown_size(*pixels.shape), Image.Resampling.BICUBIC)


def draw_thumbnail(pixels: np.ndarray, side: int) -> Image.Image:
    """A slice in its gray window, `side` pixels long at most, mode "L"."""
    picture = Image.fromarray(np.round(window(pixels) * 255).astype(np.uint8))
    picture.thumbnail((side, side))
    return picture


def draw_outline(mask: np.ndarray) -> Image.Image:
    """The border of a mask `[H, W]` bool, to lie over the slice; "RGBA", clear elsewhere."""
    size = shown_size(*mask.shape)
    picture = Image.new("RGBA", size)
    thickness = 2 * round(THICKNESS * max(size) / SHOWN_SIDE / 2 - 0.5) + 1  # as wide to the eye
    picture.paste(CASING, mask=border(mask, size, thickness + 4))
    picture.paste(OUTLINE, mask=border(mask, size, thickness))
    return picture


def draw_heat(heatmap: np.ndarray) -> Image.Image:
    """A heat map `[H, W]` float in [0, 1], to lie over the slice; "RGBA", clear where it is 0."""
    large = Image.fromarray(heatmap).resize(shown_size(*heatmap.shape), Image.Resampling.BILINEAR)
    return Image.fromarray(heat_colors(np.asarray(large)))


def heat_colors(heat: np.ndarray) -> np.ndarray:
    """Heat in [0, 1], of any shape → red, green, blue and opacity, `[..., 4]` uint8."""
    colors = HEAT_COLORS(heat, bytes=True)
    opacity = HEAT_OPACITY * np.clip(heat / OPAQUE_FROM, 0, 1)
    colors[..., 3] = np.round(opacity * 255)
    return colors


def border(mask: np.ndarray, size: tuple[int, int], thickness: int) -> Image.Image:
    """The outline of a mask `[H, W]` bool on a picture of `size` (width, height), mode "L"."""
    smooth = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    solid = np.asarray(smooth) >= 128
    # Beyond the picture there is no mask: a tumor that touches the edge has its border there.
    outer = maximum_filter(solid, thickness, mode="constant")
    inner = minimum_filter(solid, thickness, mode="constant")
    return Image.fromarray((outer & ~inner).astype(np.uint8) * 255)


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Width and height on the page of a slice `[H, W]`."""
    side = max(height, width)
    scale = min(max(side, SHOWN_SIDE), MAX_SHOWN_SIDE) / side
    return max(1, round(width * scale)), max(1, round(height * scale))


def mask_picture(mask: np.ndarray, size: tuple[int, int] | None = None) -> Image.Image:
    """A mask `[H, W]` bool as a picture of one bit a pixel, enlarged to a height and width."""
    picture = Image.fromarray(mask)
    return picture if size in (None, mask.shape) else picture.resize(size[::-1])
