"""The answer in words: HTML of the cards that the page shows."""

from collections.abc import Sequence
from html import escape

from brainai import DISCLAIMER
from brainai.inference.classifier import Prediction
from brainai.inference.scan import ScanPrediction
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import SUPPORT_MM

HEADLINES = ("The network sees no tumor {where}", "The network sees tumor {where}")

SLICE_WANTED = "Bring one upright axial FLAIR slice of a brain, in gray."
SCAN_WANTED = "Bring an axial FLAIR scan of a brain."


def waiting_card(invitation: str) -> str:
    """Before there is anything to judge."""
    return framed("waiting", f"<h2>The answer appears here</h2><p>{invitation}</p>")


def progress_card(words: str, done: int = 0, total: int = 0, shown: str = "") -> str:
    """While it works: how far it is, where that is known, and what there is to see (HTML)."""
    known = f' value="{done}" max="{total}"' if total else ""
    count = f"<p>{done} of {total} slices</p>" if total else ""
    bar = f'<progress aria-label="{escape(words)}"{known}></progress>'
    return framed("working", f"<h2>{escape(words)}</h2>{bar}{count}{shown}")


def refusal_card(sentence: str, title: str = "This cannot be judged") -> str:
    """What cannot be judged, and why; the sentence is escaped."""
    return framed("refused", f"<h2>{title}</h2><p>{escape(sentence)}</p>")


def out_of_scope_card(reason: str, wanted: str = SLICE_WANTED) -> str:
    """“Cannot judge”: its reason of a few words, and what to bring instead."""
    return refusal_card(f"The reason: {reason}. {wanted}")


def answer_card(
    prediction: Prediction, info: ModelInfo, figure: str, sequences: Sequence[str]
) -> str:
    """Verdict, both probabilities, the slice (HTML), and what the answer came from."""
    return _answer(
        prediction,
        info,
        headline(prediction.label, info, "on this slice"),
        f"{_operating_point(prediction.threshold, info.operating_point)}{figure}",
        sequences,
    )


def scan_card(found: ScanPrediction, info: ModelInfo, view: str, sequences: Sequence[str]) -> str:
    """Verdict on the whole scan, its viewer (HTML), and what the answer came from."""
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    return _answer(
        found,
        info,
        headline(found.label, info, "in this scan"),
        f"{_operating_point(found.threshold, info.operating_point_of_scans)}"
        f'<p class="small">{_how_scans_are_judged(info)}</p>{view}{notes}',
        sequences,
    )


def _how_scans_are_judged(info: ModelInfo) -> str:
    if info.scan_weights is None:
        return (
            "The probability of a scan is the highest that neighboring slices hold together over "
            f"{SUPPORT_MM:g} mm, so that no slice decides alone."
        )
    return (
        "The probability of a scan comes from how sure neighboring slices are together over "
        f"{SUPPORT_MM:g} mm, and from how much is outlined there: a few slices called tumor make "
        "no scan with a tumor."
    )


def headline(label: str, info: ModelInfo, where: str) -> str:
    """The verdict as a sentence."""
    return HEADLINES[info.label_names.index(label)].format(where=where)


def source_line(info: ModelInfo, sequences: Sequence[str]) -> str:
    """What the answer came from: sequences, model and revision; HTML."""
    source = " + ".join(SPOKEN[name] for name in sequences)
    revision = f" · revision {escape(info.revision)}" if info.revision else ""
    return f"From {source} · {escape(info.name)}{revision}"


def framed(kind: str, body: str, small_print: str = "") -> str:
    """A card of a kind that the style sheet knows, with the disclaimer that each has; HTML."""
    return (
        f'<section class="card {kind}" role="status">{body}'
        f'<footer><p class="notice">{DISCLAIMER}</p>{small_print}</footer></section>'
    )


def percent(probability: float) -> str:
    """One decimal, and never a certainty that no network has."""
    if probability < 0.001:
        return "< 0.1 %"
    if probability > 0.999:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %"


def _answer(
    answer: Prediction | ScanPrediction,
    info: ModelInfo,
    title: str,
    body: str,
    sequences: Sequence[str],
) -> str:
    tumor = answer.label == info.label_names[1]
    return framed(
        "tumor" if tumor else "clear",
        f"<h2>{title}</h2>{_bars(answer, info)}{body}",
        f"<p>{source_line(info, sequences)}</p>",
    )


def _operating_point(threshold: float, point: str) -> str:
    return (
        f'<p class="small">The answer is “Tumor” from {escape(percent(threshold))} on, '
        f"the tick on the bar: the operating point, {escape(point)}.</p>"
    )


def _bars(answer: Prediction | ScanPrediction, info: ModelInfo) -> str:
    no_tumor, tumor = info.label_names
    tick = f'<i style="left:{100 * answer.threshold:.2f}%"></i>'
    return (
        '<dl class="bars">'
        + _bar(tumor, answer.probability, tick)
        + _bar(no_tumor, 1 - answer.probability, "")
        + "</dl>"
    )


def _bar(name: str, probability: float, tick: str) -> str:
    return (
        f"<div><dt>{escape(name)}</dt>"
        f'<dd class="bar" aria-hidden="true"><b style="width:{100 * probability:.2f}%"></b>'
        f"{tick}</dd><dd>{escape(percent(probability))}</dd></div>"
    )
