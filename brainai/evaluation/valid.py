"""What a network says of the patients of `valid`, and the numbers that are fitted to it.

Real patients where there are any: what is fitted to phantoms suits phantoms. Every source counts
alike, since each outlines in its own way, and the larger one would decide for all; one of few
slices counts less, else a handful of pictures would decide instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

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

ENOUGH = 100  # slices with which a source counts as much as any other
SHIFTS = np.arange(-2, 2.01, 0.25)  # of mask logits
SPECIFICITY = 0.97  # at least, of people without a tumor, at the operating point
SENSITIVITY = 0.95  # at least, at the sensitive point


@dataclass(frozen=True, eq=False)
class ValidScores:
    """Of N slices, from FLAIR alone; arrays `[N]` but for `mask_counts`."""

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
        """The scores of the slices of these records, in their order."""
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
    def say(self) -> dict[str, float]:
        """How much each source counts: 1, or less where it has fewer slices than `ENOUGH`."""
        names, slices = np.unique(self.source, return_counts=True)
        return dict(zip(names.tolist(), np.minimum(slices / ENOUGH, 1).tolist(), strict=True))

    @property
    def weight(self) -> np.ndarray:
        """How much each slice counts, `[N]`: sources by their `say`, 1 on the average."""
        names, source, slices = np.unique(self.source, return_inverse=True, return_counts=True)
        of_one = (np.array([self.say[name] for name in names.tolist()]) / slices)[source]
        return of_one / of_one.mean()

    @property
    def is_finite(self) -> bool:
        """Whether all scores are numbers; those of a network that diverged are not."""
        of_masks = [] if self.mask_score is None else [self.mask_score]
        return all(np.isfinite(scores).all() for scores in (self.class_score, *of_masks))

    @property
    def has_both_classes(self) -> bool:
        """Whether there is tumor and no tumor to tell apart."""
        return len(np.unique(self.label)) == 2

    @property
    def tumor_free(self) -> np.ndarray:
        """Slices of people without a tumor in any slice, `[N]` bool."""
        return ~np.isin(self.patient, self.patient[self.label == 1])

    def take(self, chosen: np.ndarray) -> "ValidScores":
        """The slices of an index or boolean array."""
        values = (getattr(self, field.name) for field in fields(self))
        return ValidScores(*(None if v is None else v[chosen] for v in values))


class Thresholds(NamedTuple):
    """Probabilities from which on a slice is called tumor."""

    operating: float  # where Dice (F1) is highest, of those that leave `SPECIFICITY` alone
    sensitive: float  # the highest at which `SENSITIVITY` is reached
    youden: float  # where sensitivity + specificity is highest


class Fitted(NamedTuple):
    """The numbers that make a label and an outline of the network's scores."""

    mask_shift: float  # added to mask logits
    score_weights: tuple[float, float, float]  # see `answer.combine`; of masks that were shifted
    thresholds: Thresholds


class Quality(NamedTuple):
    """How good a network is at what it will be used for, of `valid`; NaN what cannot be told."""

    probability: np.ndarray  # [N], of class and mask together
    auroc: float  # of that probability, sources weighed
    mask_dice: float  # mean over patients, at the best shift

    @property
    def selection(self) -> float:
        """What the weights of an epoch are chosen by: the mean of both, or the one there is."""
        found = [value for value in (self.auroc, self.mask_dice) if not math.isnan(value)]
        return sum(found) / len(found) if found else math.nan


def voters(records: Sequence[SliceRecord]) -> np.ndarray:
    """Rows of `valid` that have a say: of real patients where there are any, `[N]` int."""
    rows = [row for row, record in enumerate(records) if record.split == "valid"]
    real = [row for row in rows if records[row].source != "phantom"]
    return np.array(real or rows, np.intp)


def count_shifted(mask_logits: Tensor, truth: Tensor) -> np.ndarray:
    """Pixels found, falsely claimed and missed by masks whose logits are moved by each of `SHIFTS`.

    Args:
        mask_logits: `[n, S, S]`. truth: `[n, S, S]` bool.
    Returns:
        `[n, len(SHIFTS), 3]` int64: tp, fp, fn.
    """
    levels = torch.from_numpy(-SHIFTS[::-1].copy()).to(mask_logits)  # a pixel above is claimed
    passed = torch.bucketize(mask_logits.contiguous(), levels)  # how many levels lie below it
    bins = len(levels) + 1
    which = torch.arange(len(truth), device=truth.device)[:, None, None] * 2 + truth
    pixels = torch.bincount((which * bins + passed).flatten(), minlength=2 * bins * len(truth))
    passing = pixels.view(-1, 2, bins).flip(2).cumsum(2)[..., :-1]  # for the highest level first
    fp, tp = passing.unbind(1)
    fn = truth.sum((1, 2))[:, None] - tp
    return torch.stack([tp, fp, fn], dim=2).cpu().numpy()


def fit(valid: ValidScores, shift: float | None = None) -> Fitted:
    """All that is fitted; `valid` holds both classes.

    Args:
        shift: of mask logits; None fits it.
    Raises:
        DataError: a score is no number.
    """
    if not valid.is_finite:
        raise DataError(
            "Expected scores that are numbers, found others: the weights are damaged, or their "
            "training diverged. Take other weights."
        )
    if shift is None:
        shift, _ = best_shift(valid)
    weights = fit_score_weights(valid, shift)
    return Fitted(shift, weights, find_thresholds(probability_of(valid, shift, weights), valid))


