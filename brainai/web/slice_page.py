"""The tab for one slice, which is judged as soon as it is uploaded or picked."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from brainai.data.headers import MAX_PIXEL_MM, MIN_PIXEL_MM
from brainai.errors import DataError
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.assets import asset
from brainai.web.examples import PIXEL_MM, Examples, gallery
from brainai.web.faults import explain, show_failure
from brainai.web.jobs import Jobs
from brainai.web.limits import MAX_SCAN_BYTES, SLICE_TURN
from brainai.web.reading import copy_for_browser, judge_slice
from brainai.web.style import plain_html
from brainai.web.uploads import Upload, emptied, offer, uploaded
from brainai.web.verdict import answer_card, out_of_scope_card, refusal_card, waiting_card
from brainai.web.views import slice_figure

PLACEHOLDER = "# Drop a FLAIR slice here\nor click to choose or paste one\nPNG, JPEG or TIFF"
WAITING = "Upload a FLAIR slice, or click one of the examples. It is judged at once."


class SlicePage(NamedTuple):
    """What another tab needs to have an example judged here."""

    pick: Callable[..., list[Any]]  # (number of the example, values of T1c and T2) → the inputs
    inputs: list[Any]


def add_slice_page(jobs: Jobs, info: ModelInfo, examples: Examples) -> SlicePage:
    """Add the contents of the tab; call it within `gr.Blocks`.

    Other events only change the inputs. A single event judges what the inputs hold, and judges
    again if they changed meanwhile. So no answer overtakes another, and no answer stays next to
    other inputs.
    """
    with gr.Row(equal_height=False):
        with gr.Column():
            flair = _slice_input("FLAIR slice", PLACEHOLDER, height=320, elem_id="flair")
            # The browser lets a picture input take pictures only.
            dicom = gr.UploadButton("Choose a DICOM file", size="sm", elem_id="dicom")
            others, pixel_mm = _options(info)
            shown = plain_html(
                gallery(examples.slices),
                js_on_load=asset("examples.js"),
                elem_id="examples",
                visible=bool(examples.slices),
            )
        with gr.Column():
            card = plain_html(waiting_card(WAITING), js_on_load=asset("slice.js"), elem_id="answer")
    inputs = [flair, *others, pixel_mm]
    judging = gr.on(
        [*(image.change for image in inputs[:3]), pixel_mm.submit, pixel_mm.blur],
        page_answer(jobs, info),
        inputs,
        card,
        preprocess=False,  # Gradio's fails on damaged files and turns 16-bit pictures white
        trigger_mode="always_last",
        api_visibility="private",
        **SLICE_TURN,
    )
    show_failure(judging, flair, card, waiting_card(WAITING))

    def pick(index: int, *sequences: Upload | None) -> list[Any]:
        return [str(examples.slices[index]), *emptied(*sequences), PIXEL_MM]

    def picked(event: gr.EventData, t1c: Upload | None, t2: Upload | None) -> list[Any]:
        return pick(examples.number(getattr(event, "index", None)), t1c, t2)

    def chosen(upload: Upload, t1c: Upload | None, t2: Upload | None) -> list[Any]:
        copy, side = browser_copy(upload, expect_flair=True)
        # A file that has no copy, or is too large for a slice, is put into the input as it is, and
        # judging it shows the error.
        return [copy or uploaded(upload, MAX_SCAN_BYTES), *emptied(t1c, t2), side or 0]

    def dropped(upload: Upload) -> list[Any]:
        copy, side = browser_copy(upload, expect_flair=True)
        return [copy or gr.skip(), side or gr.skip()]

    def copied(upload: Upload) -> Any:
        return browser_copy(upload)[0] or gr.skip()

    def emptied_options(t1c: Upload | None, t2: Upload | None) -> list[Any]:
        return [*emptied(t1c, t2), 0]

    at_once = {"preprocess": False, "queue": False, "show_progress": "hidden"}
    at_once |= {"api_visibility": "private"}
    shown.select(picked, others, inputs, **at_once)
    # The next FLAIR may be of another patient, so the other inputs are emptied too.
    flair.clear(emptied_options, others, inputs[1:], **at_once)
    in_turn = at_once | {"queue": True} | SLICE_TURN  # because it decodes the upload
    dicom.upload(chosen, [dicom, *others], inputs, **in_turn)
    flair.upload(dropped, flair, [flair, pixel_mm], **in_turn)
    for image in others:
        image.upload(copied, image, image, **in_turn)
    return SlicePage(pick, inputs)


def page_answer(jobs: Jobs, info: ModelInfo) -> Callable[..., str]:
    """Return the function behind the page, which takes the inputs and returns the card."""

    def answer(
        flair: Upload | None,
        t1c: Upload | None = None,
        t2: Upload | None = None,
        pixel_mm: float | None = None,
    ) -> str:
        try:
            sent = {"flair": uploaded(flair), "t1c": uploaded(t1c), "t2": uploaded(t2)}
        except DataError as error:
            return refusal_card(str(error))
        if not any(sent.values()):
            return waiting_card(WAITING)
        return judged_card(jobs, info, sent, pixel_mm)

    return answer


def browser_copy(upload: Upload, expect_flair: bool = False) -> tuple[str | None, float | None]:
    """Return the path of a copy that browsers can show, and the size of its pixels in mm.

    The path is None if browsers can show the upload itself, or if the upload cannot be judged:
    judging the slice shows that error.
    """
    try:
        file = uploaded(upload)
        if file is None:
            return None, None
        content, pixel_mm = copy_for_browser(file, expect_flair)
    except DataError:
        return None, None
    return None if content is None else offer("slice.png", content)["path"], pixel_mm


def judged_card(
    jobs: Jobs, info: ModelInfo, sent: dict[str, str | None], pixel_mm: float | None
) -> str:
    """Return the HTML of the answer, or of a card with the error.

    No error is raised: that would leave the old answer next to the new picture.
    """
    try:
        prediction, flair = judge_slice(jobs, info, sent)
        if flair is None or prediction.reason is not None:
            return out_of_scope_card(str(prediction.reason))
        tumor = prediction.label == info.label_names[1]
        possible = pixel_mm and MIN_PIXEL_MM <= pixel_mm <= MAX_PIXEL_MM  # 0 means unknown
        figure = slice_figure(
            flair.pixels,
            prediction.mask if tumor else None,
            prediction.heatmap,
            prediction.area_cm2(flair.pixel_mm(pixel_mm if possible else None)),
            flair.size,
        )
    except Exception as error:
        return refusal_card(str(explain(error)))
    sequences = [name for name, file in sent.items() if file is not None]
    return answer_card(prediction, info, figure, sequences)


def _options(info: ModelInfo) -> tuple[list[gr.Image], gr.Number]:
    """Add the optional inputs: the other sequences, if the model takes them, and the pixel size."""
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
            label="Pixel size in mm",
            info="The side of one pixel, needed for the area in cm². It is filled in for DICOM "
            "files. Enter 0 if it is not known.",
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
