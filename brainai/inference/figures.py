"""Pictures of a slice as layers: gray levels, outline and heat map."""

import numpy as np
from matplotlib import colormaps
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from brainai.data.images import window

OUTLINE = (255, 176, 0)  # amber, which stands out from gray, also for color-blind people
CASING = (0, 0, 0)  # black edges of the outline, without which amber is lost in the heat map
SHOWN_SIDE = 640  # minimum longer side in pixels; smaller slices are enlarged
MAX_SHOWN_SIDE = 2048  # maximum longer side in pixels, because the page contains the picture
THICKNESS = 5  # side of the filter, odd; about half of the line lies inside the mask
HEAT_COLORS = colormaps["magma"]  # perceptually uniform, also for color-blind people
HEAT_OPACITY = 0.75  # maximum opacity, so that the slice remains visible
OPAQUE_FROM = 0.5  # heat from which on the opacity is maximal; it falls to 0 for no heat


def draw_slice(pixels: np.ndarray) -> Image.Image:
    """Return a slice in its gray window at the size of `shown_size`, mode "L".

    Args:
        pixels: `[H, W]` raw gray levels, as `brainai.data.images.decode` returns them.
    """
    gray = Image.fromarray(np.round(window(pixels) * 255).astype(np.uint8))
    return gray.resize(shown_size(*pixels.shape), Image.Resampling.BICUBIC)


def draw_thumbnail(pixels: np.ndarray, side: int) -> Image.Image:
    """Return a slice in its gray window, at most `side` pixels long, mode "L"."""
    picture = Image.fromarray(np.round(window(pixels) * 255).astype(np.uint8))
    picture.thumbnail((side, side))
    return picture


def draw_outline(mask: np.ndarray) -> Image.Image:
    """Return the border of a mask `[H, W]` bool as a layer, mode "RGBA", transparent elsewhere."""
    size = shown_size(*mask.shape)
    picture = Image.new("RGBA", size)
    # The width grows with the picture, so that it looks the same on the page.
    thickness = 2 * round(THICKNESS * max(size) / SHOWN_SIDE / 2 - 0.5) + 1
    picture.paste(CASING, mask=border(mask, size, thickness + 4))
    picture.paste(OUTLINE, mask=border(mask, size, thickness))
    return picture


def draw_heat(heatmap: np.ndarray) -> Image.Image:
    """Return a heat map `[H, W]` float in [0, 1] as a layer, mode "RGBA", transparent at 0."""
    large = Image.fromarray(heatmap).resize(shown_size(*heatmap.shape), Image.Resampling.BILINEAR)
    return Image.fromarray(heat_colors(np.asarray(large)))


def heat_colors(heat: np.ndarray) -> np.ndarray:
    """Return red, green, blue and opacity, `[..., 4]` uint8, for heat in [0, 1] of any shape."""
    colors = HEAT_COLORS(heat, bytes=True)
    opacity = HEAT_OPACITY * np.clip(heat / OPAQUE_FROM, 0, 1)
    colors[..., 3] = np.round(opacity * 255)
    return colors


def border(mask: np.ndarray, size: tuple[int, int], thickness: int) -> Image.Image:
    """Return the outline of a mask `[H, W]` bool at `size` (width, height), mode "L"."""
    smooth = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    solid = np.asarray(smooth) >= 128
    # Outside the picture there is no mask, so a tumor at the edge has its border on the edge.
    outer = maximum_filter(solid, thickness, mode="constant")
    inner = minimum_filter(solid, thickness, mode="constant")
    return Image.fromarray((outer & ~inner).astype(np.uint8) * 255)


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Return width and height at which a slice `[H, W]` is shown.

    >>> shown_size(256, 128)
    (320, 640)
    """
    side = max(height, width)
    scale = min(max(side, SHOWN_SIDE), MAX_SHOWN_SIDE) / side
    return max(1, round(width * scale)), max(1, round(height * scale))


def mask_picture(mask: np.ndarray, size: tuple[int, int] | None = None) -> Image.Image:
    """Return a mask `[H, W]` bool as a one-bit picture, enlarged to `size` (height, width)."""
    picture = Image.fromarray(mask)
    return picture if size in (None, mask.shape) else picture.resize(size[::-1])