def judge(valid: ValidScores) -> Quality:
    """How good the network is, as it would answer with numbers fitted to it."""
    of_class = probability_of(valid, 0.0, ModelInfo.score_weights)
    if not valid.is_finite:
        return Quality(of_class, math.nan, math.nan)
    shift, mask_dice = best_shift(valid)
    if not valid.has_both_classes:
        return Quality(of_class, math.nan, mask_dice)
    probability = probability_of(valid, shift, fit_score_weights(valid, shift))
    auroc = roc_auc_score(valid.label, probability, sample_weight=valid.weight)
    return Quality(probability, float(auroc), mask_dice)


def best_shift(valid: ValidScores) -> tuple[float, float]:
    """The shift of mask logits at which the mean Dice of the patients is highest, and that Dice;
    0 and NaN without a decoder, or without a patient with an outlined tumor."""
    if valid.mask_counts is None:
        return 0.0, math.nan
    by_source: dict[str, list[np.ndarray]] = {}
    known = valid.mask_counts[:, 0, 0] >= 0
    for source, patient in sorted(set(zip(valid.source[known], valid.patient[known], strict=True))):
        own = known & (valid.source == source) & (valid.patient == patient)
        tp, fp, fn = valid.mask_counts[own].sum(axis=0).T
        if tp[0] + fn[0] > 0:
            by_source.setdefault(source, []).append(dice(tp, fp, fn))
    if not by_source:
        return 0.0, math.nan
    mean_dice = np.average(
        [np.mean(patients, axis=0) for patients in by_source.values()],
        axis=0,
        weights=[valid.say[source] for source in by_source],
    )
    best = int(mean_dice.argmax())
    return float(SHIFTS[best]), float(mean_dice[best])


def fit_score_weights(valid: ValidScores, shift: float = 0.0) -> tuple[float, float, float]:
    """How class and mask count together, for `answer.combine`: logistic regression, which also
    calibrates. Without a decoder the class counts alone.

    Args:
        shift: of the mask's logits, and so of its score.
    """
    scores = [valid.class_score]
    if valid.mask_score is not None:
        scores.append(valid.mask_score + shift)
    fitted = LogisticRegression().fit(
        np.stack(scores, axis=1), valid.label, sample_weight=valid.weight
    )
    of_class, *of_mask = fitted.coef_[0].tolist()
    constant = float(fitted.intercept_[0])
    return round(of_class, 4), round(sum(of_mask), 4), round(constant, 4)


def find_thresholds(probability: np.ndarray, valid: ValidScores) -> Thresholds:
    """The thresholds that `valid` gives; sources count by their `say`.

    - Operating: the best Dice of slices (F1), with at most 3 % of the slices of people without a
      tumor called tumor, where there are such people.
    - Sensitive: `SENSITIVITY` both with slices counting alike and with sources.
    - Youden 1950, https://doi.org/10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3
    """
    order = np.argsort(-probability, kind="stable")
    valid, probability = valid.take(order), probability[order]
    positive, weight = valid.label == 1, valid.weight
    # Only the last of equal probabilities is a threshold; it lies half-way to the next lower one.
    last = np.append(np.diff(probability) != 0, True)
    levels = ((probability + np.append(probability[1:], 0)) / 2)[last]

    def share(of: np.ndarray) -> np.ndarray:
        """What part of the slices, as they are weighed, each level calls tumor."""
        return (np.cumsum(of) / max(of.sum(), 1e-12))[last]

    found, falsely = share(weight * positive), share(weight * ~positive)
    enough = np.minimum(found, share(positive)) >= SENSITIVITY - 1e-9
    spared = share(valid.tumor_free) <= 1 - SPECIFICITY + 1e-9
    tp, fp = np.cumsum(weight * positive)[last], np.cumsum(weight * ~positive)[last]
    f1 = 2 * tp / (tp + fp + (weight * positive).sum())
    best = np.where(spared, f1, -1).argmax(), enough.argmax(), (found - falsely).argmax()
    return Thresholds(*(_down(levels[place]) for place in best))


def _down(level: float) -> float:
    """Six decimals, rounded so that what lies at the level still reaches it."""
    return math.floor(level * 1e6) / 1e6


def probability_of(
    valid: ValidScores, shift: float, weights: tuple[float, float, float]
) -> np.ndarray:
    """Probabilities of tumor of N slices, `[N]`, with a shift of mask logits and score weights."""
    masks = None if valid.mask_score is None else torch.from_numpy(valid.mask_score + shift)
    return combine(torch.from_numpy(valid.class_score), masks, weights).sigmoid().numpy()


def outlined_pixels(valid: ValidScores, shift: float) -> np.ndarray | None:
    """Pixels of the masks whose logits are moved by one of `SHIFTS`, `[N]` int; 0 where the extent
    of tumor is unknown, None without a decoder."""
    if valid.mask_counts is None:
        return None
    tp, fp, _ = valid.mask_counts[:, int(np.abs(SHIFTS - shift).argmin())].T
    return np.maximum(tp + fp, 0)
