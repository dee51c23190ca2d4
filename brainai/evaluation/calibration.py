"""What is fitted on the patients of `valid`, after training and before anything is published.

Real patients where there are any: what is fitted on phantoms suits phantoms. Every source counts
alike, since each outlines in its own way, and the larger one would decide for all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from brainai.data.dataset import SliceRecord, read_info
from brainai.data.store import Store, open_store
from brainai.evaluation.metrics import dice
from brainai.evaluation.score import INSIDE, choose_device, split_rows
from brainai.model.answer import Answer, answer, combine
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet

SHIFTS = np.arange(-2, 2.01, 0.25)  # of mask logits
SENSITIVITY = 0.95  # at least, at the operating point
LEAST_TEMPERATURE = 0.01  # scores that part the classes without an error would ask for none
OPERATING_POINT = f"sensitivity of at least {100 * SENSITIVITY:.0f} % on validation patients"


@dataclass(frozen=True)
class ValidScores:
    """What the network says of the N slices of `valid`, from FLAIR alone; arrays `[N]`."""

    label: np.ndarray  # int, 1 = tumour
    weight: np.ndarray  # float64: every source weighs alike, 1 a slice on the average
    class_score: np.ndarray  # float64, log-odds
    mask_score: np.ndarray | None  # float64; None without a decoder

    def log_odds(self, info: ModelInfo) -> np.ndarray:
        """Class and mask joined, before the temperature."""
        masks = None if self.mask_score is None else torch.from_numpy(self.mask_score)
        return combine(torch.from_numpy(self.class_score), masks, info.score_weights).numpy()


def calibrate(network: BrainNet, info: ModelInfo, dataset_folder: str | Path) -> ModelInfo:
    """Fit all that makes a label of the network's scores; the mask's bias within the network.

    Returns:
        Info with score weights, temperature, threshold, the Youden point, and what they were
        fitted on; unchanged, as the network is, where `valid` holds one class only.
    Raises:
        DataError: no data set, or `valid` is empty.
    """
    store, rows = _rows(info, dataset_folder)
    if len({store.records[row].label for row in rows}) < 2:
        return info
    fit_mask_bias(network, info, dataset_folder)
    valid = score_valid(network, info, dataset_folder)
    info = replace(info, score_weights=fit_score_weights(valid))
    scores = valid.log_odds(info)
    info = replace(info, temperature=fit_temperature(scores, valid))
    probability = 1 / (1 + np.exp(-scores / info.temperature))
    sensitive, youden = find_thresholds(probability, valid)
    return replace(
        info,
        threshold=sensitive,
        youden_threshold=youden,
        operating_point=OPERATING_POINT,
        calibration_hash=read_info(dataset_folder)["content_hash"],
    )


def fit_mask_bias(network: BrainNet, info: ModelInfo, dataset_folder: str | Path) -> float:
    """Move the mask's logits so that the mean Dice of the patients of `valid` is highest, FLAIR
    alone: training leaves masks too small or too large.

    Returns:
        What was added to the bias of the decoder's last layer; 0 without a decoder, or without a
        patient with a known mask.
    Raises:
        DataError: no data set, or `valid` is empty.
    """
    if network.decoder is None:
        return 0.0
    counts: dict[tuple[str, str], np.ndarray] = {}  # of source and patient, `[shifts, 3]`
    for records, found, truth in _answers(network, info, dataset_folder):
        for record, logits, inside in zip(records, found.mask_logits, truth, strict=True):
            if record.has_mask:
                claimed = [logits > -shift for shift in SHIFTS]
                pixels = [
                    [int(part.sum()) for part in (inside & c, ~inside & c, inside & ~c)]
                    for c in claimed
                ]
                whose = record.source, record.patient_id
                counts[whose] = counts.get(whose, 0) + np.array(pixels)
    dices: dict[str, list[np.ndarray]] = {}  # of each source, one of every shift for each patient
    for (source, _), patient in counts.items():
        tp, fp, fn = patient.T
        if tp[0] + fn[0] > 0:
            dices.setdefault(source, []).append(dice(tp, fp, fn))
    if not dices:
        return 0.0
    mean_dice = np.mean([np.mean(patients, axis=0) for patients in dices.values()], axis=0)
    shift = float(SHIFTS[mean_dice.argmax()])
    with torch.no_grad():
        network.decoder.mask.bias += shift
    return shift


def score_valid(network: BrainNet, info: ModelInfo, dataset_folder: str | Path) -> ValidScores:
    """Scores of the slices of `valid`, FLAIR alone."""
    records: list[SliceRecord] = []
    classes, masks = [], []
    for batch, found, _ in _answers(network, info, dataset_folder):
        records += batch
        classes.append(found.class_scores.cpu().numpy())
        if found.mask_scores is not None:
            masks.append(found.mask_scores.cpu().numpy())
    _, source, slices = np.unique(
        [record.source for record in records], return_inverse=True, return_counts=True
    )
    return ValidScores(
        label=np.array([record.label for record in records]),
        weight=(len(records) / len(slices) / slices)[source],
        class_score=np.concatenate(classes),
        mask_score=np.concatenate(masks) if masks else None,
    )


def fit_score_weights(valid: ValidScores) -> tuple[float, float, float]:
    """How class and mask count together, for `answer.combine`: logistic regression. Without a
    decoder the class counts alone."""
    if valid.mask_score is None:
        return ModelInfo.score_weights
    both = np.stack([valid.class_score, valid.mask_score], axis=1)
    fitted = LogisticRegression().fit(both, valid.label, sample_weight=valid.weight)
    of_class, of_mask = fitted.coef_[0].tolist()
    return round(of_class, 4), round(of_mask, 4), round(float(fitted.intercept_[0]), 4)


def fit_temperature(scores: np.ndarray, valid: ValidScores) -> float:
    """What log-odds `[N]` are divided by so that cross-entropy is lowest (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599); 1 where they say nothing or the contrary."""
    fitted = LogisticRegression(C=np.inf, fit_intercept=False)
    slope = fitted.fit(scores[:, None], valid.label, sample_weight=valid.weight).coef_.item()
    return max(round(1 / slope, 4), LEAST_TEMPERATURE) if slope > 0.01 else 1.0


def find_thresholds(probability: np.ndarray, valid: ValidScores) -> tuple[float, float]:
    """The highest threshold at which `SENSITIVITY` is reached, both with slices counting alike and
    with sources, and the Youden point: where sensitivity + specificity is highest (Youden 1950,
    https://doi.org/10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3)."""
    order = np.argsort(-probability, kind="stable")
    label, weight, probability = valid.label[order] == 1, valid.weight[order], probability[order]
    sensitivity, of_slices = (np.cumsum(w * label) / (w * label).sum() for w in (weight, 1.0))
    false = np.cumsum(weight * ~label) / (weight * ~label).sum()
    # Only the last of equal probabilities is a threshold; it lies half-way to the next lower one.
    last = np.append(np.diff(probability) != 0, True)
    levels = (probability + np.append(probability[1:], 0)) / 2
    enough = np.minimum(sensitivity, of_slices)[last] >= SENSITIVITY - 1e-9
    sensitive = levels[last][np.argmax(enough)]
    youden = levels[last][np.argmax((sensitivity - false)[last])]
    return _down(sensitive), _down(youden)


def _down(level: float) -> float:
    """Six decimals, rounded so that what lies at the level still reaches it."""
    return math.floor(level * 1e6) / 1e6


def _rows(info: ModelInfo, dataset_folder: str | Path) -> tuple[Store, np.ndarray]:
    """The store, and the rows of `valid`: of real patients where there are any."""
    store = open_store(dataset_folder, info.image_size)
    rows = split_rows(store, "valid", dataset_folder)
    real = [row for row in rows if store.records[row].source != "phantom"]
    return store, np.array(real or rows, np.intp)


def _answers(
    network: BrainNet, info: ModelInfo, dataset_folder: str | Path, batch_size: int = 16
) -> Iterator[tuple[list[SliceRecord], Answer, torch.Tensor]]:
    """Records, answers and true masks `[n, S, S]` bool of `valid`, batch by batch."""
    store, rows = _rows(info, dataset_folder)
    device = choose_device(None)
    network = network.to(device, memory_format=torch.channels_last).eval()
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        planes = torch.from_numpy(store.read(batch)).to(device)
        records = [store.records[row] for row in batch]
        yield records, answer(network, info, planes[:, :1]), planes[:, -1] >= INSIDE
