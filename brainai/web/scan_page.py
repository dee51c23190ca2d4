"""The tab for a whole scan: file inputs, progress while the scan is judged, then a viewer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from brainai.errors import OutOfScope
from brainai.inference.scan import ScanProgress
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.assets import asset
from brainai.web.examples import Examples
from brainai.web.faults import explain, show_failure
from brainai.web.jobs import Jobs
from brainai.web.limits import SCAN_TURN
from brainai.web.reading import read_scans
from brainai.web.scan_report import scan_report
from brainai.web.scan_view import draw_slices, latest_slice, scan_view
from brainai.web.style import plain_html
from brainai.web.uploads import Upload, emptied, scan_file, uploaded_paths
from brainai.web.verdict import (
    SCAN_WANTED,
    out_of_scope_card,
    progress_card,
    refusal_card,
    scan_card,
    waiting_card,
)

WAITING = (
    "Upload a FLAIR scan: a NIfTI or MetaImage file, a zip file of a DICOM series, or all files of "
    "the series. It is judged slice by slice, which takes from a few seconds to a minute."
)


def add_scan_page(jobs: Jobs, info: ModelInfo, examples: Examples) -> None:
    """Add the contents of the tab; call it within `gr.Blocks`.

    As on the tab for slices, a single event judges what the inputs hold.
    """
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            flair = gr.File(
                label="FLAIR scan", file_count="multiple", height=150, elem_id="scan-file"
            )
            folder = gr.UploadButton("Choose a DICOM folder", file_count="directory", size="sm")
            others = _other_sequences(info)
            example = gr.Button(
                "Try the example: a simulated scan with a tumor",
                size="sm",
                visible=examples.scan is not None,
            )
        with gr.Column(scale=3, min_width=320):
            waiting = waiting_card(WAITING)
            card = plain_html(waiting, js_on_load=asset("scan.js"), elem_id="scan-answer")
    inputs = [flair, *others]
    judging = gr.on(
        [file.change for file in inputs],
        page_answer(jobs, info),
        inputs,
        card,
        preprocess=False,
        trigger_mode="always_last",
        api_visibility="private",
        **SCAN_TURN,
    )
    show_failure(judging, flair, card, waiting)

    def picked(t1c: Upload | None, t2: Upload | None) -> list[Any]:
        return [[str(examples.scan)], *emptied(t1c, t2)]

    def emptied_card(t1c: Upload | None, t2: Upload | None) -> list[Any]:
        return [waiting, *emptied(t1c, t2)]

    at_once = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    folder.upload(uploaded_paths, folder, flair, preprocess=False, **at_once)
    example.click(picked, others, inputs, preprocess=False, **at_once)
    # A visitor who removes the scan no longer needs the answer: cancelling spares the work.
    flair.clear(emptied_card, others, [card, *others], preprocess=False, cancels=judging, **at_once)


def page_answer(jobs: Jobs, info: ModelInfo) -> Callable[..., Iterator[str]]:
    """Return the function behind the page: it takes the inputs and yields cards until done."""

    def answer(flair: Any, t1c: Upload | None = None, t2: Upload | None = None) -> Iterator[str]:
        try:
            with ExitStack() as stack:
                sent = {"flair": flair, "t1c": t1c, "t2": t2}
                files = {name: stack.enter_context(scan_file(file)) for name, file in sent.items()}
                yield from judged_cards(jobs, info, files)
        except Exception as error:
            yield refusal_card(str(explain(error)))

    return answer


def judged_cards(jobs: Jobs, info: ModelInfo, files: dict[str, Path | None]) -> Iterator[str]:
    """Yield the HTML of the progress and finally of the answer, or of a card with the error."""
    if files["flair"] is None:
        yield waiting_card(WAITING)
        return
    yield progress_card("Reading the scan")
    try:
        volumes = read_scans(files)
        slices = draw_slices(volumes["flair"])
        for step in jobs.scan(**volumes):
            if isinstance(step, ScanProgress):
                shown = "" if step.latest is None else latest_slice(step.latest, slices)
                yield progress_card("Judging the scan", step.done, step.total, shown)
            else:
                report = partial(scan_report, step, info, slices, list(volumes))
                yield scan_card(step, info, scan_view(step, slices, report), list(volumes))
    except OutOfScope as error:
        yield out_of_scope_card(error.reason, SCAN_WANTED)
    except Exception as error:
        yield refusal_card(str(explain(error)))


def _other_sequences(info: ModelInfo) -> list[gr.File]:
    known = [name for name in ("t1c", "t2") if name in info.modalities]
    with (
        gr.Accordion(
            "Add T1c or T2 (optional; add them before FLAIR)", open=False, visible=bool(known)
        ),
        gr.Row(),
    ):
        return [
            gr.File(
                label=f"{SPOKEN[name]} scan",
                height=130,
                visible=name in known,
                elem_id=f"scan-{name}",
            )
            for name in ("t1c", "t2")
        ]
