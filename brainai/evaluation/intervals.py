"""Metrics of a cohort with confidence intervals over patients.

Slices of the same patient resemble each other. The bootstrap therefore draws patients with all
their slices instead of single slices (cluster bootstrap: Field and Welsh 2007,
doi:10.1111/j.1467-9868.2007.00593.x; percentile interval: Efron 1979). Every metric is computed
from sums per patient, and AUROC from a table of wins between patients, so that thousands of
resamples take only a few matrix products.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from brainai.evaluation.metrics import (
    BINS,
    UNKNOWN,
    Counts,
    SliceScores,
    brier,
    count,
    cross_entropy,
    dice_of_tumor,
    equal_mass_bins,
    excess,
    ratio,
    sensitivity,
    specificity,
    wins,
)
from brainai.evaluation.names import FIGURE_NAMES, LEVEL

RESAMPLES = 2000
SEED = 0
SIZES = (1, 50, 200, 500, 2000, math.inf)  # bin edges: tumor pixels on a slice


@dataclass(frozen=True)
class PatientSums:
    """Sums over the slices of each of P patients; arrays `[P]` float64 unless noted."""

    counts: Counts  # of slices, at one threshold
    wins: np.ndarray  # `[P, P]`: pairs with the row's positive above the column's negative
    loss: np.ndarray  # summed over slices
    brier: np.ndarray  # summed over slices
    excess: np.ndarray  # `[P, BINS]`: probability minus label, summed over slices of a bin
    slices: np.ndarray
    mask_slices: np.ndarray  # number of slices whose mask was scored
    mask_dice: np.ndarray  # over all scored slices of the patient; NaN if undefined


def sum_by_patient(scores: SliceScores, threshold: float) -> PatientSums:
    """Return sums per patient; a slice is predicted positive from `threshold` on."""
    patients, row = np.unique(scores.patient_id, return_inverse=True)

    def add(values: np.ndarray) -> np.ndarray:
        return np.bincount(row, weights=values, minlength=len(patients))

    label, predicted = scores.label == 1, scores.probability >= threshold
    scored = scores.mask_tp >= 0
    mask_tp, mask_fp, mask_fn = (
        add(np.where(scored, pixels, 0))
        for pixels in (scores.mask_tp, scores.mask_fp, scores.mask_fn)
    )
    return PatientSums(
        counts=Counts(
            tp=add(label & predicted),
            fp=add(~label & predicted),
            fn=add(label & ~predicted),
            tn=add(~label & ~predicted),
        ),
        wins=_wins_between(row, label, scores.probability, len(patients)),
        loss=add(cross_entropy(label, scores.probability)),
        brier=add(brier(label, scores.probability)),
        excess=_excess_in_bins(row, label, scores.probability, len(patients)),
        slices=add(np.ones(len(scores))),
        mask_slices=add(scored),
        mask_dice=dice_of_tumor(mask_tp, mask_fp, mask_fn),
    )


def _wins_between(
    row: np.ndarray, label: np.ndarray, probability: np.ndarray, patients: int
) -> np.ndarray:
    table = np.zeros((patients, patients))
    positive, positive_row = probability[label], row[label]
    for column in range(patients):
        won = wins(positive, probability[~label & (row == column)])
        table[:, column] = np.bincount(positive_row, weights=won, minlength=patients)
    return table


def _excess_in_bins(
    row: np.ndarray, label: np.ndarray, probability: np.ndarray, patients: int
) -> np.ndarray:
    """Sum the excess per patient and bin; every resample uses the bins of all slices."""
    table = np.zeros((patients, BINS))
    np.add.at(table, (row, equal_mass_bins(probability)), excess(label, probability))
    return table


def measure(sums: PatientSums, times: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric for B resamples.

    Args:
        times: `[B, P]` float64, how often each patient is drawn; ones give the point estimates.

    Returns:
        Arrays `[B]` under the keys of `FIGURE_NAMES`, NaN where a metric is undefined.
    """
    tp, fp, fn, tn = (times @ counts for counts in sums.counts)
    defined = ~np.isnan(sums.mask_dice)
    return {
        "dice": dice_of_tumor(tp, fp, fn),
        "auroc": ratio(((times @ sums.wins) * times).sum(axis=1), (tp + fn) * (fp + tn)),
        "sensitivity": sensitivity(tp, fn),
        "specificity": specificity(tn, fp),
        "mask_dice": ratio(times @ np.where(defined, sums.mask_dice, 0), times @ defined),
        "ece": ratio(np.abs(times @ sums.excess).sum(axis=1), times @ sums.slices),
        "brier": ratio(times @ sums.brier, times @ sums.slices),
        "loss": ratio(times @ sums.loss, times @ sums.slices),
    }


