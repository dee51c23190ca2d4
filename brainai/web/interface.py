"""The page: one FLAIR slice in, one answer out, at once."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.helpers import Examples

from brainai.data.images import decode
from brainai.errors import DataError
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.endpoints import AS_UPLOADED, Predict, Upload, predict_endpoint, uploaded
from brainai.web.figures import browser_shows, grey_copy
from brainai.web.style import CSS, theme
from brainai.web.verdict import answer_card, out_of_scope_card, refusal_card, waiting_card
from brainai.web.views import slice_figure

MAX_FILE_SIZE = "20mb"
MAX_WAITING = 32  # requests in the queue
AT_ONCE = 2  # requests in work
CACHE_SECONDS = (600, 3600)  # look every 10 minutes, delete uploads older than an hour

TITLE = """
<h1>BrainAI</h1>
<p>Is there tumour on this brain MRI slice? Bring a FLAIR slice; the answer comes at once.</p>
"""

ABOUT = """
<div class="columns">
<div><h3>How it works</h3>
<p>A ResNet50 was trained on slices of patients with brain tumours, outlined by experts. It reads
one axial slice, sets its grey levels, and gives the probability that tumour is on it.
FLAIR is enough; T1 with contrast and T2 of the same slice can be added.</p></div>
<div><h3>What it cannot do</h3>
<p>It was shown gliomas only, so other diseases mislead it. Most pictures that are no upright axial
FLAIR slice are refused, not all. “No tumour” means this slice, not this person. It makes mistakes,
also confident ones, and it replaces no doctor.</p></div>
<div><h3>Your pictures</h3>
<p>They are judged on this server, shown to nobody else, and deleted within two hours. Bring none
that names a person. Programs reach the same network through “Use via API” below.</p></div>
</div>
"""

PLACEHOLDER = "# Drop a FLAIR slice here\nor click to choose, or paste\nPNG, JPEG or TIFF"

# What a visitor chose to see over one slice is shown over the next; the browser alone knows it.
SHOW_ANSWER = """() => {
    const answer = document.getElementById("answer");
    const chosen = answer.querySelector(`input[value="${answer.dataset.view}"]`);
    if (chosen) chosen.checked = true;
    answer.onchange = event => { answer.dataset.view = event.target.value; };
    answer.scrollIntoView({block: "nearest", behavior: "smooth"});
}"""


def build_page(predict: Predict, info: ModelInfo, examples: Sequence[str | Path] = ()) -> gr.Blocks:
    """The whole page and its endpoint `/predict`.

    Args:
        predict: answers like `Classifier.predict`.
        info: of the model behind it.
        examples: FLAIR slices to click on.
    """
    with gr.Blocks(
        title="BrainAI", analytics_enabled=False, delete_cache=CACHE_SECONDS, fill_width=True
    ) as page:
        gr.HTML(TITLE, elem_id="title", padding=False)
        with gr.Row(equal_height=False):
            with gr.Column():
                inputs = _inputs(info)
                shown = _examples(inputs[0], examples)
            with gr.Column():
                answer = gr.HTML(waiting_card(), elem_id="answer", padding=False)
        gr.HTML(ABOUT, elem_id="about", padding=False)
        _connect(page_answer(predict, info), inputs, answer, shown)
        asked = gr.Button(visible=False)
        asked.click(
            predict_endpoint(predict, info),
            inputs,
            gr.JSON(visible=False),
            api_name="predict",
            api_description="Judge one FLAIR slice; T1c and T2 of the same slice are optional.",
            **AS_UPLOADED,
        )
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=AT_ONCE)


def launch(page: gr.Blocks, **options: Any) -> Any:
    """Serve the page with the settings that medical pictures need; takes `Blocks.launch` options.

    Nothing is kept in the visitor's history, no inner error is shown, uploads are bounded.
    """
    return page.launch(
        theme=theme(),
        css=CSS,
        footer_links=["api"],
        run_history=False,
        show_error=False,
        max_file_size=MAX_FILE_SIZE,
        **options,
    )


def page_answer(predict: Predict, info: ModelInfo) -> Any:
    """The function behind the page: files in; out the card, and what each input now shows."""

    def answer(flair: Upload, t1c: Upload = None, t2: Upload = None) -> list[Any]:
        try:
            files = {"flair": uploaded(flair), "t1c": uploaded(t1c), "t2": uploaded(t2)}
        except DataError as error:
            return [refusal_card(str(error)), None, None, None]
        return [_card(predict, info, files), *(_shown(file) for file in files.values())]

    return answer


def _card(predict: Predict, info: ModelInfo, files: dict[str, str | None]) -> str:
    """HTML of the answer; a picture that cannot be judged gives a sentence, nothing is raised."""
    sequences = [name for name, file in files.items() if file is not None]
    if not sequences:
        return waiting_card()
    try:
        prediction = predict(**files)
        if prediction.reason is not None:
            return out_of_scope_card(prediction.reason)
        outlined = prediction.mask if prediction.label == info.label_names[1] else None
        figure = slice_figure(decode(files["flair"]), outlined, prediction.heatmap)
    except DataError as error:
        return refusal_card(str(error))
    except Exception:
        # Raised, it would leave an old answer beside a new picture, as if it were its own.
        logging.getLogger(__name__).exception("a slice could not be answered")
        return refusal_card("Something went wrong here, not with your picture. Try again.")
    return answer_card(prediction, info, figure, sequences)


def _shown(file: str | None) -> Any:
    """What an input shows from now on: the file itself, a copy for browsers, or nothing."""
    return gr.skip() if file is None or browser_shows(file) else grey_copy(file)


def _inputs(info: ModelInfo) -> list[gr.Image]:
    """Flair, and the optional sequences folded away (or hidden if the model knows none)."""
    flair = _slice_input("FLAIR slice", PLACEHOLDER, height=320)
    optional = [name for name in ("t1c", "t2") if name in info.modalities]
    with (
        gr.Accordion("Add T1c or T2 (optional)", open=False, visible=bool(optional)),
        gr.Row(),
    ):
        others = [
            _slice_input(SPOKEN[name], SPOKEN[name], height=180, visible=name in optional)
            for name in ("t1c", "t2")
        ]
    return [flair, *others]


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


def _examples(flair: gr.Image, files: Sequence[str | Path]) -> Examples | None:
    if not files:
        return None
    return gr.Examples(
        [str(file) for file in files],
        flair,
        label="Examples (simulated slices)",
        examples_per_page=12,
        cache_examples=False,
        elem_id="examples",
        api_visibility="private",
    )


def _connect(answer: Any, inputs: list[gr.Image], card: gr.HTML, shown: Examples | None) -> None:
    """Every new picture is judged at once; a new patient starts with no other sequences."""
    flair, *others = inputs
    ask = {
        "fn": answer,
        "inputs": inputs,
        "outputs": [card, *inputs],
        "api_visibility": "private",
        "show_progress_on": card,
        "trigger_mode": "always_last",  # a picture that comes during an answer is judged too
        **AS_UPLOADED,
    }
    forget = {"fn": None, "js": "() => [null, null]", "outputs": others}
    starts = [flair.clear] if shown is None else [flair.clear, shown.load_input_event.then]
    asked = [gr.on([*(i.upload for i in inputs), *(i.clear for i in others)], **ask)]
    asked += [start(**forget).then(**ask) for start in starts]
    for event in asked:
        event.then(None, js=SHOW_ANSWER)
