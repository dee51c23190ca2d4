"""The tab for many slices: a table that fills while the slices are judged."""

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from brainai.errors import DataError
from brainai.inference.classifier import CANNOT_JUDGE, Prediction
from brainai.inference.figures import draw_thumbnail
from brainai.markup import Markup, render
from brainai.model.folder import ModelInfo
from brainai.web.assets import asset
from brainai.web.embed import data_uri, picture_uri
from brainai.web.faults import explain, show_failure
from brainai.web.jobs import Jobs
from brainai.web.limits import MANY_TURN, MAX_BATCH_FILES
from brainai.web.reading import PredictionOrError, SentSlice, judge_many
from brainai.web.style import plain_html
from brainai.web.uploads import Upload, uploaded_paths, uploaded_slices
from brainai.web.verdict import percent, progress_card, refusal_card, waiting_card

THUMBNAIL = 96  # pixels, twice what is shown
UPDATE_SECONDS = 1.0  # between two updates of the table
COLUMNS = ("file", "label", "probability", "threshold", "reason", "model", "revision")
WAITING = (
    f"Upload up to {MAX_BATCH_FILES} FLAIR slices, as files or as a folder. The table gives the "
    "reason for each file that cannot be judged."
)
NO_ANSWER = "No answer"


def add_many_page(jobs: Jobs, info: ModelInfo) -> None:
    """Add the contents of the tab; call it within `gr.Blocks`."""
    with gr.Column():
        files = gr.File(
            label=f"FLAIR slices (PNG, JPEG or TIFF; up to {MAX_BATCH_FILES})",
            file_count="multiple",
            file_types=["image", ".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".dcm", ".ima"],
            height=150,
            elem_id="many-files",
        )
        folder = gr.UploadButton("Choose a folder", file_count="directory", size="sm")
    card = plain_html(waiting_card(WAITING), elem_id="many-answer")
    table = plain_html("", js_on_load=asset("table.js"), elem_id="many-table")
    judging = files.change(
        page_answer(jobs, info),
        files,
        [card, table],
        preprocess=False,
        trigger_mode="always_last",
        show_progress_on=card,
        api_visibility="private",
        **MANY_TURN,
    )
    show_failure(judging, files, card, waiting_card(WAITING))
    at_once = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    folder.upload(uploaded_paths, folder, files, preprocess=False, **at_once)
    files.clear(
        lambda: (waiting_card(WAITING), ""), None, [card, table], cancels=judging, **at_once
    )


def page_answer(jobs: Jobs, info: ModelInfo) -> Callable[..., Iterator[tuple[str, str]]]:
    """Return the function behind the page: it takes uploads and yields the card and the table."""

    def answer(uploads: Sequence[Upload] | None) -> Iterator[tuple[str, str]]:
        if not uploads:
            yield waiting_card(WAITING), ""
            return
        try:
            yield from judged_tables(jobs, info, uploads)
        except Exception as error:
            yield refusal_card(str(explain(error))), ""

    return answer


def judged_tables(
    jobs: Jobs, info: ModelInfo, uploads: Sequence[Upload]
) -> Iterator[tuple[str, str]]:
    """Yield the HTML of the card and of the table, at most once a second.

    The table only grows at its end and has no closing tags, which browsers add: Gradio then sends
    only the new rows.
    """
    names, files = uploaded_slices(uploads)
    table, answers, updated = render("answers_table.html"), [], time.monotonic()
    yield progress_card("Judging the slices", 0, len(files)), table
    for name, (answer, sent) in zip(names, judge_many(jobs, info, files), strict=True):
        table += _row(name, sent, answer, info)
        answers.append(_without_maps(answer))
        if time.monotonic() - updated > UPDATE_SECONDS:
            updated = time.monotonic()
            yield progress_card("Judging the slices", len(answers), len(files)), table
    yield summary_card(names, answers, info), table


def _without_maps(answer: PredictionOrError) -> PredictionOrError:
    """Return an answer without mask and heat map: 200 of them would take too much memory."""
    return replace(answer, mask=None, heatmap=None) if isinstance(answer, Prediction) else answer


def summary_card(
    names: Sequence[str], answers: Sequence[PredictionOrError], info: ModelInfo
) -> Markup:
    """Return the number of each answer and a link to the table as CSV."""
    labels = [answer.label if isinstance(answer, Prediction) else NO_ANSWER for answer in answers]
    kinds = (*reversed(info.label_names), CANNOT_JUDGE, NO_ANSWER)
    return render(
        "summary_card.html",
        judged=sum(label in info.label_names for label in labels),
        total=len(answers),
        counts={kind: labels.count(kind) for kind in kinds},
        table=data_uri(to_csv(names, answers, info).encode(), "text/csv"),
    )


def to_csv(names: Sequence[str], answers: Sequence[PredictionOrError], info: ModelInfo) -> str:
    """Return the table as CSV, one row per file; no name can become a formula in a spreadsheet."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for name, answer in zip(names, answers, strict=True):
        values: dict[str, Any] = {"file": f"'{name}" if name[:1] in "=+-@\t\r" else name}
        if isinstance(answer, Prediction):
            probability = answer.probability
            values |= {
                "label": answer.label,
                "probability": None if probability is None else f"{probability:.6f}",
                "reason": answer.reason,
            }
        else:
            values["reason"] = str(answer)
        values |= {"threshold": info.threshold, "model": info.name, "revision": info.revision}
        writer.writerow(values)
    return text.getvalue()


def _row(name: str, sent: SentSlice | None, answer: PredictionOrError, info: ModelInfo) -> Markup:
    if isinstance(answer, DataError):
        label, probability, reason, sent = NO_ANSWER, None, str(answer), None
    else:
        label, probability, reason = answer.label, answer.probability, answer.reason or ""
    thumbnail = None if sent is None else draw_thumbnail(sent.pixels, THUMBNAIL)
    return render(
        "answers_row.html",
        kind=dict(zip(info.label_names, ("clear", "tumor"), strict=True)).get(label, "refused"),
        picture=thumbnail and picture_uri(thumbnail, "JPEG"),
        name=name,
        label=label,
        value="" if probability is None else f"{probability:.6f}",
        probability="" if probability is None else percent(probability),
        reason=reason,
    )
