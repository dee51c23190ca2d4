"""HTML of the cards that show the answers on the page."""

from collections.abc import Sequence
from html import escape

from brainai import DISCLAIMER
from brainai.inference.classifier import Prediction
from brainai.inference.scan import ScanPrediction
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import SUPPORT_MM

HEADLINES = ("The network sees no tumor {where}", "The network sees a tumor {where}")

SLICE_WANTED = "Upload one upright axial FLAIR slice of a brain, in gray."
SCAN_WANTED = "Upload an axial FLAIR scan of a brain."


def waiting_card(invitation: str) -> str:
    """Return the card that is shown before there is anything to judge."""
    return framed("waiting", f"<h2>The answer appears here</h2><p>{invitation}</p>")


def progress_card(words: str, done: int = 0, total: int = 0, shown: str = "") -> str:
    """Return the card that is shown while slices are judged.

    Args:
        words: what is being done.
        done: slices judged so far.
        total: all slices; 0 if the number is not known.
        shown: HTML of the latest slice.
    """
    value = f' value="{done}" max="{total}"' if total else ""
    count = f"<p>{done} of {total} slices</p>" if total else ""
    bar = f'<progress aria-label="{escape(words)}"{value}></progress>'
    return framed("working", f"<h2>{escape(words)}</h2>{bar}{count}{shown}")


def refusal_card(sentence: str, title: str = "This cannot be judged") -> str:
    """Return the card for an input that cannot be judged; `sentence` says why and is escaped."""
    return framed("refused", f"<h2>{title}</h2><p>{escape(sentence)}</p>")


def out_of_scope_card(reason: str, wanted: str = SLICE_WANTED) -> str:
    """Return the card for “Cannot judge”: the reason, and what to upload instead."""
    return refusal_card(f"Reason: {reason}. {wanted}")


def answer_card(
    prediction: Prediction, info: ModelInfo, figure: str, sequences: Sequence[str]
) -> str:
    """Return the card for a slice: the verdict, both probabilities, and the figure (HTML)."""
    return _answer(
        prediction,
        info,
        headline(prediction.label, info, "on this slice"),
        f"{_operating_point(prediction.threshold, info.operating_point)}{figure}",
        sequences,
    )


def scan_card(
    prediction: ScanPrediction, info: ModelInfo, view: str, sequences: Sequence[str]
) -> str:
    """Return the card for a whole scan: the verdict, both probabilities, and the viewer (HTML)."""
    notes = "".join(f"<p>{escape(note)}</p>" for note in prediction.notes)
    return _answer(
        prediction,
        info,
        headline(prediction.label, info, "in this scan"),
        f"{_operating_point(prediction.threshold, info.operating_point_of_scans)}"
        f'<p class="small">{_how_scans_are_judged(info)}</p>{view}{notes}',
        sequences,
    )


def _how_scans_are_judged(info: ModelInfo) -> str:
    if info.scan_weights is None:
        return (
            "The probability of a scan is the highest value that neighboring slices over "
            f"{SUPPORT_MM:g} mm all reach, so no slice decides alone."
        )
    return (
        "The probability of a scan is computed from the probabilities of neighboring slices over "
        f"{SUPPORT_MM:g} mm together and from the volume outlined there. A few slices labeled "
        "“Tumor” are not enough for the scan to be labeled “Tumor”."
    )


def headline(label: str, info: ModelInfo, where: str) -> str:
    """Return the verdict as a sentence."""
    return HEADLINES[info.label_names.index(label)].format(where=where)


def source_line(info: ModelInfo, sequences: Sequence[str]) -> str:
    """Return the sequences, the model and the revision behind an answer; HTML."""
    source = " + ".join(SPOKEN[name] for name in sequences)
    revision = f" · revision {escape(info.revision)}" if info.revision else ""
    return f"From {source} · {escape(info.name)}{revision}"


def framed(kind: str, body: str, small_print: str = "") -> str:
    """Return a card with the disclaimer; HTML.

    Args:
        kind: class of the card in the style sheet.
        body: HTML of the content.
        small_print: HTML that follows the disclaimer.
    """
    return (
        f'<section class="card {kind}" role="status">{body}'
        f'<footer><p class="notice">{DISCLAIMER}</p>{small_print}</footer></section>'
    )


def percent(probability: float) -> str:
    """Return a probability in percent with one decimal, and never as 0 or 100 %.

    >>> percent(0.8764)
    '87.6 %'
    >>> percent(1.0)
    '> 99.9 %'
    """
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
        '<p class="small">The answer is “Tumor” if the probability is at least '
        f"{escape(percent(threshold))} (the tick on the bar). Operating point: "
        f"{escape(point)}.</p>"
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
