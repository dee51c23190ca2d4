"""Metrics of slices and masks, with numpy and scikit-learn.

Most metrics are computed from counts (tp, fp, fn, tn). A metric whose denominator is 0 is NaN,
never 0 or 1. Intervals are in intervals.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from brainai.data.dataset import SliceRecord
from brainai.errors import DataError

UNKNOWN = -1  # value of a mask count or hit without a known outline, or without such a map
MAX_CERTAINTY = 1 - 1e-7  # keeps the cross-entropy of a certain but wrong answer finite
BINS = 10  # bins of about equally many slices, for the calibration error


class Counts(NamedTuple):
    """True and false positives and negatives: ints, or float arrays of the same shape."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


@dataclass(frozen=True, eq=False)
class SliceScores:
    """Predictions and ground truth of N slices; every field is an array `[N]`.

    Raises:
        DataError: lengths differ, a slice occurs twice, or a label or probability is invalid.
    """

    file_name: np.ndarray  # str
    patient_id: np.ndarray  # str
    source: np.ndarray  # str
    site: np.ndarray  # str
    label: np.ndarray  # int, 1 = tumor
    probability: np.ndarray  # float64 in [0, 1], of tumor
    tumor_pixels: np.ndarray  # int, of the data set's masks; -1 = unknown
    uncalibrated: np.ndarray  # float64 in [0, 1], of the class score alone, before calibration
    mask_tp: np.ndarray  # int, pixels at the resolution of the network; UNKNOWN if not scored
    mask_fp: np.ndarray
    mask_fn: np.ndarray
    mask_hit: np.ndarray  # int, 1 if the strongest pixel of the mask lies in the tumor, else 0
    heat_hit: np.ndarray  # int, the same for the heat map; UNKNOWN without a tumor

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1 or not len(self):
            raise DataError(f"Expected one value per slice in every field, found {lengths}.")
        if len(np.unique(self.file_name)) != len(self):
            raise DataError("Expected every slice once, found a slice that was scored twice.")
        if not np.isin(self.label, (0, 1)).all():
            raise DataError(
                f"Expected labels of 0 or 1, found {np.unique(self.label)[:5].tolist()}."
            )
        wrong = ~((self.probability >= 0) & (self.probability <= 1))  # NaN is wrong too
        if wrong.any():
            raise DataError(
                f"{wrong.sum()} of {len(self)} probabilities are not between 0 and 1, the first "
                f"for {self.file_name[wrong][0]}: the weights are damaged or the training diverged."
            )

    def __len__(self) -> int:
        return len(self.file_name)

    def take(self, chosen: np.ndarray) -> "SliceScores":
        """Return the slices that an index or boolean array selects."""
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
        """Return the scores of the slices of `records`, with their labels and patients.

        Args:
            probability: `[N]`, in the order of the records.
            mask_counts: `[N, 3]` int (tp, fp, fn) in pixels; None for a network without a decoder.
                Rows of slices without a known outline are ignored.
            uncalibrated: `[N]`; None takes the probability.
            hits: `[N, 2]` int, of mask and heat map; None if there is neither.
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
    """Return the counts over two arrays of 0/1 or bool of the same shape.

    >>> counts = count([1, 1, 0, 0], [1, 0, 1, 0])
    >>> tuple(map(int, counts))
    (1, 1, 1, 1)
    """
    label, predicted = np.asarray(label, bool), np.asarray(predicted, bool)
    return Counts(
        tp=np.sum(label & predicted),
        fp=np.sum(~label & predicted),
        fn=np.sum(label & ~predicted),
        tn=np.sum(~label & ~predicted),
    )


def ratio(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """Divide scalars or arrays of the same shape; the result is NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    undefined = denominator == 0
    return np.where(undefined, np.nan, numerator / np.where(undefined, 1, denominator))[()]


