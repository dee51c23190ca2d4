"""Scores of a network on `valid`, and the numbers that are fitted to them.

Only real patients are used if there are any, because numbers fitted to phantoms suit phantoms.
Each source outlines tumors in its own way. All sources therefore have the same weight, so that the
largest one does not decide for all; a source of few slices has less, so that a handful of pictures
does not decide either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from brainai.data.dataset import SliceRecord
from brainai.errors import DataError
from brainai.evaluation.metrics import dice
from brainai.model.answer import combine
from brainai.model.folder import ModelInfo

ENOUGH = 100  # slices from which on a source has the full weight
SHIFTS = np.arange(-2, 2.01, 0.25)  # candidate shifts of mask logits
SPECIFICITY = 0.97  # lower bound among people without a tumor, at the operating point
SENSITIVITY = 0.95  # lower bound at the sensitive point


@dataclass(frozen=True, eq=False)
class ValidScores:
    """Scores of N slices, from FLAIR alone; arrays `[N]` except for `mask_counts`."""

    label: np.ndarray  # int, 1 = tumor
    source: np.ndarray  # str
    patient: np.ndarray  # str
    class_score: np.ndarray  # float64, log-odds
    mask_score: np.ndarray | None = None  # float64; None without a decoder
    mask_counts: np.ndarray | None = None  # `[N, len(SHIFTS), 3]` int of `count_shifted`; -1 where
    #                                        the extent of tumor is unknown

    @classmethod
    def of(
        cls,
        records: Sequence[SliceRecord],
        class_score: np.ndarray,
        mask_score: np.ndarray | None,
        mask_counts: np.ndarray | None,
    ) -> "ValidScores":
        """Return the scores of the slices of `records`, in their order."""
        if mask_counts is not None:
            known = np.array([record.has_mask for record in records])
            mask_counts = np.where(known[:, None, None], mask_counts, -1)
        return cls(
            np.array([record.label for record in records]),
            np.array([record.source for record in records]),
            np.array([record.patient_id for record in records]),
            np.asarray(class_score, np.float64),
            mask_score,
            mask_counts,
        )

    @property
    def source_weights(self) -> dict[str, float]:
        """Weight of each source: 1, or less if it has fewer slices than `ENOUGH`."""
        names, slices = np.unique(self.source, return_counts=True)
        return dict(zip(names.tolist(), np.minimum(slices / ENOUGH, 1).tolist(), strict=True))

    @property
    def weight(self) -> np.ndarray:
        """Weight of each slice, `[N]`, 1 on average: that of its source, shared by its slices."""
        names, source, slices = np.unique(self.source, return_inverse=True, return_counts=True)
        of_source = np.array([self.source_weights[name] for name in names.tolist()])
        weight = (of_source / slices)[source]
        return weight / weight.mean()

    @property
    def is_finite(self) -> bool:
        """Whether all scores are finite; those of a diverged network are not."""
        mask_scores = [] if self.mask_score is None else [self.mask_score]
        return all(np.isfinite(scores).all() for scores in (self.class_score, *mask_scores))

    @property
    def has_both_classes(self) -> bool:
        """Whether there are slices with and without tumor."""
        return len(np.unique(self.label)) == 2

    @property
    def tumor_free(self) -> np.ndarray:
        """Whether a slice belongs to a person without tumor in any slice, `[N]` bool."""
        return ~np.isin(self.patient, self.patient[self.label == 1])

    def take(self, chosen: np.ndarray) -> "ValidScores":
        """Return the slices that an index or boolean array selects."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {k: None if v is None else v[chosen] for k, v in values.items()}
        return ValidScores(**taken)


class Thresholds(NamedTuple):
    """Smallest probabilities at which a slice is labeled "Tumor"."""

    operating: float  # highest Dice (F1) among thresholds with a specificity of `SPECIFICITY`
    sensitive: float  # highest threshold with a sensitivity of `SENSITIVITY`
    youden: float  # highest sensitivity + specificity


class Fitted(NamedTuple):
    """Fitted numbers that turn the network's scores into a label and an outline."""

    mask_shift: float  # added to mask logits
    score_weights: tuple[float, float, float]  # see `answer.combine`; fitted to shifted masks
    thresholds: Thresholds


