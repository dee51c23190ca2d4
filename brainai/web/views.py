"""The slice on the card, with an outline and a heat map that can be switched on and off.

All layers are sent once and the browser switches them. So a click needs no second pass of the
network, and no visitor's picture is kept on the server.
"""

import numpy as np
from PIL import Image

from brainai.inference.figures import (
    draw_heat,
    draw_outline,
    draw_slice,
    heat_colors,
    mask_picture,
)
from brainai.web.embed import download_link, encoded, picture_uri

LEGEND_STEPS = 9


def slice_figure(
    pixels: np.ndarray,
    mask: np.ndarray | None = None,
    heatmap: np.ndarray | None = None,
    area_cm2: float | None = None,
    size: tuple[int, int] | None = None,
) -> str:
    """Return HTML of the slice, its layers, the switch between them, and a caption.

    Args:
        pixels: `[H, W]` raw gray levels.
        mask: `[H, W]` bool to outline; None to leave the outline out.
        heatmap: `[H, W]` float in [0, 1], or None if the network has none.
        area_cm2: area of the mask, if the pixel size is known.
        size: height and width of the saved mask; None for those of `mask`.
    """
    outlined = mask is not None and bool(mask.any())
    layers = _picture(draw_slice(pixels), "The slice.")
    if heatmap is not None:
        layers += _picture(draw_heat(heatmap), "Heat map overlay.", "heat")
    if outlined:
        layers += _picture(draw_outline(mask), "Outline overlay.", "outline")
    return (
        f"<figure>{_choice(outlined, heatmap is not None)}"
        f'<div class="layers">{layers}</div>{_legend() if heatmap is not None else ""}'
        f"<figcaption>{_words(mask, heatmap, area_cm2)}</figcaption>"
        f"{_saving(mask if outlined else None, size)}</figure>"
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


def _saving(mask: np.ndarray | None, size: tuple[int, int] | None) -> str:
    """Return the buttons that save the picture as shown, and the mask in the size of the slice."""
    view = '<button type="button" class="save" data-save="slice.png">Save this view (PNG)</button>'
    if mask is None:
        return f'<div class="saving">{view}</div>'
    content = encoded(mask_picture(mask, size))
    link = download_link("mask.png", content, "image/png", "Save the mask (PNG)")
    return f'<div class="saving">{view}{link}</div>'


def _choice(outlined: bool, heated: bool) -> str:
    """Return the switch between the layers, with the first one chosen; "" without layers."""
    views = {
        "outline": ("Outline", outlined),
        "heat": ("Heat map", heated),
        "both": ("Both", outlined and heated),
        "neither": ("Neither", outlined or heated),
    }
    offered = [(value, name) for value, (name, possible) in views.items() if possible]
    buttons = "".join(
        f'<label><input type="radio" name="view" value="{value}"{" checked" * (place == 0)}>'
        f"<span>{name}</span></label>"
        for place, (value, name) in enumerate(offered)
    )
    if not offered:
        return ""
    return f"<fieldset><legend>Show over the slice</legend><div>{buttons}</div></fieldset>"


def _words(mask: np.ndarray | None, heatmap: np.ndarray | None, area_cm2: float | None) -> str:
    sentences = []
    if mask is not None:
        sentences.append(area_sentence(mask, area_cm2))
    if heatmap is None:
        sentences.append(
            "There is no heat map: this network does not score single areas of a picture."
        )
    else:
        sentences.append(
            "The heat map explains the decision: it shows, coarsely, which areas raised the class "
            "score for “Tumor”. The probability combines this score with the evidence of the "
            "outline. The heat map is not an outline."
        )
    return "".join(f"<p>{sentence}</p>" for sentence in sentences)


def _legend() -> str:
    """Return the color scale of the heat map over gray, as on the slice."""
    stops = ", ".join(
        f"rgb({red} {green} {blue} / {opacity / 255:.2f})"
        for red, green, blue, opacity in heat_colors(np.linspace(0, 1, LEGEND_STEPS)).tolist()
    )
    return (
        '<div class="legend heat"><span>no evidence</span>'
        f'<i style="background-image:linear-gradient(to right, {stops})"></i>'
        "<span>strong</span></div>"
    )


def _picture(picture: Image.Image, alt: str, kind: str = "slice") -> str:
    return f'<img class="{kind}" alt="{alt}" src="{picture_uri(picture)}">'
