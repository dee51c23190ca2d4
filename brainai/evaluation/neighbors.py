"""Slices of scans, judged together with their neighbors: fitted on `valid`, and evaluated.

A tumor extends over neighboring slices, whereas a false alarm seldom does. See
`brainai.model.scan_verdict.judge_together`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from brainai.data.dataset import SliceRecord, read_records
from brainai.evaluation.intervals import summarize, summarize_by_size
from brainai.evaluation.metrics import SliceScores
from brainai.evaluation.valid import ValidScores, find_thresholds
from brainai.evaluation.whole_scans import rows_of_scans, spread, step_mm
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import neighbor_log_odds, together_probability


class Together(NamedTuple):
    """The fitted numbers, with the names they have in `ModelInfo`."""

    neighbor_weights: tuple[float, float]
    neighbor_threshold: float


def log_odds_in_scans(records: Sequence[SliceRecord], probability: np.ndarray) -> np.ndarray:
    """Return `neighbor_log_odds` of each slice, `[N]` float; NaN for slices that are no scan.

    Args:
        records: records of the slices, in any order.
        probability: `[N]` float, the probability of each slice by itself.
    """
    log_odds = np.full(len(records), np.nan)
    for rows in rows_of_scans(records).values():
        first, places = records[rows[0]], [records[row].slice_index for row in rows]
        alone = spread(probability[rows], places, first.slice_count, np.nan)
        log_odds[rows] = neighbor_log_odds(alone, step_mm(first))[places]
    return log_odds


def fit_together(
    valid: ValidScores, records: Sequence[SliceRecord], probability: np.ndarray
) -> Together | None:
    """Fit the probability of slices of scans, and the threshold for their labels.

    The slices are weighed, and the threshold is chosen, as for slices by themselves.

    Args:
        records: records of the slices of `valid`, in the same order.
        probability: `[N]` float, the calibrated probability of each slice by itself.
    Returns:
        The fitted numbers, or None unless scans have slices with and without tumor.
    """
    log_odds = log_odds_in_scans(records, probability)
    in_scan = ~np.isnan(log_odds)
    valid, log_odds = valid.take(in_scan), log_odds[in_scan]
    if not valid.has_both_classes:
        return None
    fitted = LogisticRegression().fit(log_odds[:, None], valid.label, sample_weight=valid.weight)
    weights = round(float(fitted.coef_[0, 0]), 4), round(float(fitted.intercept_[0]), 4)
    threshold = find_thresholds(together_probability(log_odds, weights), valid).operating
    return Together(weights, threshold)


def measure_together(scores: SliceScores, info: ModelInfo, folder: str | Path) -> dict:
    """Evaluate slices of scans by themselves, and judged together with their neighbors.

    Returns:
        `{"threshold": …, "alone": summary, "together": summary}`. A summary has `all` and `source`
        of `intervals.summarize`, and `summarize_by_size` as `size`. Empty without scans, or if
        nothing was fitted.
    """
    by_name = {record.file_name: record for record in read_records(folder)}
    records = [by_name[name] for name in scores.file_name]
    log_odds = log_odds_in_scans(records, scores.probability)
    in_scan = ~np.isnan(log_odds)
    if info.neighbor_weights is None or not in_scan.any():
        return {}
    alone = scores.take(in_scan)
    probability = together_probability(log_odds[in_scan], info.neighbor_weights)
    together = replace(alone, probability=probability)
    return {
        "threshold": info.threshold_in_scans,
        "alone": _summary(alone, info.threshold),
        "together": _summary(together, info.threshold_in_scans),
    }


def _summary(scores: SliceScores, threshold: float) -> dict:
    whole = summarize(scores, threshold)
    return {
        "all": whole["all"],
        "source": whole["source"],
        "size": summarize_by_size(scores, threshold),
    }