class Quality(NamedTuple):
    """Performance of a network on `valid`; values that are not defined are NaN."""

    probability: np.ndarray  # [N], from class score and mask score together
    auroc: float  # of that probability, with the weights of the slices
    mask_dice: float  # mean over patients, at the best shift

    @property
    def selection(self) -> float:
        """Score by which the best epoch is selected: the mean of the values that are defined."""
        defined = [value for value in (self.auroc, self.mask_dice) if not math.isnan(value)]
        return sum(defined) / len(defined) if defined else math.nan


def calibration_rows(records: Sequence[SliceRecord]) -> np.ndarray:
    """Return the rows of `valid` that are used for calibration, `[N]` int.

    These are the rows of real patients, or all rows if there are only phantoms.
    """
    rows = [row for row, record in enumerate(records) if record.split == "valid"]
    real = [row for row in rows if records[row].source != "phantom"]
    return np.array(real or rows, np.intp)


def count_shifted(mask_logits: Tensor, truth: Tensor) -> np.ndarray:
    """Count true positive, false positive and false negative pixels for each of `SHIFTS`.

    Args:
        mask_logits: `[n, S, S]`.
        truth: `[n, S, S]` bool.
    Returns:
        `[n, len(SHIFTS), 3]` int64: tp, fp, fn of the masks whose logits are shifted.
    """
    levels = torch.from_numpy(-SHIFTS[::-1].copy()).to(mask_logits)  # pixels above are positive
    passed = torch.bucketize(mask_logits.contiguous(), levels)  # number of levels below a pixel
    bins = len(levels) + 1
    group = torch.arange(len(truth), device=truth.device)[:, None, None] * 2 + truth
    pixels = torch.bincount((group * bins + passed).flatten(), minlength=2 * bins * len(truth))
    positive = pixels.view(-1, 2, bins).flip(2).cumsum(2)[..., :-1]  # from the highest level down
    fp, tp = positive.unbind(1)
    fn = truth.sum((1, 2))[:, None] - tp
    return torch.stack([tp, fp, fn], dim=2).cpu().numpy()


def fit(valid: ValidScores, shift: float | None = None) -> Fitted:
    """Fit mask shift, score weights and thresholds.

    Args:
        valid: scores of slices of both classes.
        shift: shift of mask logits; None fits it.
    Raises:
        DataError: a score is not finite.
    """
    if not valid.is_finite:
        raise DataError(
            "Expected finite scores, found NaN or infinity: the weights are damaged, or their "
            "training diverged. Use other weights."
        )
    if shift is None:
        shift, _ = best_shift(valid)
    weights = fit_score_weights(valid, shift)
    return Fitted(shift, weights, find_thresholds(probability_of(valid, shift, weights), valid))


def judge(valid: ValidScores) -> Quality:
    """Return the performance of the network after calibration on `valid`."""
    uncalibrated = probability_of(valid, 0.0, ModelInfo.score_weights)
    if not valid.is_finite:
        return Quality(uncalibrated, math.nan, math.nan)
    shift, mask_dice = best_shift(valid)
    if not valid.has_both_classes:
        return Quality(uncalibrated, math.nan, mask_dice)
    probability = probability_of(valid, shift, fit_score_weights(valid, shift))
    auroc = roc_auc_score(valid.label, probability, sample_weight=valid.weight)
    return Quality(probability, float(auroc), mask_dice)


def best_shift(valid: ValidScores) -> tuple[float, float]:
    """Return the shift of mask logits with the highest mean Dice over patients, and that Dice.

    They are 0 and NaN without a decoder, or without a patient with an outlined tumor.
    """
    if valid.mask_counts is None:
        return 0.0, math.nan
    by_source: dict[str, list[np.ndarray]] = {}
    known = valid.mask_counts[:, 0, 0] >= 0
    for source, patient in sorted(set(zip(valid.source[known], valid.patient[known], strict=True))):
        of_patient = known & (valid.source == source) & (valid.patient == patient)
        tp, fp, fn = valid.mask_counts[of_patient].sum(axis=0).T
        if tp[0] + fn[0] > 0:
            by_source.setdefault(source, []).append(dice(tp, fp, fn))
    if not by_source:
        return 0.0, math.nan
    mean_dice = np.average(
        [np.mean(patients, axis=0) for patients in by_source.values()],
        axis=0,
        weights=[valid.source_weights[source] for source in by_source],
    )
    best = int(mean_dice.argmax())
    return float(SHIFTS[best]), float(mean_dice[best])


