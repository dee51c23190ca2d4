"""The tab about the model: how it works, its limits, and the figures of its report."""

from html import escape
from typing import Any

import gradio as gr

from brainai.evaluation.names import LEVEL
from brainai.evaluation.sections import shared_patients
from brainai.hub.card import SHOWN, card_body
from brainai.model.fetch import Fetched
from brainai.model.folder import ModelInfo
from brainai.web.limits import MAX_SCAN_BYTES, MAX_SLICE_BYTES, MAX_SLICES, MB
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

BRAINAI_MODEL = (  # how it works, and what it cannot do
    "The model is a ResNet50 with a U-Net decoder. It was trained on slices of patients with brain "
    "tumors that experts had outlined. It takes one axial slice, normalizes the gray levels, and "
    "gives the probability that the slice shows a tumor. FLAIR is enough; T1 with contrast and T2 "
    "of the same slice can be added. A scan is judged slice by slice.",
    "Nearly all people in the training data had a glioma, so other diseases mislead the model. It "
    "misses small lesions most often. It refuses most pictures that are not an upright axial FLAIR "
    "slice, but not all.",
)
THIRD_PARTY_MODEL = (
    "This is a third-party timm classifier. What it was trained on is not known here. It takes one "
    "axial slice, with gray levels normalized as for BrainAI’s own models, and gives the "
    "probability of a tumor. A scan is judged slice by slice.",
    "Its limits were not measured here. It refuses only pictures that are not a slice at all.",
)


def words(info: ModelInfo) -> str:
    """Return how the model works, what it cannot do, and what happens to pictures; HTML."""
    how, limits = BRAINAI_MODEL if info.training else THIRD_PARTY_MODEL
    return f"""
<div class="columns">
<div><h2>How it works</h2><p>{how}</p></div>
<div><h2>What it cannot do</h2>
<p>{limits} “No Tumor” is about this slice, not about this person. The model makes mistakes,
sometimes with high confidence, and does not replace a doctor.</p></div>
<div><h2>Your pictures</h2>
<p>They are judged on this server, shown to nobody else, and deleted within the hour. The server
keeps no history and no log of them. Do not upload pictures that name a person. A slice may have up
to {MAX_SLICE_BYTES // MB} MB and a scan up to {MAX_SCAN_BYTES // MB} MB. You can upload up to
{MAX_SLICES} slices at once.</p></div>
</div>
"""


def add_about_page(info: ModelInfo, report: dict[str, Any] | None, weights: Fetched) -> None:
    """Add the contents of the tab; call it within `gr.Blocks`."""
    sections = words(info) + weights_section(info, weights) + figures_section(info, report)
    plain_html(sections, elem_id="about")
    if report is not None:
        with gr.Accordion("Full model card", open=False):
            repository = weights.repository if weights.commit else None
            card = card_body(info, report, repository=repository)
            gr.Markdown(card, elem_id="model-card")


def weights_section(info: ModelInfo, weights: Fetched) -> str:
    """Return which weights answer, where they come from, and what was fitted; HTML."""
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
    facts["“Cannot judge”"] = fitted(info.scope)
    rows = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    return f'<h2>Weights in use</h2><dl class="facts">{rows}</dl>'


def fitted(done: bool) -> str:
    """Return "fitted" or "not fitted"."""
    return "fitted" if done else "not fitted"


def figures_section(info: ModelInfo, report: dict[str, Any] | None) -> str:
    """Return the figures on test patients with their intervals, as numbers and as bars; HTML."""
    title = f"<h2>How good {escape(info.name)} is</h2>"
    if report is None:
        return f"{title}<p>There is no report for these weights, so this is not known.</p>"
    groups = {"all": report["all"], **report["source"]}
    tables = "".join(
        _table(SOURCE_NAMES.get(name, name), summary["figures"]) for name, summary in groups.items()
    )
    return (
        f"{title}<p>These figures are for patients that the model never saw, from FLAIR alone. The "
        f"bars show {LEVEL} % intervals from resampling patients. With few patients, the intervals "
        f"are wide. {shared_patients(report)}</p>"
        f'<div class="figures">{tables}</div>'
    )


def _table(title: str, figures: dict[str, Any]) -> str:
    known = {key: figures[key] for key in SHOWN if figures[key]["value"] is not None}
    people = max((figure["n_patients"] for figure in known.values()), default=0)
    slices = max((figure["n_slices"] for figure in known.values()), default=0)
    rows = "".join(_row(SHOWN[key], figure) for key, figure in known.items())
    return (
        f"<table><caption>{escape(title)}: {people} patients, {slices:,} slices</caption>"
        '<thead><tr><th scope="col">Figure</th><th scope="col">Value</th>'
        f'<th scope="col">{LEVEL} % interval</th><th scope="col">0 to 1</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(title: str, figure: dict[str, Any]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    interval, bar = "–", ""
    if low is not None:
        interval = f"{low:.3f} to {high:.3f}"
        bar = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    return (
        f'<tr><th scope="row">{escape(title)}</th><td>{value:.3f}</td><td>{interval}</td>'
        f'<td><span class="range" aria-hidden="true">{bar}<b style="left:{100 * value:.1f}%"></b>'
        "</span></td></tr>"
    )
