"""Figures of a cohort, each with an interval that respects patients. numpy only.

Slices of one patient resemble each other, so the bootstrap draws patients, not slices, with all
their slices (cluster bootstrap: Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x;
percentile interval: Efron 1979). A patient enters every measure only through sums, AUROC through
the table of wins between patients, so that thousands of resamples are a few matrix products.
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

RESAMPLES = 2000
SEED = 0
LEVEL = 95  # percent
SIZES = (1, 50, 200, 500, 2000, math.inf)  # borders, pixels of tumor on a slice
FIGURE_NAMES = {
    "dice": "Dice of slices (F1)",
    "auroc": "AUROC of slices",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Dice of masks, mean of patients",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "loss": "Cross-entropy",
}


@dataclass(frozen=True)
class PatientSums:
    """What P patients add to every measure; arrays `[P]` float64 unless said."""

    counts: Counts  # of slices, at one threshold
    wins: np.ndarray  # `[P, P]`: how often a positive slice of row beats a negative one of column
    loss: np.ndarray  # summed over slices
    brier: np.ndarray  # summed over slices
    excess: np.ndarray  # `[P, BINS]`: probability less truth, summed over slices of a bin
    slices: np.ndarray
    mask_slices: np.ndarray  # slices whose mask was scored
    mask_dice: np.ndarray  # over all scored slices of the patient; NaN where undefined


def sum_by_patient(scores: SliceScores, threshold: float) -> PatientSums:
    """Sums per patient; a slice counts as positive where its probability reaches the threshold."""
    patients, row = np.unique(scores.patient_id, return_inverse=True)

    def add(values: np.ndarray) -> np.ndarray:
        return np.bincount(row, weights=values, minlength=len(patients))

    label, said = scores.label == 1, scores.probability >= threshold
    scored = scores.mask_tp >= 0
    mask_tp, mask_fp, mask_fn = (
        add(np.where(scored, pixels, 0))
        for pixels in (scores.mask_tp, scores.mask_fp, scores.mask_fn)
    )
    return PatientSums(
        counts=Counts(
            add(label & said), add(~label & said), add(label & ~said), add(~label & ~said)
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
        beaten = wins(positive, probability[~label & (row == column)])
        table[:, column] = np.bincount(positive_row, weights=beaten, minlength=patients)
    return table


def _excess_in_bins(
    row: np.ndarray, label: np.ndarray, probability: np.ndarray, patients: int
) -> np.ndarray:
    """The bins are those of all slices, for every resample alike."""
    table = np.zeros((patients, BINS))
    np.add.at(table, (row, equal_mass_bins(probability)), excess(label, probability))
    return table


def measure(sums: PatientSums, times: np.ndarray) -> dict[str, np.ndarray]:
    """Every figure for B resamples.

    Args:
        times: `[B, P]` float64, how often each patient is drawn; ones give the plain figures.

    Returns:
        Arrays `[B]` under the keys of FIGURE_NAMES; NaN where a resample leaves one undefined.
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
    """`{"counts": {tp, fp, fn, tn}, "figures": {name: figure}}` of all slices given.

    A figure holds `value, low, high` (NaN where undefined; low and high also with fewer than two
    patients, of whom no spread can be told), `n_patients, n_slices` it rests on, and
    `undefined_resamples`, left out of the interval. `mask_dice` adds `undefined_patients`: masks
    known, but without tumor.
    """
    sums = sum_by_patient(scores, threshold)
    patients = len(sums.slices)
    generator = np.random.default_rng(seed)
    times = generator.multinomial(patients, np.full(patients, 1 / patients), size=resamples)
    drawn = measure(sums, times.astype(np.float64))
    plain = measure(sums, np.ones((1, patients)))
    defined = ~np.isnan(sums.mask_dice)
    rests_on = dict.fromkeys(FIGURE_NAMES, (patients, len(scores)))
    rests_on["mask_dice"] = (int(defined.sum()), int(sums.mask_slices[defined].sum()))
    figures = {name: _figure(plain[name][0], drawn[name], *rests_on[name]) for name in FIGURE_NAMES}
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
    """`{"all": group, "source": {name: group}, "site": {name: group}}`, see `summarize_group`."""

    def group(chosen: SliceScores) -> dict:
        return summarize_group(chosen, threshold, resamples=resamples, seed=seed)

    summary = {"all": group(scores)}
    for key in ("source", "site"):
        names = getattr(scores, key)
        summary[key] = {str(name): group(scores.take(names == name)) for name in np.unique(names)}
    return summary


def summarize_share(
    patients: np.ndarray, found: np.ndarray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict:
    """The figure of a share of slices, with its interval over patients.

    Args:
        patients: `[N]`, whose each slice is. found: `[N]` bool, or 0 and 1.
    """
    names, none = np.full(len(found), "-"), np.full(len(found), UNKNOWN)
    found = np.asarray(found, np.float64)
    scores = SliceScores(
        file_name=np.array([f"{number:06d}" for number in range(len(found))]),
        patient_id=np.asarray(patients).astype(str),
        source=names,
        site=names,
        label=np.ones(len(found), np.int64),  # a share of what is there is a sensitivity
        probability=found,
        tumor_pixels=none,
        uncalibrated=found,
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
    """Share of slices with an outlined tumor on which the strongest pixel lies in it:
    `{"mask": figure, "heat map": figure}`, without what no slice has."""
    found = {}
    for name, hits in {"mask": scores.mask_hit, "heat map": scores.heat_hit}.items():
        known = hits >= 0
        if known.any():
            found[name] = summarize_share(
                scores.patient_id[known], hits[known], resamples=resamples, seed=seed
            )
    return found


def summarize_by_size(
    scores: SliceScores, threshold: float, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, dict]:
    """Sensitivity among slices with so many pixels of tumor: `{"50 to 199": figure, …}`.

    Pixels are those of the data set's pictures; sizes without a slice are left out.
    """
    found = {}
    for low, high in pairwise(SIZES):
        chosen = (scores.label == 1) & (scores.tumor_pixels >= low) & (scores.tumor_pixels < high)
        if chosen.any():
            group = summarize_group(scores.take(chosen), threshold, resamples=resamples, seed=seed)
            name = f"{low:g} to {high - 1:g}" if math.isfinite(high) else f"{low:g} or more"
            found[name] = group["figures"]["sensitivity"]
    return found
