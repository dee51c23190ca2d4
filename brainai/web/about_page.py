"""The tab about the model: how it works, how good it is, what it cannot do; from its report."""

from html import escape
from typing import Any

import gradio as gr

from brainai.evaluation.intervals import LEVEL
from brainai.evaluation.sections import shared_patients
from brainai.hub.card import SHOWN, card_body
from brainai.model.fetch import Fetched
from brainai.model.folder import ModelInfo
from brainai.web.limits import MAX_SCAN_BYTES, MAX_SLICE_BYTES, MAX_SLICES, MB
from brainai.web.style import own_html
from brainai.web.verdict import percent

SOURCE_NAMES = {
    "all": "All patients",
    "brats": "BraTS",
    "lgg": "LGG (TCGA)",
    "pairs": "Single slices",
    "phantom": "Simulated",
    "tumor-free": "Without a tumor",
}

OURS = (  # how it works, and what it cannot do
    "A ResNet50 with a U-Net decoder was trained on slices of patients with brain tumors, "
    "outlined by experts. It reads one axial slice, sets its gray levels, and gives the "
    "probability that tumor is on it. FLAIR is enough; T1 with contrast and T2 of the same slice "
    "can be added. A scan is judged slice by slice.",
    "Nearly all the people it was shown had a glioma, so other diseases mislead it. Small lesions "
    "are missed most. Most pictures that are no upright axial FLAIR slice are refused, not all.",
)
OF_OTHERS = (
    "This timm classifier was trained elsewhere, on what is not known here. It reads one axial "
    "slice, whose gray levels are set as for BrainAI’s own, and gives a probability of tumor. A "
    "scan is judged slice by slice.",
    "What it cannot do was not measured here. It refuses only what is no slice at all.",
)


def words(info: ModelInfo) -> str:
    """How the model works, what it cannot do, and what happens to pictures; HTML."""
    how, limits = OURS if info.training else OF_OTHERS
    return f"""
<div class="columns">
<div><h2>How it works</h2><p>{how}</p></div>
<div><h2>What it cannot do</h2>
<p>{limits} “No tumor” means this slice, not this person. It makes mistakes, also confident ones,
and it replaces no doctor.</p></div>
<div><h2>Your pictures</h2>
<p>They are judged on this server, shown to nobody else, and deleted within the hour. There is no
history and no log of them. Bring none that names a person. Slices may have
{MAX_SLICE_BYTES // MB} MB, scans {MAX_SCAN_BYTES // MB} MB, and {MAX_SLICES} slices may come at
once.</p></div>
</div>
"""


def add_about_page(info: ModelInfo, report: dict[str, Any] | None, weights: Fetched) -> None:
    """Put the tab's contents where it is called, within `gr.Blocks`."""
    sections = words(info) + weights_section(info, weights) + figures_section(info, report)
    own_html(sections, elem_id="about")
    if report is not None:
        with gr.Accordion("The whole model card", open=False):
            repository = weights.repository if weights.commit else None
            card = card_body(info, report, repository=repository)
            gr.Markdown(card, elem_id="model-card")


def weights_section(info: ModelInfo, weights: Fetched) -> str:
    """Which weights answer, where they come from, and what was fitted of them; HTML."""
    facts = {"Model": info.name, "Weights": info.revision}
    if weights.commit is not None:
        facts["On the Hub"] = f"commit {weights.commit[:12]}"
        if weights.revision not in (None, weights.commit):
            facts["On the Hub"] += f", asked for as {weights.revision}"
    facts |= {
        "Calibration": fitted(info.calibrated),
        "“Tumor” from": f"{percent(info.threshold)} on: {info.operating_point}",
    }
    if info.scan_threshold is not None:
        point = f"{percent(info.scan_threshold)} on: {info.operating_point_of_scans}"
        facts["A scan is “Tumor” from"] = point
    facts["“Cannot judge”"] = fitted(info.scope)
    rows = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    return f'<h2>Which weights answer</h2><dl class="facts">{rows}</dl>'


def fitted(done: bool) -> str:
    """Whether something about the weights was fitted, in words."""
    return "fitted" if done else "not fitted"


def figures_section(info: ModelInfo, report: dict[str, Any] | None) -> str:
    """The figures on test patients, each with its interval, drawn and in numbers; HTML."""
    title = f"<h2>How good {escape(info.name)} is</h2>"
    if report is None:
        return f"{title}<p>No report lies beside these weights, so nothing is known of it.</p>"
    groups = {"all": report["all"], **report["source"]}
    tables = "".join(
        _table(SOURCE_NAMES.get(name, name), summary["figures"]) for name, summary in groups.items()
    )
    return (
        f"{title}<p>On patients that it never saw, from FLAIR alone. The bars show {LEVEL} % "
        "intervals from resampling patients: few patients, wide intervals. "
        f"{shared_patients(report)}</p>"
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
