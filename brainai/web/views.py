"""The slice on the card, with outline and heat map to switch on and off: HTML and pictures.

The layers travel once and the browser switches them: no second question to the network, and no
visitor's picture waits on the server for a click.
"""

import base64
import io

import numpy as np
from PIL import Image

from brainai.web.figures import draw_heat, draw_outline, draw_slice, heat_colours

LEGEND_STEPS = 9


def slice_figure(
    pixels: np.ndarray, mask: np.ndarray | None = None, heatmap: np.ndarray | None = None
) -> str:
    """The slice, what may lie over it, the choice among that, and the words for each.

    Args:
        pixels: `[H, W]` raw grey levels.
        mask: `[H, W]` bool to outline, or None for no word of an outline.
        heatmap: `[H, W]` float in [0, 1], or None if the network has none.
    """
    outlined = mask is not None and bool(mask.any())
    layers = _picture(draw_slice(pixels), "The slice.")
    if heatmap is not None:
        layers += _picture(draw_heat(heatmap), "Over it the heat map.", "heat")
    if outlined:
        layers += _picture(draw_outline(mask), "Over it the outline.", "outline")
    return (
        f"<figure>{_choice(outlined, heatmap is not None)}"
        f'<div class="layers">{layers}</div>{_legend() if heatmap is not None else ""}'
        f"<figcaption>{_words(mask, heatmap)}</figcaption></figure>"
    )


def area_sentence(mask: np.ndarray) -> str:
    """Size of the outlined area in words; a picture file does not say how large its pixels are."""
    share = mask.mean()
    if share == 0:
        return "The network could not outline it."
    size = "under 0.1" if share < 0.001 else f"{100 * share:.1f}"
    return (
        f"Outlined: {size} % of the picture. An estimate of the tumour's extent, not a measurement."
    )


def _choice(outlined: bool, heated: bool) -> str:
    """What the picture can show, the first at first; nothing where there is no choice."""
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
    return f"<fieldset><legend>Over the slice</legend><div>{buttons}</div></fieldset>"


def _words(mask: np.ndarray | None, heatmap: np.ndarray | None) -> str:
    sentences = []
    if mask is not None:
        sentences.append(area_sentence(mask))
    if heatmap is None:
        sentences.append("No heat map: this network does not decide place by place.")
    else:
        sentences.append(
            "The heat map is for the decision: it shows, coarsely, what spoke for “Tumor” in the "
            "class score, which the probability joins with the outline’s. It is no outline."
        )
    return "".join(f"<p>{sentence}</p>" for sentence in sentences)


def _legend() -> str:
    """The colours of the heat map over grey, as on the slice, from none to the most."""
    stops = ", ".join(
        f"rgb({red} {green} {blue} / {opacity / 255:.2f})"
        for red, green, blue, opacity in heat_colours(np.linspace(0, 1, LEGEND_STEPS)).tolist()
    )
    return (
        '<div class="legend heat"><span>no evidence</span>'
        f'<i style="background-image:linear-gradient(to right, {stops})"></i>'
        "<span>strong</span></div>"
    )


def _picture(picture: Image.Image, alt: str, kind: str = "slice") -> str:
    # Inside the page, not as a file: nothing of a visitor's slice is written to disk for it.
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img class="{kind}" alt="{alt}" src="data:image/png;base64,{data}">'
