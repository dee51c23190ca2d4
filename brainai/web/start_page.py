"""The first tab: what this is, for whom, what it looks like, and a way in."""

from collections.abc import Callable
from html import escape
from threading import Lock
from typing import NamedTuple

import gradio as gr
from PIL import Image

from brainai import DISCLAIMER
from brainai.data.images import decode
from brainai.inference.figures import draw_outline, draw_slice
from brainai.model.folder import ModelInfo
from brainai.web.embed import picture_uri
from brainai.web.examples import Examples
from brainai.web.faults import explain
from brainai.web.jobs import Jobs
from brainai.web.style import own_html
from brainai.web.verdict import percent

WORDS = f"""
<h2>Is there tumor on this brain MRI?</h2>
<p class="lead">Bring a FLAIR slice or a whole scan. BrainAI answers “Tumor”, “No Tumor” or “Cannot
judge” with a probability, and shows where: for those who study, teach or build such networks.</p>
<p class="notice">{DISCLAIMER}</p>
"""


class StartPage(NamedTuple):
    """The buttons that lead on."""

    example: gr.Button
    own: gr.Button
    scan: gr.Button
    many: gr.Button


def add_start_page(page: gr.Blocks, jobs: Jobs, info: ModelInfo, examples: Examples) -> StartPage:
    """Put the tab's contents where it is called, within `page`."""
    with gr.Row(equal_height=False, elem_id="start"):
        with gr.Column(min_width=300):
            own_html(WORDS)
            with gr.Row():
                example = gr.Button(
                    "Try an example", variant="primary", visible=bool(examples.slices)
                )
                own = gr.Button("Bring a slice")
            with gr.Row():
                scan = gr.Button("Bring a whole scan", size="sm")
                many = gr.Button("Bring many slices", size="sm")
        with gr.Column(min_width=300, visible=bool(examples.slices)):
            picture = own_html(elem_id="answered")
    if examples.slices:
        page.load(
            answered_example(jobs, info, examples),
            None,
            picture,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
    return StartPage(example, own, scan, many)


def answered_example(jobs: Jobs, info: ModelInfo, examples: Examples) -> Callable[[], str]:
    """The function behind the picture: the first example as this model answers it, judged once."""

    drawn: list[str] = []
    one_at_a_time = Lock()

    def draw() -> str:
        file = examples.slices[0]
        found = jobs.slice(flair=str(file))
        picture = draw_slice(decode(file)).convert("RGB")
        if found.mask is not None and found.label == info.label_names[1]:
            outline = draw_outline(found.mask)
            picture.paste(outline, mask=outline)
        sure = "" if found.probability is None else f", {percent(found.probability)}"
        return _figure(picture, f"A simulated slice, as BrainAI answers it: {found.label}{sure}")

    def shown() -> str:
        try:
            with one_at_a_time:
                if not drawn:
                    drawn.append(draw())
                return drawn[0]
        except Exception as error:  # the rest of the page is worth having without it
            explain(error)
            return ""

    return shown


def _figure(picture: Image.Image, words: str) -> str:
    return (
        f'<figure><img alt="Axial slice of a head, a bright lesion outlined in amber" '
        f'src="{picture_uri(picture)}"><figcaption>{escape(words)}</figcaption></figure>'
    )
