"""The tab about the model: how it works, its limits, and the figures of its report."""

from typing import Any

import gradio as gr

from brainai.evaluation.names import LEVEL
from brainai.evaluation.sections import shared_patients
from brainai.hub.card import SHOWN, card_body
from brainai.markup import Markup, render
from brainai.model.fetch import Fetched
from brainai.model.folder import ModelInfo
from brainai.web.limits import MAX_BATCH_FILES, MAX_SCAN_BYTES, MAX_SLICE_BYTES, MB
from brainai.web.style import plain_html
from brainai.web.verdict import percent

SOURCE_NAMES = {
    "all": "All patients",
    "brats": "BraTS",
    "lgg": "LGG (TCGA)",
    "pairs": "Single slices",
    "phantom": "Simulated",
    "tumor-free": "Without a tumor",
}


def add_about_page(info: ModelInfo, report: dict[str, Any] | None, weights: Fetched) -> None:
    """Add the contents of the tab; call it within `gr.Blocks`."""
    plain_html(about(info, report, weights), elem_id="about")
    if report is not None:
        with gr.Accordion("Full model card", open=False):
            repository = weights.repository if weights.commit else None
            card = card_body(info, report, repository=repository)
            gr.Markdown(card, elem_id="model-card")


def about(info: ModelInfo, report: dict[str, Any] | None, weights: Fetched) -> Markup:
    """Return how the model works, what it cannot do, which weights answer, and their figures."""
    groups = {} if report is None else {"all": report["all"], **report["source"]}
    return render(
        "about.html",
        info=info,
        slice_mb=MAX_SLICE_BYTES // MB,
        scan_mb=MAX_SCAN_BYTES // MB,
        max_slices=MAX_BATCH_FILES,
        weights=weights_facts(info, weights),
        measured=report is not None,
        level=LEVEL,
        shared_patients="" if report is None else shared_patients(report),
        tables=[
            _table(SOURCE_NAMES.get(name, name), summary["figures"])
            for name, summary in groups.items()
        ],
    )


def weights_facts(info: ModelInfo, weights: Fetched) -> dict[str, str]:
    """Return which weights answer, where they come from, and what was fitted."""
    facts = {"Model": info.name, "Weights": info.revision}
    if weights.commit is not None:
        facts["On the Hub"] = f"commit {weights.commit[:12]}"
        if weights.revision not in (None, weights.commit):
            facts["On the Hub"] += f", requested as {weights.revision}"
    facts |= {
        "Calibration": fitted(info.calibrated),
        "Threshold for slices": f"{percent(info.threshold)}: {info.operating_point}",
    }
    if info.scan_threshold is not None:
        point = f"{percent(info.scan_threshold)}: {info.operating_point_of_scans}"
        facts["Threshold for scans"] = point
    if info.neighbor_threshold is not None:
        point = f"{percent(info.neighbor_threshold)}, judged together with their neighbors"
        facts["Threshold for slices of scans"] = point
    return facts | {"“Cannot judge”": fitted(info.scope)}


def fitted(done: bool) -> str:
    """Return "fitted" or "not fitted"."""
    return "fitted" if done else "not fitted"


def _table(title: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a group on test patients with their intervals, in words."""
    known = {key: figures[key] for key in SHOWN if figures[key]["value"] is not None}
    slices = max((figure["n_slices"] for figure in known.values()), default=0)
    return {
        "title": title,
        "patients": max((figure["n_patients"] for figure in known.values()), default=0),
        "slices": f"{slices:,}",
        "rows": [_row(SHOWN[key], figure) for key, figure in known.items()],
    }


def _row(title: str, figure: dict[str, Any]) -> dict[str, Any]:
    value, low, high = figure["value"], figure["low"], figure["high"]
    row = {"title": title, "value": f"{value:.3f}", "place": f"{100 * value:.1f}"}
    if low is None:
        return row | {"interval": "–", "bar": None}
    bar = {"left": f"{100 * low:.1f}", "width": f"{100 * (high - low):.1f}"}
    return row | {"interval": f"{low:.3f} to {high:.3f}", "bar": bar}
