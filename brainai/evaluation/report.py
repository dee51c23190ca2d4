"""The report of an evaluation: report.json for programs, report.md for people, and figures/."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brainai.data.files import null_for_nan, write_text
from brainai.data.seals import sealed
from brainai.evaluation import cohort_figures, figures
from brainai.evaluation.intervals import (
    RESAMPLES,
    SEED,
    summarize,
    summarize_by_size,
    summarize_hits,
)
from brainai.evaluation.metrics import SliceScores, average_precision
from brainai.evaluation.names import LEVEL
from brainai.evaluation.report_file import REPORT_FORMAT
from brainai.evaluation.sections import POINT_NAMES
from brainai.evaluation.text import markdown
from brainai.model.folder import ModelInfo

CALIBRATION_FIGURES = ("ece", "brier")
BASELINE_FIGURES = ("auroc",)


def write_report(
    out: str | Path,
    scores: SliceScores,
    *,
    threshold: float,
    about: dict,
    load_slice: Callable[[str], np.ndarray] | None = None,
    history: list[dict] | None = None,
    baselines: Mapping[str, SliceScores] | None = None,
    phantoms: Mapping[str, dict] | None = None,
    points: Mapping[str, float] | None = None,
    scope: Mapping[str, dict] | None = None,
    scans: Mapping[str, object] | None = None,
    others: Sequence[dict] = (),
    in_scans: Mapping[str, object] | None = None,
) -> dict:
    """Write report.json, report.md and figures/ into a folder, which is created if necessary.

    Args:
        threshold: operating point; a slice is labeled "Tumor" from this probability on.
        about: what was evaluated (model, dataset hash, split, command, version, …); must be
            serializable as JSON.
        load_slice: file name → `[C + 1, S, S]` uint8, FLAIR first, mask last; None omits the
            figure of the top losses.
        history: one dict per epoch, see `figures.draw_learning_curves`.
        baselines: result of `baselines.score_baselines`.
        phantoms: result of `phantoms.score_phantoms`.
        points: names and values of other thresholds to report metrics at, see `other_points`.
        scope: result of `scope_rates.measure_scope`.
        scans: result of `whole_scans.measure_scans`.
        others: reports of other trainings for comparison, such as those that left out a site.
        in_scans: result of `neighbors.measure_together`.

    Returns:
        The content of report.json; undefined values are None.
    Raises:
        StorageError: the disk is full, or the folder cannot be written to.
    """
    out = Path(out)
    report = build_report(
        scores, threshold, about, baselines, phantoms, points, scope, scans, others, in_scans
    )
    drawn = _draw(out / "figures", scores, report, load_slice, history)
    write_text(out / "report.md", markdown(report, drawn))
    write_text(out / "report.json", json.dumps(sealed(report), indent=2, allow_nan=False) + "\n")
    return report


def build_report(
    scores: SliceScores,
    threshold: float,
    about: dict,
    baselines: Mapping[str, SliceScores] | None = None,
    phantoms: Mapping[str, dict] | None = None,
    points: Mapping[str, float] | None = None,
    scope: Mapping[str, dict] | None = None,
    scans: Mapping[str, object] | None = None,
    others: Sequence[dict] = (),
    in_scans: Mapping[str, object] | None = None,
) -> dict:
    """Return the content of report.json; see `write_report` for the arguments."""
    before = summarize(replace(scores, probability=scores.uncalibrated), threshold)
    return null_for_nan(
        {
            "format_version": REPORT_FORMAT,
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
            **summarize(scores, threshold),
            "before_calibration": _only(before, CALIBRATION_FIGURES),
            "size": summarize_by_size(scores, threshold),
            "hits": summarize_hits(scores),
            "baselines": {
                name: _only(summarize(baseline, 0.5), BASELINE_FIGURES)
                for name, baseline in (baselines or {}).items()
            },
            "phantoms": dict(phantoms or {}),
            "points": {
                name: {"threshold": level, **_only(summarize(scores, level), POINT_NAMES)}
                for name, level in (points or {}).items()
            },
            "scope": dict(scope or {}),
            "scans": dict(scans or {}),
            "in_scans": dict(in_scans or {}),
            "others": [
                {"about": other["about"], "figures": other["all"]["figures"]} for other in others
            ],
        }
    )


def other_points(info: ModelInfo) -> dict[str, float]:
    """Return the thresholds besides the operating point at which metrics are reported."""
    points = {
        "probability of one half": 0.5,
        "sensitive point": info.sensitive_threshold,
        "Youden point": info.youden_threshold,
    }
    return {name: threshold for name, threshold in points.items() if threshold is not None}


def _only(summary: dict, names: tuple[str, ...]) -> dict:
    """Return some metrics of all slices and of each source: `{"all": {name: figure}, "lgg": …}`."""
    groups = {"all": summary["all"], **summary["source"]}
    return {
        name: {metric: group["figures"][metric] for metric in names}
        for name, group in groups.items()
    }


def _draw(
    folder: Path,
    scores: SliceScores,
    report: dict,
    load_slice: Callable[[str], np.ndarray] | None,
    history: list[dict] | None,
) -> list[str]:
    """Draw the figures that there are data for, and return their file names."""
    threshold = report["threshold"]
    drawn = {
        "confusion.png": figures.draw_confusion(scores, threshold),
        "roc_pr.png": figures.draw_curves(scores, threshold),
        "reliability.png": cohort_figures.draw_reliability(scores),
    }
    if report["size"]:
        drawn["sizes.png"] = cohort_figures.draw_sensitivity_by_size(report["size"])
    if report["all"]["figures"]["mask_dice"]["n_patients"]:
        drawn["mask_dice.png"] = cohort_figures.draw_mask_dice(scores)
    if load_slice is not None:
        drawn["top_losses.png"] = figures.draw_top_losses(scores, threshold, load_slice)
    if history:
        drawn["learning_curves.png"] = figures.draw_learning_curves(history)
    for name, figure in drawn.items():
        figures.save(figure, folder / name)
    return list(drawn)
