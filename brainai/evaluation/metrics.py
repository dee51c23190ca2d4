"""Measures of slices and masks, by numpy and scikit-learn.

Counts come first (tp, fp, fn, tn), every measure is made from them; a measure whose denominator is
empty is NaN, never 0 or 1. Intervals are in intervals.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from brainai.data.dataset import SliceRecord
from brainai.errors import DataError

UNKNOWN = -1  # of a mask count or hit: no outline is known, or the network has no such map
MAX_CERTAINTY = 1 - 1e-7  # keeps the cross-entropy of a certain, wrong answer finite
BINS = 10  # of about equally many slices, for the calibration error


class Counts(NamedTuple):
    """True and false positives and negatives: ints, or float arrays of one shape."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


@dataclass(frozen=True, eq=False)
class SliceScores:
    """What a network said of N slices beside the truth; every field is an array `[N]`.

    Raises:
        DataError: lengths differ, a slice stands twice, or a label or probability is none.
    """

    file_name: np.ndarray  # str
    patient_id: np.ndarray  # str
    source: np.ndarray  # str
    site: np.ndarray  # str
    label: np.ndarray  # int, 1 = tumor
    probability: np.ndarray  # float64 in [0, 1], of tumor
    tumor_pixels: np.ndarray  # int, of the data set's masks; -1 = unknown
    uncalibrated: np.ndarray  # float64 in [0, 1], of the classifier alone, as it was trained
    mask_tp: np.ndarray  # int, pixels at the resolution of the network; UNKNOWN where not scored
    mask_fp: np.ndarray
    mask_fn: np.ndarray
    mask_hit: np.ndarray  # int, 1 where the strongest pixel of the mask lies in the tumor, else 0
    heat_hit: np.ndarray  # int, the same of the heat map; UNKNOWN without a tumor

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1 or not len(self):
            raise DataError(f"Scores need one value per slice in every field, found {lengths}.")
        if len(np.unique(self.file_name)) != len(self):
            raise DataError("A slice was scored twice: figures would count it twice.")
        if not np.isin(self.label, (0, 1)).all():
            raise DataError(f"Labels must be 0 or 1, found {np.unique(self.label)[:5].tolist()}.")
        wrong = ~((self.probability >= 0) & (self.probability <= 1))  # NaN is wrong too
        if wrong.any():
            raise DataError(
                f"{wrong.sum()} of {len(self)} probabilities are not in 0 to 1, the first of "
                f"{self.file_name[wrong][0]}: the weights are damaged or the training diverged."
            )

    def __len__(self) -> int:
        return len(self.file_name)

    def take(self, chosen: np.ndarray) -> "SliceScores":
        """The slices of an index or boolean array."""
        return SliceScores(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    @classmethod
    def from_records(
        cls,
        records: Sequence[SliceRecord],
        probability: np.ndarray,
        mask_counts: np.ndarray | None = None,
        uncalibrated: np.ndarray | None = None,
        hits: np.ndarray | None = None,
    ) -> "SliceScores":
        """Scores of the slices of a data set.

        Args:
            probability: `[N]`, in the order of the records.
            mask_counts: `[N, 3]` int (tp, fp, fn) in pixels; None for a network without a decoder.
                Rows of slices without a known outline are ignored.
            uncalibrated: `[N]`; None where the probability is all there is.
            hits: `[N, 2]` int, of mask and heat map; None where there is neither.
        """
        if mask_counts is None:
            mask_counts = np.full((len(records), 3), UNKNOWN)
        known = np.array([record.has_mask for record in records], bool)
        if hits is None:
            hits = np.full((len(records), 2), UNKNOWN)
        masks = np.where(known[:, None], mask_counts, UNKNOWN).astype(np.int64)
        return cls(
            file_name=np.array([record.file_name for record in records], str),
            patient_id=np.array([record.patient_id for record in records], str),
            source=np.array([record.source for record in records], str),
            site=np.array([record.site for record in records], str),
            label=np.array([record.label for record in records], np.int64),
            probability=np.asarray(probability, np.float64),
            tumor_pixels=np.array([record.tumor_pixels for record in records], np.int64),
            uncalibrated=np.asarray(
                probability if uncalibrated is None else uncalibrated, np.float64
            ),
            mask_tp=masks[:, 0],
            mask_fp=masks[:, 1],
            mask_fn=masks[:, 2],
            mask_hit=np.asarray(hits, np.int64)[:, 0],
            heat_hit=np.asarray(hits, np.int64)[:, 1],
        )


def count(label: np.ndarray, predicted: np.ndarray) -> Counts:
    """Counts over two arrays of 0/1 or bool of one shape."""
    label, predicted = np.asarray(label, bool), np.asarray(predicted, bool)
    return Counts(
        tp=np.sum(label & predicted),
        fp=np.sum(~label & predicted),
        fn=np.sum(label & ~predicted),
        tn=np.sum(~label & ~predicted),
    )


def ratio(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """Division that gives NaN where the denominator is 0; scalars or arrays of one shape."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    undefined = denominator == 0
    return np.where(undefined, np.nan, numerator / np.where(undefined, 1, denominator))[()]


def dice(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """2 tp / (2 tp + fp + fn); of slices this is F1. NaN only where nothing is there or claimed."""
    return ratio(2 * np.asarray(tp), 2 * np.asarray(tp) + fp + fn)


def dice_of_tumor(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Dice where there is tumor to find, else NaN: specificity measures the other slices."""
    return np.where(np.asarray(tp) + fn > 0, dice(tp, fp, fn), np.nan)[()]


def sensitivity(tp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Share of the slices with tumor that were found; NaN without such slices."""
    return ratio(tp, np.asarray(tp) + fn)


def specificity(tn: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Share of the tumor-free slices that were left alone; NaN without such slices."""
    return ratio(tn, np.asarray(tn) + fp)


def auroc(label: np.ndarray, probability: np.ndarray) -> float:
    """Probability that a slice with tumor scores above one without, ties counting one half.

    NaN where a class is missing or a probability is NaN.
    """
    if np.unique(label).size < 2 or np.isnan(probability).any():
        return float("nan")
    return float(roc_auc_score(label, probability))


def wins(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """How many negatives each positive beats, a tie counting one half: `[P]`, `[Q]` → `[P]`."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    return (below + np.searchsorted(ordered, positive, side="right")) / 2


def cross_entropy(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of each slice in nats, at most 16.1: `[N]`, `[N]` → `[N]`."""
    label, probability = np.asarray(label, bool), np.asarray(probability, np.float64)
    of_truth = np.where(label, probability, 1 - probability)
    return -np.log(np.clip(of_truth, 1 - MAX_CERTAINTY, MAX_CERTAINTY))


def brier(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Squared error of each slice's probability, `[N]`; the Brier score is its mean."""
    return (np.asarray(probability, np.float64) - np.asarray(label, bool)) ** 2


def equal_mass_bins(probability: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each slice, `[N]` int from 0: bins of about equally many slices, ties together.

    Source: Nixon et al. 2019, https://arxiv.org/abs/1904.01685
    """
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]) if len(probability) else []
    return np.searchsorted(edges, probability, side="right")


def excess(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """How much each slice's probability exceeds the truth, `[N]`: summed in a bin, its error."""
    return np.asarray(probability, np.float64) - np.asarray(label, bool)


def calibration_error(label: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of probability and frequency over equal-mass bins.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
    """
    by_bin = np.bincount(equal_mass_bins(probability, bins), weights=excess(label, probability))
    return float(ratio(np.abs(by_bin).sum(), len(label)))


def sweep(label: np.ndarray, probability: np.ndarray) -> Counts:
    """Counts at every distinct probability as the threshold, falling, equal ones taken together.

    The first entry is the threshold nothing reaches; arrays of one length, distinct values + 1.
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    label, probability = np.asarray(label, bool)[order], np.asarray(probability)[order]
    last_of_tie = np.append(np.diff(probability) != 0, True)
    tp = np.append(0, np.cumsum(label)[last_of_tie])
    fp = np.append(0, np.cumsum(~label)[last_of_tie])
    return Counts(tp=tp, fp=fp, fn=tp[-1] - tp, tn=fp[-1] - fp)


def average_precision(label: np.ndarray, probability: np.ndarray) -> float:
    """Area under the precision–recall steps, not interpolated; NaN without positives."""
    return float(average_precision_score(label, probability)) if np.any(label) else float("nan")


def slice_figures(
    label: np.ndarray, probability: np.ndarray, threshold: float = 0.5
) -> dict[str, float]:
    """loss, dice, auroc, sensitivity, specificity of N slices, without intervals."""
    found = count(label, np.asarray(probability) >= threshold)
    return {
        "loss": float(cross_entropy(label, probability).mean()) if len(label) else float("nan"),
        "dice": float(dice(found.tp, found.fp, found.fn)),
        "auroc": auroc(label, probability),
        "sensitivity": float(sensitivity(found.tp, found.fn)),
        "specificity": float(specificity(found.tn, found.fp)),
    }
