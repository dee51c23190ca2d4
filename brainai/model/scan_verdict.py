"""The probability that a whole scan shows tumor, from what the network says of its slices.

A scan is not a slice: among 150 slices some false alarm is likely, and a tumor is seen on many.
So what decides is how sure neighboring slices are together, and how much they outline. numpy only.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SUPPORT_MM = 5.0  # neighboring slices that agree on a tumor must span this, two at least
CERTAIN = 0.999  # log-odds of slices end here: a single one must not outvote its neighbors


class ScanFeatures(NamedTuple):
    """What a scan's probability is made of."""

    peak: float  # the highest mean log-odds of neighboring slices over `SUPPORT_MM`
    outlined: float  # log(1 + mL) of what is outlined there, without a gap between the slices


def judge_slices(
    probabilities: np.ndarray,
    areas_cm2: np.ndarray | None,
    step_mm: float,
    weights: Sequence[float] | None,
) -> float:
    """The probability that a scan of Z slices shows tumor, in [0, 1].

    Args:
        probabilities: `[Z]` float in [0, 1], NaN where not judged; at least one is a number.
        areas_cm2: `[Z]` float, of the outline in each slice; None without a decoder, which counts
            as nothing outlined.
        step_mm: distance of the slices.
        weights: `ModelInfo.scan_weights`; None where nothing was fitted to scans.
    Raises:
        ValueError: no slice was judged.
    """
    if weights is None:
        return held_by_neighbors(probabilities, step_mm)
    return scan_probability(scan_features(probabilities, areas_cm2, step_mm), weights)


def scan_features(
    probabilities: np.ndarray, areas_cm2: np.ndarray | None, step_mm: float
) -> ScanFeatures:
    """The features of a scan of Z slices; args and errors as in `judge_slices`."""
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
    """The probability of tumor, in [0, 1].

    Args:
        weights: of the peak, of what is outlined, and a constant (`ModelInfo.scan_weights`).
    """
    *factors, constant = weights
    return 1 / (1 + math.exp(-float(np.dot(factors, features) + constant)))


def held_by_neighbors(probabilities: np.ndarray, step_mm: float) -> float:
    """The scan's probability where nothing was fitted to scans: the highest level that neighboring
    slices hold together, that is the largest, over all runs of neighbors, of the smallest in the
    run. So the scan is "Tumor" exactly where a run of neighboring slices all are.

    Args and errors as in `judge_slices`.
    """
    return float(np.nanmax(_runs(probabilities, step_mm).min(axis=1)))


def _runs(values: np.ndarray, step_mm: float) -> np.ndarray:
    """All runs of neighbors that span `SUPPORT_MM`, `[runs, length]`; shorter ones only where no
    longer one was judged."""
    longest = min(max(2, math.ceil(SUPPORT_MM / step_mm - 1e-6)), len(values))
    for length in range(longest, 0, -1):
        runs = np.lib.stride_tricks.sliding_window_view(values, length)
        if not np.isnan(runs).any(axis=1).all():
            return runs
    raise ValueError("no slice was judged")


def _grow(outlined: np.ndarray, start: int, stop: int) -> slice:
    """A run of slices, longer by the neighbors on both sides that have an outline."""
    while start > 0 and outlined[start - 1]:
        start -= 1
    while stop < len(outlined) and outlined[stop]:
        stop += 1
    return slice(start, stop)
