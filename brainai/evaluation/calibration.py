"""What is fitted on the patients of `valid`, after training and before anything is published."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from brainai.data.dataset import SliceRecord
from brainai.data.store import open_store
from brainai.evaluation.metrics import dice
from brainai.evaluation.score import INSIDE, choose_device, split_rows
from brainai.model.answer import Answer, answer
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet

SHIFTS = np.arange(-2, 2.01, 0.25)  # of mask logits


def fit_mask_bias(network: BrainNet, info: ModelInfo, dataset_folder: str | Path) -> float:
    """Move the mask's logits so that the mean Dice of the patients of `valid` is highest, FLAIR
    alone: training leaves masks too small or too large. Every source counts alike, since each
    outlines in its own way, and the larger one would decide for all.

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


def fit_score_weights(
    network: BrainNet, info: ModelInfo, dataset_folder: str | Path
) -> tuple[float, float, float]:
    """How class and mask count together: logistic regression on `valid`, FLAIR alone.

    Returns:
        Weights for `answer.combine`; those of the class alone without a decoder, or where `valid`
        holds one class only.
    Raises:
        DataError: no data set, or `valid` is empty.
    """
    if network.decoder is None:
        return ModelInfo.score_weights
    labels, scores = [], []
    for records, found, _ in _answers(network, info, dataset_folder):
        labels += [record.label for record in records]
        scores.append(torch.stack([found.class_scores, found.mask_scores], dim=1).cpu())
    if len(set(labels)) < 2:
        return ModelInfo.score_weights
    fitted = LogisticRegression().fit(torch.cat(scores).numpy(), labels)
    of_class, of_mask = fitted.coef_[0].tolist()
    return round(of_class, 4), round(of_mask, 4), round(float(fitted.intercept_[0]), 4)


def _answers(
    network: BrainNet, info: ModelInfo, dataset_folder: str | Path, batch_size: int = 16
) -> Iterator[tuple[list[SliceRecord], Answer, torch.Tensor]]:
    """Records, answers and true masks `[n, S, S]` bool of `valid`, batch by batch.

    Of real patients where there are any: what is fitted on phantoms suits phantoms.
    """
    store = open_store(dataset_folder, info.image_size)
    rows = split_rows(store, "valid", dataset_folder)
    real = [row for row in rows if store.records[row].source != "phantom"]
    rows = real or rows
    device = choose_device(None)
    network = network.to(device, memory_format=torch.channels_last).eval()
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        planes = torch.from_numpy(store.read(batch)).to(device)
        records = [store.records[row] for row in batch]
        yield records, answer(network, info, planes[:, :1]), planes[:, -1] >= INSIDE
