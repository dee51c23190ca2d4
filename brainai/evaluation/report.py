"""The report of one evaluation: report.json for programs, report.md for people, and figures/."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from brainai.evaluation import figures
from brainai.evaluation.intervals import FIGURE_NAMES, LEVEL, RESAMPLES, SEED, summarise
from brainai.evaluation.metrics import SliceScores, average_precision

FORMAT_VERSION = 1
GROUP_FIGURES = ("dice", "auroc", "sensitivity", "specificity", "mask_dice")
SHORT_NAMES = {
    "dice": "Dice (F1)",
    "auroc": "AUROC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Mask Dice",
}
FIGURE_FILES = {
    "confusion.png": "Confusion matrix",
    "roc_pr.png": "ROC and precision–recall curves",
    "top_losses.png": "Top losses",
    "learning_curves.png": "Learning curves",
}


def write_report(
    out: str | Path,
    scores: SliceScores,
    *,
    threshold: float,
    about: dict,
    load_slice: Callable[[str], np.ndarray] | None = None,
    history: list[dict] | None = None,
) -> dict:
    """Write report.json, report.md and figures/ into a folder, made if need be.

    Args:
        threshold: operating point; a slice is positive from this probability on.
        about: what was evaluated (model, dataset hash, split, command, version, …), JSON-able;
            written as it is.
        load_slice: file name → `[C + 1, S, S]` uint8, FLAIR first, mask last; without it there is
            no figure of the top losses.
        history: one dict per epoch, see `figures.draw_learning_curves`.

    Returns:
        What report.json holds, undefined figures as None.
    """
    out = Path(out)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    report = build_report(scores, threshold, about)
    drawn = _draw(out / "figures", scores, threshold, load_slice, history)
    _write(out / "report.md", markdown(report, drawn))
    _write(out / "report.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
    return report


def build_report(scores: SliceScores, threshold: float, about: dict) -> dict:
    """The content of report.json: about, threshold, how intervals were made, and the figures."""
    return _null_for_nan(
        {
            "format_version": FORMAT_VERSION,
            "about": about,
            "threshold": threshold,
            "interval": {
                "method": "percentile bootstrap over patients",
                "level_percent": LEVEL,
                "resamples": RESAMPLES,
                "seed": SEED,
            },
            "n_patients": len(np.unique(scores.patient_id)),
            "n_slices": len(scores),
            "n_positive_slices": int(scores.label.sum()),
            "average_precision": average_precision(scores.label, scores.probability),
            **summarise(scores, threshold),
        }
    )


def table(report: dict) -> str:
    """The figures of all slices as lines of text, for the command line."""
    lines = [
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} with tumour; "
        f"tumour from probability {report['threshold']:.3f} on"
    ]
    for name, title in FIGURE_NAMES.items():
        figure = report["all"]["figures"][name]
        if figure["n_slices"]:
            low, high = _number(figure["low"]), _number(figure["high"])
            lines.append(f"  {title:<32} {_number(figure['value'])}   {LEVEL} % {low} to {high}")
    for key in ("source", "site"):
        for group, summary in report[key].items():
            plain = (
                f"{SHORT_NAMES[name]} {_number(summary['figures'][name]['value'])}"
                for name in GROUP_FIGURES
            )
            patients = summary["figures"]["dice"]["n_patients"]
            lines.append(f"  {key} {group} ({patients} patients): " + ", ".join(plain))
    return "\n".join(lines)


def markdown(report: dict, figure_files: list[str]) -> str:
    """report.md."""
    counts = report["all"]["counts"]
    parts = [
        "# Evaluation",
        "\n".join(f"- {key}: `{value}`" for key, value in report["about"].items()),
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} slices with tumour. A slice is called tumour from "
        f"probability {report['threshold']:.3f} on.",
        _figure_table(report["all"]["figures"]),
        f"Slices: {counts['tp']:,} tumour found, {counts['fn']:,} missed, "
        f"{counts['tn']:,} tumour-free left alone, {counts['fp']:,} called tumour wrongly. "
        f"Average precision {_number(report['average_precision'])}.",
        *(
            f"## By {key}\n\n{_group_table(report[key])}"
            for key in ("source", "site")
            if len(report[key]) > 1
        ),
        _how(report),
        *(
            f"## {FIGURE_FILES[name]}\n\n![{FIGURE_FILES[name]}](figures/{name})"
            for name in figure_files
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figure_table(summary: dict) -> str:
    rows = [f"| figure | value | {LEVEL} % interval | patients | slices |", "|---|---|---|---|---|"]
    for name, title in FIGURE_NAMES.items():
        figure = summary[name]
        if figure["n_slices"]:
            interval = f"{_number(figure['low'])} to {_number(figure['high'])}"
            size = f"{figure['n_patients']:,} | {figure['n_slices']:,}"
            rows.append(f"| {title} | {_number(figure['value'])} | {interval} | {size} |")
    return "\n".join(rows)


def _group_table(groups: dict) -> str:
    titles = " | ".join(SHORT_NAMES[name] for name in GROUP_FIGURES)
    rows = [f"| name | patients | slices | {titles} |", "|---" * (3 + len(GROUP_FIGURES)) + "|"]
    for group, summary in groups.items():
        cells = []
        for name in GROUP_FIGURES:
            figure = summary["figures"][name]
            low, high = _number(figure["low"]), _number(figure["high"])
            cells.append(f"{_number(figure['value'])} ({low} to {high})")
        size = summary["figures"]["dice"]
        rows.append(
            f"| {group} | {size['n_patients']:,} | {size['n_slices']:,} | {' | '.join(cells)} |"
        )
    return "\n".join(rows)


def _how(report: dict) -> str:
    masks, interval = report["all"]["figures"]["mask_dice"], report["interval"]
    left_out = report["all"]["figures"]["auroc"]["undefined_resamples"]
    return (
        "## How it was measured\n\n"
        f"Intervals: {interval['resamples']:,} bootstrap resamples of whole patients, because "
        f"slices of one patient resemble each other; {left_out} of them held one class only and "
        "are left out for AUROC. A – marks what is undefined, and an interval that fewer than "
        "two patients cannot give.\n\n"
        "Masks are compared at the resolution of the network, over all slices of a patient whose "
        f"outline is known; {masks['undefined_patients']} patients without tumour there, and with "
        "none claimed, have no mask Dice."
    )


def _draw(
    folder: Path,
    scores: SliceScores,
    threshold: float,
    load_slice: Callable[[str], np.ndarray] | None,
    history: list[dict] | None,
) -> list[str]:
    """Draw what there is data for; the names of the files written."""
    drawn = {
        "confusion.png": figures.draw_confusion(scores, threshold),
        "roc_pr.png": figures.draw_curves(scores, threshold),
    }
    if load_slice is not None:
        drawn["top_losses.png"] = figures.draw_top_losses(scores, threshold, load_slice)
    if history:
        drawn["learning_curves.png"] = figures.draw_learning_curves(history)
    for name, figure in drawn.items():
        figures.save(figure, folder / name)
    return list(drawn)


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _null_for_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_null_for_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
