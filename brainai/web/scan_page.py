"""The tab for a whole scan: files in, progress while it works, then a viewer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gradio as gr

from brainai.data.scans import read_scan
from brainai.errors import OutOfScope
from brainai.inference.scan import ScanProgress
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.assets import asset
from brainai.web.examples import Examples
from brainai.web.faults import explain, show_when_busy
from brainai.web.jobs import Jobs
from brainai.web.limits import SCAN_TURN
from brainai.web.scan_report import scan_report
from brainai.web.scan_view import draw_slices, scan_view
from brainai.web.style import own_html
from brainai.web.uploads import SCAN_SUFFIXES, Upload, scan_file
from brainai.web.verdict import (
    SCAN_WANTED,
    out_of_scope_card,
    progress_card,
    refusal_card,
    scan_card,
    waiting_card,
)

WAITING = (
    "Bring a FLAIR scan: a NIfTI or MetaImage file, a zip file of a DICOM series, or all its "
    "files. It is judged slice by slice; a scan takes some seconds to a minute."
)


def add_scan_page(jobs: Jobs, info: ModelInfo, examples: Examples) -> None:
    """Put the tab's contents where it is called, within `gr.Blocks`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            flair = gr.File(
                label="FLAIR scan",
                file_count="multiple",
                file_types=SCAN_SUFFIXES,
                height=150,
                elem_id="scan-file",
            )
            folder = gr.UploadButton("Choose a DICOM folder", file_count="directory", size="sm")
            others = _other_sequences(info)
            example = gr.Button(
                "Try the example: a simulated scan with a tumour",
                size="sm",
                visible=examples.scan is not None,
            )
        with gr.Column(scale=3, min_width=320):
            card = own_html(
                waiting_card(WAITING), js_on_load=asset("scan.js"), elem_id="scan-answer"
            )
    answer = page_answer(jobs, info)

    def judge_example() -> Iterator[str]:
        yield from judged_cards(jobs, info, {"flair": examples.scan})

    work = SCAN_TURN | {"show_progress_on": card, "api_visibility": "private"}
    asked = [
        gr.on(
            [flair.upload, *(one.upload for one in others)],
            answer,
            [flair, *others],
            card,
            preprocess=False,
            trigger_mode="always_last",
            **work,
        ),
        folder.upload(answer, [folder, *others], card, preprocess=False, **work),
        example.click(judge_example, None, card, **work),
    ]
    show_when_busy(asked, card)
    # Whoever takes the scan away wants no answer, and the machine no more work.
    flair.clear(
        lambda: (waiting_card(WAITING), None, None),
        None,
        [card, *others],
        cancels=asked,
        queue=False,
        api_visibility="private",
    )


def page_answer(jobs: Jobs, info: ModelInfo) -> Callable[..., Iterator[str]]:
    """The function behind the page: uploads in; out the card, again and again until the answer."""

    def answer(flair: Any, t1c: Upload | None = None, t2: Upload | None = None) -> Iterator[str]:
        try:
            with ExitStack() as stack:
                sent = {"flair": flair, "t1c": t1c, "t2": t2}
                files = {name: stack.enter_context(scan_file(one)) for name, one in sent.items()}
                yield from judged_cards(jobs, info, files)
        except Exception as error:
            yield refusal_card(str(explain(error)))

    return answer


def judged_cards(jobs: Jobs, info: ModelInfo, files: dict[str, Path | None]) -> Iterator[str]:
    """HTML of how far it is, and last of the answer; whatever goes wrong gives a sentence."""
    given = {name: file for name, file in files.items() if file is not None}
    if "flair" not in given:
        yield waiting_card(WAITING)
        return
    yield progress_card("Reading the scan", 0, 1)
    try:
        volumes = {
            name: read_scan(file, SPOKEN[name], expect_flair=name == "flair")
            for name, file in given.items()
        }
        for step in jobs.scan(**volumes):
            if isinstance(step, ScanProgress):
                yield progress_card("Judging the scan", *step)
        slices = draw_slices(volumes["flair"])
        view = scan_view(step, slices, lambda: scan_report(step, info, slices, list(given)))
        yield scan_card(step, info, view, list(given))
    except OutOfScope as error:
        yield out_of_scope_card(error.reason, SCAN_WANTED)
    except Exception as error:
        yield refusal_card(str(explain(error)))


def _other_sequences(info: ModelInfo) -> list[gr.File]:
    known = [name for name in ("t1c", "t2") if name in info.modalities]
    with (
        gr.Accordion(
            "Add T1c or T2 (optional, best before FLAIR)", open=False, visible=bool(known)
        ),
        gr.Row(),
    ):
        return [
            gr.File(
                label=f"{SPOKEN[name]} scan",
                file_types=SCAN_SUFFIXES,
                height=130,
                visible=name in known,
            )
            for name in ("t1c", "t2")
        ]