def fit_score_weights(valid: ValidScores, shift: float = 0.0) -> tuple[float, float, float]:
    """Fit the weights of class score and mask score, and a constant, for `answer.combine`.

    They come from a logistic regression, which also calibrates the probability. Without a decoder,
    the weight of the mask score is 0.

    Args:
        shift: shift of mask logits, and therefore of the mask score.
    """
    scores = [valid.class_score]
    if valid.mask_score is not None:
        scores.append(valid.mask_score + shift)
    fitted = LogisticRegression().fit(
        np.stack(scores, axis=1), valid.label, sample_weight=valid.weight
    )
    class_weight, *mask_weight = fitted.coef_[0].tolist()
    constant = float(fitted.intercept_[0])
    return round(class_weight, 4), round(sum(mask_weight), 4), round(constant, 4)


def find_thresholds(probability: np.ndarray, valid: ValidScores) -> Thresholds:
    """Find the thresholds on `valid`, with the weights of the slices.

    - Operating: the best Dice of slices (F1) at which at most 3 % of the slices of people without
      a tumor are labeled "Tumor", if there are such people.
    - Sensitive: a sensitivity of `SENSITIVITY`, both with these weights and with equal weights for
      all slices.
    - Youden 1950, https://doi.org/10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3

    Args:
        probability: `[N]`, of the slices of `valid`.
    """
    order = np.argsort(-probability, kind="stable")
    valid, probability = valid.take(order), probability[order]
    positive, weight = valid.label == 1, valid.weight
    # Equal probabilities share a threshold, which lies halfway to the next lower probability.
    last = np.append(np.diff(probability) != 0, True)
    levels = ((probability + np.append(probability[1:], 0)) / 2)[last]

    def share(weights: np.ndarray) -> np.ndarray:
        """Return the weighted fraction of slices that reach each level."""
        return (np.cumsum(weights) / max(weights.sum(), 1e-12))[last]

    sensitivity, false_alarms = share(weight * positive), share(weight * ~positive)
    is_sensitive = np.minimum(sensitivity, share(positive)) >= SENSITIVITY - 1e-9
    is_specific = share(valid.tumor_free) <= 1 - SPECIFICITY + 1e-9
    tp, fp = np.cumsum(weight * positive)[last], np.cumsum(weight * ~positive)[last]
    f1 = 2 * tp / (tp + fp + (weight * positive).sum())
    operating = np.where(is_specific, f1, -1).argmax()
    youden = (sensitivity - false_alarms).argmax()
    best = (operating, is_sensitive.argmax(), youden)
    return Thresholds(*(_round_down(levels[place]) for place in best))


def _round_down(level: float) -> float:
    """Return six decimals, rounded down so that a probability at the level still reaches it."""
    return math.floor(level * 1e6) / 1e6


def probability_of(
    valid: ValidScores, shift: float, weights: tuple[float, float, float]
) -> np.ndarray:
    """Return the probabilities of tumor, `[N]`, for a shift of mask logits and score weights."""
    masks = None if valid.mask_score is None else torch.from_numpy(valid.mask_score + shift)
    return combine(torch.from_numpy(valid.class_score), masks, weights).sigmoid().numpy()


def outlined_pixels(valid: ValidScores, shift: float) -> np.ndarray | None:
    """Return the pixels of the masks whose logits are shifted by one of `SHIFTS`, `[N]` int.

    They are 0 for slices whose extent of tumor is unknown, and None without a decoder.
    """
    if valid.mask_counts is None:
        return None
    tp, fp, _ = valid.mask_counts[:, int(np.abs(SHIFTS - shift).argmin())].T
    return np.maximum(tp + fp, 0)
