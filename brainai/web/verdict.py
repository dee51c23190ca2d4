"""The answer in words: HTML of the card that the page shows."""

from collections.abc import Sequence
from html import escape

from brainai import DISCLAIMER
from brainai.inference.classifier import Prediction
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo

HEADLINES = {
    "Tumor": "The network sees tumour on this slice",
    "No Tumor": "The network sees no tumour on this slice",
}

WANTED = "Bring one upright axial FLAIR slice of a brain, in grey."


def waiting_card() -> str:
    """Before there is a picture."""
    return _card(
        "waiting",
        "<h2>The answer appears here</h2>"
        "<p>Bring a FLAIR slice, or click one of the examples. It is judged at once.</p>",
    )


def refusal_card(sentence: str) -> str:
    """A picture that cannot be judged, and why; the sentence is escaped."""
    return _card("refused", f"<h2>This cannot be judged</h2><p>{escape(sentence)}</p>")


def out_of_scope_card(reason: str) -> str:
    """“Cannot judge”: its reason of a few words, and what to bring instead."""
    return refusal_card(f"The reason: {reason}. {WANTED}")


def answer_card(
    prediction: Prediction, info: ModelInfo, figure: str, sequences: Sequence[str]
) -> str:
    """Verdict, both probabilities, the slice (HTML), and what the answer came from."""
    tumor = prediction.label == info.label_names[1]
    source = " + ".join(SPOKEN[name] for name in sequences)
    threshold = escape(percent(prediction.threshold))
    revision = f" · revision {escape(info.revision)}" if info.revision else ""
    return _card(
        "tumor" if tumor else "clear",
        f"<h2>{HEADLINES[prediction.label]}</h2>"
        + _bars(prediction, info)
        + f'<p class="threshold">The answer is “Tumor” from {threshold} on, the tick on the bar: '
        f"the operating point, chosen for a {escape(info.operating_point)}.</p>{figure}",
        f"<p>From {source} · {escape(info.name)}{revision}</p>",
    )


def percent(probability: float) -> str:
    """One decimal, and never a certainty that no network has."""
    if probability < 0.001:
        return "< 0.1 %"
    if probability > 0.999:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %"


def _bars(prediction: Prediction, info: ModelInfo) -> str:
    no_tumor, tumor = info.label_names
    tick = f'<i style="left:{100 * prediction.threshold:.2f}%"></i>'
    return (
        '<dl class="bars">'
        + _bar(tumor, prediction.probability, tick)
        + _bar(no_tumor, 1 - prediction.probability, "")
        + "</dl>"
    )


def _bar(name: str, probability: float, tick: str) -> str:
    return (
        f"<div><dt>{escape(name)}</dt>"
        f'<dd class="bar" aria-hidden="true"><b style="width:{100 * probability:.2f}%"></b>'
        f"{tick}</dd><dd>{escape(percent(probability))}</dd></div>"
    )


def _card(kind: str, body: str, small_print: str = "") -> str:
    return (
        f'<section class="card {kind}" role="status">{body}'
        f'<footer><p class="notice">{DISCLAIMER}</p>{small_print}</footer></section>'
    )
