"""The cards that show the answers on the page."""

from collections.abc import Sequence
from typing import Any

from brainai.inference.classifier import Prediction
from brainai.inference.scan import ScanPrediction
from brainai.inference.sequences import SPOKEN
from brainai.markup import Markup, render
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import SUPPORT_MM

HEADLINES = ("The network sees no tumor {where}", "The network sees a tumor {where}")

SLICE_WANTED = "Upload one upright axial FLAIR slice of a brain, in gray."
SCAN_WANTED = "Upload an axial FLAIR scan of a brain."


def waiting_card(invitation: str) -> Markup:
    """Return the card that is shown before there is anything to judge."""
    title = "The answer appears here"
    return render("message_card.html", kind="waiting", title=title, sentence=invitation)


def progress_card(words: str, done: int = 0, total: int = 0, shown: str = "") -> Markup:
    """Return the card that is shown while slices are judged.

    Args:
        words: what is being done.
        done: slices judged so far.
        total: all slices; 0 if the number is not known.
        shown: HTML of the latest slice.
    """
    return render("progress_card.html", words=words, done=done, total=total, shown=shown)


def refusal_card(sentence: str, title: str = "This cannot be judged") -> Markup:
    """Return the card for an input that cannot be judged; `sentence` says why."""
    return render("message_card.html", kind="refused", title=title, sentence=sentence)


def out_of_scope_card(reason: str, wanted: str = SLICE_WANTED) -> Markup:
    """Return the card for “Cannot judge”: the reason, and what to upload instead."""
    return refusal_card(f"Reason: {reason}. {wanted}")


def answer_card(
    prediction: Prediction, info: ModelInfo, figure: Markup, sequences: Sequence[str]
) -> Markup:
    """Return the card for a slice: the verdict, both probabilities, and the figure."""
    return render(
        "answer_card.html",
        **_answer(prediction, info, sequences),
        headline=headline(prediction.label, info, "on this slice"),
        operating_point=info.operating_point,
        figure=figure,
    )


def scan_card(
    prediction: ScanPrediction, info: ModelInfo, view: Markup, sequences: Sequence[str]
) -> Markup:
    """Return the card for a whole scan: the verdict, both probabilities, and the viewer."""
    return render(
        "scan_card.html",
        **_answer(prediction, info, sequences),
        headline=headline(prediction.label, info, "in this scan"),
        operating_point=info.operating_point_of_scans,
        fitted=info.scan_weights is not None,
        support_mm=f"{SUPPORT_MM:g}",
        figure=view,
        notes=prediction.notes,
    )


def headline(label: str, info: ModelInfo, where: str) -> str:
    """Return the verdict as a sentence."""
    return HEADLINES[info.label_names.index(label)].format(where=where)


def source_line(info: ModelInfo, sequences: Sequence[str]) -> str:
    """Return the sequences, the model and the revision behind an answer."""
    source = " + ".join(SPOKEN[name] for name in sequences)
    revision = f" · revision {info.revision}" if info.revision else ""
    return f"From {source} · {info.name}{revision}"


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
    answer: Prediction | ScanPrediction, info: ModelInfo, sequences: Sequence[str]
) -> dict[str, Any]:
    """Return what the cards of slices and of scans show alike."""
    no_tumor, tumor = info.label_names
    p = answer.probability
    probabilities = {} if p is None else {tumor: p, no_tumor: 1 - p}
    return {
        "tumor": answer.label == tumor,
        "bars": [(name, f"{100 * p:.2f}", percent(p)) for name, p in probabilities.items()],
        "tick": f"{100 * answer.threshold:.2f}",
        "threshold": percent(answer.threshold),
        "source": source_line(info, sequences),
    }
