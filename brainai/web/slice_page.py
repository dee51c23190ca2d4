"""The tab for one slice: brought or picked, answered at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from brainai.data.images import decode
from brainai.errors import DataError
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.assets import asset
from brainai.web.examples import PIXEL_MM, Examples, gallery
from brainai.web.faults import explain, show_when_busy
from brainai.web.figures import browser_shows, grey_copy
from brainai.web.jobs import Jobs
from brainai.web.limits import MAX_PIXEL_MM, SLICE_TURN
from brainai.web.style import own_html
from brainai.web.uploads import Upload, pixel_size, uploaded
from brainai.web.verdict import answer_card, out_of_scope_card, refusal_card, waiting_card
from brainai.web.views import slice_figure

PLACEHOLDER = "# Drop a FLAIR slice here\nor click to choose, or paste\nPNG, JPEG or TIFF"
WAITING = "Bring a FLAIR slice, or click one of the examples. It is judged at once."


class SlicePage(NamedTuple):
    """What another tab needs to have an example answered here."""

    pick: Callable[[int], list[Any]]
    outputs: list[Any]
    work: dict[str, Any]  # options of the event


def add_slice_page(jobs: Jobs, info: ModelInfo, examples: Examples) -> SlicePage:
    """Put the tab's contents where it is called, within `gr.Blocks`."""
    with gr.Row(equal_height=False):
        with gr.Column():
            flair = _slice_input("FLAIR slice", PLACEHOLDER, height=320, elem_id="flair")
            others, pixel_mm = _options(info)
            shown = own_html(
                gallery(examples.slices),
                js_on_load=asset("examples.js"),
                elem_id="examples",
                visible=bool(examples.slices),
            )
        with gr.Column():
            card = own_html(waiting_card(WAITING), js_on_load=asset("slice.js"), elem_id="answer")
    inputs = [flair, *others, pixel_mm]
    outputs = [card, *inputs]
    answer, pick = page_answer(jobs, info), example_answer(jobs, info, examples)

    def picked(event: gr.EventData) -> list[Any]:
        return pick(int(event.index))

    work = SLICE_TURN | {"show_progress_on": card, "api_visibility": "private"}
    asked = gr.on(
        [*(one.upload for one in inputs[:3]), *(one.clear for one in others), pixel_mm.input],
        answer,
        inputs,
        outputs,
        preprocess=False,  # Gradio's own fails on a damaged file before us, and whitens 16 bit
        trigger_mode="always_last",  # a picture that comes during an answer is judged too
        **work,
    )
    show_when_busy([asked, shown.select(picked, None, outputs, **work)], card)
    flair.clear(start_again, None, outputs, queue=False, api_visibility="private")
    return SlicePage(pick, outputs, work)


def page_answer(jobs: Jobs, info: ModelInfo) -> Callable[..., list[Any]]:
    """The function behind the page: uploads in; out the card, and what each input now shows."""

    def answer(
        flair: Upload | None,
        t1c: Upload | None = None,
        t2: Upload | None = None,
        pixel_mm: float | None = None,
    ) -> list[Any]:
        try:
            sent = {"flair": uploaded(flair), "t1c": uploaded(t1c), "t2": uploaded(t2)}
        except DataError as error:
            return [refusal_card(str(error)), None, None, None, gr.skip()]
        if not any(sent.values()):
            return [waiting_card(WAITING), *[gr.skip()] * 4]
        card = judged_card(jobs, info, sent, pixel_mm)
        return [card, *(_shown(file) for file in sent.values()), gr.skip()]

    return answer


def example_answer(jobs: Jobs, info: ModelInfo, examples: Examples) -> Callable[[int], list[Any]]:
    """The function behind an example: its number in; out the card, and the example as input."""

    def pick(index: int) -> list[Any]:
        file = str(examples.slices[index])
        card = judged_card(jobs, info, {"flair": file, "t1c": None, "t2": None}, PIXEL_MM)
        return [card, file, None, None, PIXEL_MM]

    return pick


def start_again() -> list[Any]:
    """No picture: a new patient starts with no other sequences and no size of a pixel."""
    return [waiting_card(WAITING), None, None, None, 0]


def judged_card(
    jobs: Jobs, info: ModelInfo, sent: dict[str, str | None], pixel_mm: float | None
) -> str:
    """HTML of the answer; whatever goes wrong gives a sentence: raised, it would leave an old
    answer beside a new picture, as if it were its own."""
    try:
        prediction = jobs.slice(**sent)
        if prediction.reason is not None:
            return out_of_scope_card(prediction.reason)
        tumor = prediction.label == info.label_names[1]
        side = pixel_size(pixel_mm or None)
        figure = slice_figure(
            decode(sent["flair"]),
            prediction.mask if tumor else None,
            prediction.heatmap,
            prediction.area_cm2(side),
        )
    except Exception as error:
        return refusal_card(str(explain(error)))
    sequences = [name for name, file in sent.items() if file is not None]
    return answer_card(prediction, info, figure, sequences)


def _shown(file: str | None) -> Any:
    """What an input shows from now on: the file itself, a copy for browsers, or nothing."""
    return gr.skip() if file is None or browser_shows(file) else grey_copy(file)


def _options(info: ModelInfo) -> tuple[list[gr.Image], gr.Number]:
    """What may be added, folded away: the other sequences if the model knows them, and the size of
    a pixel."""
    known = [name for name in ("t1c", "t2") if name in info.modalities]
    with gr.Accordion("Add T1c, T2 or the pixel size (optional)", open=False):
        with gr.Row(visible=bool(known)):
            others = [
                _slice_input(
                    SPOKEN[name], SPOKEN[name], height=180, visible=name in known, elem_id=name
                )
                for name in ("t1c", "t2")
            ]
        pixel_mm = gr.Number(
            label="Side of a pixel in mm",
            info="Turns the outline into cm². A picture file does not tell it: 0 where unknown.",
            value=0,
            minimum=0,
            maximum=MAX_PIXEL_MM,
        )
    return others, pixel_mm


def _slice_input(label: str, placeholder: str, **options: Any) -> gr.Image:
    return gr.Image(
        label=label,
        sources=["upload", "clipboard"],
        buttons=[],
        format="png",
        placeholder=placeholder,
        alt_text=label,
        **options,
    )
