"""The first tab: what BrainAI does, for whom, an example answer, and buttons to the other tabs."""

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import gradio as gr

from brainai.data.images import decode
from brainai.inference.figures import draw_outline, draw_slice
from brainai.markup import Markup, render
from brainai.model.folder import ModelInfo
from brainai.web.embed import picture_uri
from brainai.web.examples import Examples
from brainai.web.faults import explain
from brainai.web.jobs import Jobs
from brainai.web.style import plain_html
from brainai.web.verdict import percent


class StartPage(NamedTuple):
    """The buttons that lead to the other tabs."""

    example: gr.Button
    slice: gr.Button
    scan: gr.Button
    many: gr.Button


def add_start_page(page: gr.Blocks, jobs: Jobs, info: ModelInfo, examples: Examples) -> StartPage:
    """Add the contents of the tab to `page`; call it within the tab."""
    with gr.Row(equal_height=False, elem_id="start"):
        with gr.Column(min_width=300):
            plain_html(render("start.html"))
            with gr.Row():
                example = gr.Button(
                    "Try an example", variant="primary", visible=bool(examples.slices)
                )
                one_slice = gr.Button("Upload a slice")
            with gr.Row():
                scan = gr.Button("Upload a whole scan", size="sm")
                many = gr.Button("Upload many slices", size="sm")
        with gr.Column(min_width=300, visible=bool(examples.slices)):
            picture = plain_html(elem_id="answered")
    if examples.slices:
        page.load(
            answered_example(jobs, info, examples),
            None,
            picture,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
    return StartPage(example, one_slice, scan, many)


def answered_example(jobs: Jobs, info: ModelInfo, examples: Examples) -> Callable[[], str]:
    """Return a function that returns the HTML of the first example with the model's answer.

    The example is judged once.
    """

    drawn: list[Markup] = []
    one_at_a_time = Lock()

    def draw() -> Markup:
        file = examples.slices[0]
        prediction = jobs.slice(flair=str(file))
        picture = draw_slice(decode(file)).convert("RGB")
        if prediction.mask is not None and prediction.label == info.label_names[1]:
            outline = draw_outline(prediction.mask)
            picture.paste(outline, mask=outline)
        answer = prediction.label
        if prediction.probability is not None:
            answer += f", {percent(prediction.probability)}"
        return render("answered_example.html", picture=picture_uri(picture), answer=answer)

    def shown() -> str:
        try:
            with one_at_a_time:
                if not drawn:
                    drawn.append(draw())
                return drawn[0]
        except Exception as error:  # the rest of the page works without this picture
            explain(error)
            return ""

    return shown