def summarize_group(
    scores: SliceScores, threshold: float, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict:
    """Return `{"counts": {tp, fp, fn, tn}, "figures": {name: figure}}` of the slices.

    A figure holds `value`, `low` and `high`, the number of patients and slices it is computed from
    (`n_patients`, `n_slices`), and `undefined_resamples`, the number of resamples left out of the
    interval. Undefined values are NaN; so are `low` and `high` with fewer than two patients.
    `mask_dice` also holds `undefined_patients`, whose masks are known but without any tumor.
    """
    sums = sum_by_patient(scores, threshold)
    patients = len(sums.slices)
    generator = np.random.default_rng(seed)
    times = generator.multinomial(patients, np.full(patients, 1 / patients), size=resamples)
    drawn = measure(sums, times.astype(np.float64))
    point = measure(sums, np.ones((1, patients)))
    defined = ~np.isnan(sums.mask_dice)
    sizes = dict.fromkeys(FIGURE_NAMES, (patients, len(scores)))
    sizes["mask_dice"] = (int(defined.sum()), int(sums.mask_slices[defined].sum()))
    figures = {name: _figure(point[name][0], drawn[name], *sizes[name]) for name in FIGURE_NAMES}
    figures["mask_dice"]["undefined_patients"] = int((~defined & (sums.mask_slices > 0)).sum())
    counts = count(scores.label, scores.probability >= threshold)
    return {
        "counts": {name: int(value) for name, value in counts._asdict().items()},
        "figures": figures,
    }


def _figure(value: float, drawn: np.ndarray, n_patients: int, n_slices: int) -> dict:
    kept = drawn[~np.isnan(drawn)]
    low, high = np.nan, np.nan
    if n_patients > 1 and kept.size:
        low, high = np.percentile(kept, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {
        "value": float(value),
        "low": float(low),
        "high": float(high),
        "n_patients": n_patients,
        "n_slices": n_slices,
        "undefined_resamples": int(drawn.size - kept.size),
    }


def summarize(
    scores: SliceScores, threshold: float, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict:
    """Return `{"all": group, "source": {name: group}, "site": {name: group}}`.

    Groups are described in `summarize_group`.
    """

    def group(chosen: SliceScores) -> dict:
        return summarize_group(chosen, threshold, resamples=resamples, seed=seed)

    summary = {"all": group(scores)}
    for key in ("source", "site"):
        names = getattr(scores, key)
        summary[key] = {str(name): group(scores.take(names == name)) for name in np.unique(names)}
    return summary


def summarize_share(
    patients: np.ndarray, flags: np.ndarray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict:
    """Return the figure of a fraction of slices, with its interval over patients.

    Args:
        patients: `[N]`, the patient of each slice.
        flags: `[N]` bool, or 0 and 1: whether a slice counts towards the fraction.
    """
    names, none = np.full(len(flags), "-"), np.full(len(flags), UNKNOWN)
    flags = np.asarray(flags, np.float64)
    scores = SliceScores(
        file_name=np.array([f"{number:06d}" for number in range(len(flags))]),
        patient_id=np.asarray(patients).astype(str),
        source=names,
        site=names,
        label=np.ones(len(flags), np.int64),  # with positive labels only, it is a sensitivity
        probability=flags,
        tumor_pixels=none,
        uncalibrated=flags,
        mask_tp=none,
        mask_fp=none,
        mask_fn=none,
        mask_hit=none,
        heat_hit=none,
    )
    group = summarize_group(scores, 0.5, resamples=resamples, seed=seed)
    return group["figures"]["sensitivity"]


def summarize_hits(
    scores: SliceScores, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, dict]:
    """Return how often the strongest pixel of a map lies in the outlined tumor.

    Returns:
        `{"mask": figure, "heat map": figure}`; a map that no slice has is left out.
    """
    figures = {}
    for name, hits in {"mask": scores.mask_hit, "heat map": scores.heat_hit}.items():
        known = hits >= 0
        if known.any():
            figures[name] = summarize_share(
                scores.patient_id[known], hits[known], resamples=resamples, seed=seed
            )
    return figures


def summarize_by_size(
    scores: SliceScores, threshold: float, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, dict]:
    """Return the sensitivity by the number of tumor pixels: `{"50 to 199": figure, …}`.

    Pixels are those of the pictures in the data set. Sizes without a slice are left out.
    """
    figures = {}
    for low, high in pairwise(SIZES):
        chosen = (scores.label == 1) & (scores.tumor_pixels >= low) & (scores.tumor_pixels < high)
        if chosen.any():
            group = summarize_group(scores.take(chosen), threshold, resamples=resamples, seed=seed)
            name = f"{low:g} to {high - 1:g}" if math.isfinite(high) else f"{low:g} or more"
            figures[name] = group["figures"]["sensitivity"]
    return figures
