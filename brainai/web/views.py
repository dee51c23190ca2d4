"""The slice on the card, with an outline and a heat map that can be switched on and off.

All layers are sent once and the browser switches them. So a click needs no second pass of the
network, and no visitor's picture is kept on the server.
"""

import numpy as np

from brainai.inference.figures import (
    draw_heat,
    draw_outline,
    draw_slice,
    heat_colors,
    mask_picture,
)
from brainai.markup import Markup, render
from brainai.web.embed import picture_uri

LEGEND_STEPS = 9


def slice_figure(
    pixels: np.ndarray,
    mask: np.ndarray | None = None,
    heatmap: np.ndarray | None = None,
    area_cm2: float | None = None,
    size: tuple[int, int] | None = None,
) -> Markup:
    """Return the slice, its layers, the switch between them, and a caption.

    Args:
        pixels: `[H, W]` raw gray levels.
        mask: `[H, W]` bool to outline; None to leave the outline out.
        heatmap: `[H, W]` float in [0, 1], or None if the network has none.
        area_cm2: area of the mask, if the pixel size is known.
        size: height and width of the saved mask; None for those of `mask`.
    """
    outlined = mask if mask is not None and mask.any() else None
    return render(
        "slice_figure.html",
        slice=picture_uri(draw_slice(pixels)),
        heat=None if heatmap is None else picture_uri(draw_heat(heatmap)),
        outline=None if outlined is None else picture_uri(draw_outline(outlined)),
        mask=None if outlined is None else picture_uri(mask_picture(outlined, size)),
        area=None if mask is None else area_sentence(mask, area_cm2),
        colors=_legend(),
    )


def area_sentence(mask: np.ndarray, area_cm2: float | None = None) -> str:
    """Return the size of the outlined area in words.

    Args:
        mask: `[H, W]` bool.
        area_cm2: area of the mask; None if the pixel size is not known.
    """
    share = mask.mean()
    if share == 0:
        return "The network could not outline an area."
    size = f"{'under 0.1' if share < 0.001 else f'{100 * share:.1f}'} % of the picture"
    if area_cm2 is not None:
        size = f"{cm2(area_cm2)}, {size}"
    return f"Outlined: {size}. This is an estimate of the tumor's extent, not a measurement."


def cm2(area: float) -> str:
    """Return an area in words."""
    return f"{area:.1f} cm²" if area >= 0.05 else "under 0.1 cm²"


def _legend() -> list[str]:
    """Return the color scale of the heat map, transparent as on the slice, as colors of CSS."""
    return [
        f"rgb({red} {green} {blue} / {opacity / 255:.2f})"
        for red, green, blue, opacity in heat_colors(np.linspace(0, 1, LEGEND_STEPS)).tolist()
    ]