def dice(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Return 2 tp / (2 tp + fp + fn), which for slices is F1; NaN if all three counts are 0.

    >>> float(dice(tp=2, fp=1, fn=1))
    0.6666666666666666
    """
    return ratio(2 * np.asarray(tp), 2 * np.asarray(tp) + fp + fn)


def dice_of_tumor(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Dice where there is tumor to find, else NaN: specificity measures the other slices."""
    return np.where(np.asarray(tp) + fn > 0, dice(tp, fp, fn), np.nan)[()]


def sensitivity(tp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Return tp / (tp + fn), the fraction of slices with tumor that are detected; NaN if none."""
    return ratio(tp, np.asarray(tp) + fn)


def specificity(tn: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Return tn / (tn + fp), the fraction of tumor-free slices labeled tumor-free; NaN if none."""
    return ratio(tn, np.asarray(tn) + fp)


def auroc(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the probability that a slice with tumor scores above one without; ties count 1/2.

    The result is NaN if a class is missing or a probability is NaN.

    >>> auroc([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    0.75
    """
    if np.unique(label).size < 2 or np.isnan(probability).any():
        return float("nan")
    return float(roc_auc_score(label, probability))


def wins(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return how many negatives score below each positive; ties count 1/2: `[P]`, `[Q]` → `[P]`."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    return (below + np.searchsorted(ordered, positive, side="right")) / 2


def cross_entropy(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy of each slice in nats, at most 16.1, `[N]`."""
    label, probability = np.asarray(label, bool), np.asarray(probability, np.float64)
    of_truth = np.where(label, probability, 1 - probability)
    return -np.log(np.clip(of_truth, 1 - MAX_CERTAINTY, MAX_CERTAINTY))


def brier(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the squared error of each probability, `[N]`; its mean is the Brier score."""
    return (np.asarray(probability, np.float64) - np.asarray(label, bool)) ** 2


def equal_mass_bins(probability: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of each slice, `[N]` int from 0.

    Bins hold about equally many slices, and equal probabilities share a bin.

    Source: Nixon et al. 2019, https://arxiv.org/abs/1904.01685
    """
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]) if len(probability) else []
    return np.searchsorted(edges, probability, side="right")


def excess(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return each probability minus its label, `[N]`; their sum over a bin is the bin's error."""
    return np.asarray(probability, np.float64) - np.asarray(label, bool)


def calibration_error(label: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean over equal-mass bins of the difference
    between mean probability and frequency, weighted by slices.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599
    """
    by_bin = np.bincount(equal_mass_bins(probability, bins), weights=excess(label, probability))
    return float(ratio(np.abs(by_bin).sum(), len(label)))


def sweep(label: np.ndarray, probability: np.ndarray) -> Counts:
    """Return the counts at every distinct probability as the threshold, from high to low.

    The first entry belongs to a threshold that no slice reaches, so each array has one entry more
    than there are distinct probabilities.
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    label, probability = np.asarray(label, bool)[order], np.asarray(probability)[order]
    last_of_tie = np.append(np.diff(probability) != 0, True)
    tp = np.append(0, np.cumsum(label)[last_of_tie])
    fp = np.append(0, np.cumsum(~label)[last_of_tie])
    return Counts(tp=tp, fp=fp, fn=tp[-1] - tp, tn=fp[-1] - fp)


def average_precision(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the average precision, without interpolation; NaN without positives."""
    return float(average_precision_score(label, probability)) if np.any(label) else float("nan")


def slice_figures(
    label: np.ndarray, probability: np.ndarray, threshold: float = 0.5
) -> dict[str, float]:
    """Return loss, Dice, AUROC, sensitivity and specificity of N slices, without intervals."""
    counts = count(label, np.asarray(probability) >= threshold)
    return {
        "loss": float(cross_entropy(label, probability).mean()) if len(label) else float("nan"),
        "dice": float(dice(counts.tp, counts.fp, counts.fn)),
        "auroc": auroc(label, probability),
        "sensitivity": float(sensitivity(counts.tp, counts.fn)),
        "specificity": float(specificity(counts.tn, counts.fp)),
    }
