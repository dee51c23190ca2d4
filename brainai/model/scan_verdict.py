"""Compute the answers of a scan from the probabilities that each slice has by itself.

A scan needs a verdict of its own: among 150 slices a false alarm is likely, and a tumor extends
over many slices. The verdict therefore depends on the mean log-odds of neighboring slices and on
the volume that is outlined there. For the same reason a slice of a scan is judged together with its
neighbors. The module uses numpy only.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SUPPORT_MM = 5.0  # least span of neighboring slices that agree on a tumor, at least two slices
CERTAIN = 0.999  # probabilities are limited to this, so that no slice outvotes its neighbors
NEIGHBOR_MM = 6.0  # standard deviation of the Gaussian weights of neighbors
NEIGHBOR_LIMIT = 3.0  # largest log-odds of a neighbor, for the same reason


class ScanFeatures(NamedTuple):
    """The features from which the probability of a scan is computed.

    peak: the highest mean log-odds of neighboring slices that span `SUPPORT_MM`.
    outlined: log(1 + volume in mL) of the outline in these slices and in those connected to them.
    """

    peak: float
    outlined: float


def judge_together(
    probabilities: np.ndarray, step_mm: float, weights: Sequence[float] | None
) -> np.ndarray:
    """Return the probability of each slice of a scan, judged together with its neighbors.

    Args:
        probabilities: `[Z]` float in [0, 1], of each slice by itself; NaN for slices that were not
            judged.
        step_mm: distance of the slices.
        weights: `ModelInfo.neighbor_weights`: the factor of `neighbor_log_odds`, and a constant.
            None, if nothing was fitted, returns the probabilities unchanged.
    Returns:
        `[Z]` float in [0, 1]; NaN for slices that were not judged.

    Example:
        >>> alone = np.array([0.5, 0.5, 0.9, 0.5])
        >>> judge_together(alone, 3.0, (1.0, 0.0)).round(2).tolist()
        [0.62, 0.64, 0.66, 0.67]
    """
    if weights is None:
        return probabilities
    return together_probability(neighbor_log_odds(probabilities, step_mm), weights)


def together_probability(log_odds: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Return the probabilities that `neighbor_log_odds` give with `ModelInfo.neighbor_weights`."""
    factor, constant = weights
    return 1 / (1 + np.exp(-(factor * log_odds + constant)))


def neighbor_log_odds(probabilities: np.ndarray, step_mm: float) -> np.ndarray:
    """Return the mean log-odds of each slice and its neighbors, `[Z]`; NaN for slices not judged.

    Neighbors have Gaussian weights of `NEIGHBOR_MM`. Arguments are those of `judge_together`.
    """
    judged = ~np.isnan(probabilities)
    alone = np.clip(probabilities[judged], 1e-9, 1 - 1e-9)
    limited = np.clip(np.log(alone / (1 - alone)), -NEIGHBOR_LIMIT, NEIGHBOR_LIMIT)
    places = np.flatnonzero(judged) * step_mm
    weights = np.exp(-(((places[:, None] - places) / NEIGHBOR_MM) ** 2) / 2)
    together = np.full(len(probabilities), np.nan)
    together[judged] = weights @ limited / weights.sum(axis=1)
    return together


def judge_slices(
    probabilities: np.ndarray,
    areas_cm2: np.ndarray | None,
    step_mm: float,
    weights: Sequence[float] | None,
) -> float:
    """Return the probability that a scan of Z slices shows a tumor, in [0, 1].

    Args:
        probabilities: `[Z]` float in [0, 1]; NaN for slices that were not judged. At least one must
            be a number.
        areas_cm2: `[Z]` float, area of the outline in each slice; None without a decoder, which
            counts as no outline.
        step_mm: distance of the slices.
        weights: `ModelInfo.scan_weights`; None if nothing was fitted to scans.
    Raises:
        ValueError: no slice was judged.

    Example:
        >>> judge_slices(np.array([0.1, 0.9, 0.8, 0.1]), None, 5.0, None)
        0.8
    """
    if weights is None:
        return lowest_of_neighbors(probabilities, step_mm)
    return scan_probability(scan_features(probabilities, areas_cm2, step_mm), weights)


def scan_features(
    probabilities: np.ndarray, areas_cm2: np.ndarray | None, step_mm: float
) -> ScanFeatures:
    """Return the features of a scan. Arguments and errors are those of `judge_slices`."""
    limited = np.clip(probabilities, 1 - CERTAIN, CERTAIN)
    means = _runs(np.log(limited / (1 - limited)), step_mm).mean(axis=1)
    first = int(np.nanargmax(means))
    run = len(probabilities) - len(means) + 1
    volume_ml = 0.0
    if areas_cm2 is not None:
        inside = _grow(areas_cm2 > 0, first, first + run)
        volume_ml = float(areas_cm2[inside].sum() * step_mm / 10)
    return ScanFeatures(float(means[first]), math.log1p(volume_ml))


def scan_probability(features: ScanFeatures, weights: Sequence[float]) -> float:
    """Return the probability of tumor, in [0, 1].

    Args:
        weights: `ModelInfo.scan_weights`: factors of `peak` and `outlined`, and a constant.
    """
    *factors, constant = weights
    return 1 / (1 + math.exp(-float(np.dot(factors, features) + constant)))


def lowest_of_neighbors(probabilities: np.ndarray, step_mm: float) -> float:
    """Return the probability of a scan if nothing was fitted to scans.

    For each run of neighboring slices the lowest probability is taken, and the highest of these is
    returned. A scan is thus "Tumor" exactly if all slices of some run are. Arguments and errors are
    those of `judge_slices`.
    """
    return float(np.nanmax(_runs(probabilities, step_mm).min(axis=1)))


def _runs(values: np.ndarray, step_mm: float) -> np.ndarray:
    """Return all runs of neighboring slices that span `SUPPORT_MM`, `[runs, length]`.

    Runs are shorter only if no run of this length was judged completely.
    """
    longest = min(max(2, math.ceil(SUPPORT_MM / step_mm - 1e-6)), len(values))
    for length in range(longest, 0, -1):
        runs = np.lib.stride_tricks.sliding_window_view(values, length)
        if not np.isnan(runs).any(axis=1).all():
            return runs
    raise ValueError("no slice was judged")


def _grow(outlined: np.ndarray, start: int, stop: int) -> slice:
    """Extend a run of slices on both sides by the neighbors that have an outline."""
    while start > 0 and outlined[start - 1]:
        start -= 1
    while stop < len(outlined) and outlined[stop]:
        stop += 1
    return slice(start, stop)
