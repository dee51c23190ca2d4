"""Calibration on the patients of `valid`, after training and before publication."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from brainai.data.dataset import SliceRecord, read_dataset_info, read_records
from brainai.data.store import open_store
from brainai.evaluation.neighbors import Together, fit_together
from brainai.evaluation.score import INSIDE, choose_device, split_rows
from brainai.evaluation.valid import (
    SPECIFICITY,
    Fitted,
    ValidScores,
    calibration_rows,
    count_shifted,
    fit,
    outlined_pixels,
    probability_of,
)
from brainai.evaluation.whole_scans import Verdict, fit_verdict, gather_scans
from brainai.model.answer import answer
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet

OPERATING_POINT = "best Dice (F1) on validation patients"
SPARING = f"specificity of at least {100 * SPECIFICITY:.0f} % in those without a tumor"


def calibrate(
    network: BrainNet,
    info: ModelInfo,
    dataset_folder: str | Path,
    *,
    device: str | torch.device | None = None,
) -> ModelInfo:
    """Fit the numbers that turn the network's scores into labels, outlines and scan verdicts.

    The mask bias is changed within the network, because training leaves masks too small or too
    large.

    Args:
        device: device to compute on; None takes the GPU if there is one.
    Returns:
        Info with score weights, thresholds, the scan verdict (None unless `valid` holds scans with
        and without a tumor), the numbers for slices of scans, and the hash of the data set. If
        `valid` holds only one class, info and network stay unchanged.
    Raises:
        DataError: there is no data set, or `valid` is empty.
    """
    valid = score_valid(network, info, dataset_folder, device=device)
    if not valid.has_both_classes:
        return info
    fitted = fit(valid)
    if fitted.mask_shift and network.decoder is not None:
        with torch.no_grad():
            network.decoder.mask.bias += fitted.mask_shift
        network.half().float()  # rounded, because the weights are stored in float16
        valid = score_valid(network, info, dataset_folder, device=device)
        fitted = fit(valid, shift=0.0)
    records = read_records(dataset_folder)
    fitted_records = [records[row] for row in calibration_rows(records)]
    verdict, together = fit_scans(valid, fitted, fitted_records, dataset_folder, info.image_size)
    return replace(
        info,
        score_weights=fitted.score_weights,
        threshold=fitted.thresholds.operating,
        sensitive_threshold=fitted.thresholds.sensitive,
        youden_threshold=fitted.thresholds.youden,
        operating_point=f"{OPERATING_POINT}, {SPARING}"
        if valid.tumor_free.any()
        else OPERATING_POINT,
        scan_weights=None if verdict is None else verdict.scan_weights,
        scan_threshold=None if verdict is None else verdict.scan_threshold,
        neighbor_weights=None if together is None else together.neighbor_weights,
        neighbor_threshold=None if together is None else together.neighbor_threshold,
        calibration_hash=read_dataset_info(dataset_folder)["content_hash"],
    )


def fit_scans(
    valid: ValidScores,
    fitted: Fitted,
    records: Sequence[SliceRecord],
    dataset_folder: str | Path,
    image_size: int,
) -> tuple[Verdict | None, Together | None]:
    """Fit the scan verdict, and the labels of slices of scans, to the calibrated slices of `valid`.

    Args:
        records: the records of the slices of `valid`, in the same order.
    Returns:
        The verdict, or None unless there are scans with and without a tumor; and the numbers of
        `fit_together`.
    """
    probability = probability_of(valid, fitted.mask_shift, fitted.score_weights)
    outlined = outlined_pixels(valid, fitted.mask_shift)
    scans = gather_scans(dataset_folder, records, probability, outlined, image_size)
    return fit_verdict(scans), fit_together(valid, records, probability)


def score_valid(
    network: BrainNet,
    info: ModelInfo,
    dataset_folder: str | Path,
    batch_size: int = 16,
    device: str | torch.device | None = None,
) -> ValidScores:
    """Return the scores, from FLAIR alone, of the slices of `valid` that are used for calibration.

    Args:
        device: device to compute on; None takes the GPU if there is one.
    Raises:
        DataError: there is no data set, or `valid` is empty.
    """
    store = open_store(dataset_folder, info.image_size)
    split_rows(store, "valid", dataset_folder)
    rows = calibration_rows(store.records)
    device = choose_device(device)
    network = network.to(device, memory_format=torch.channels_last).eval()
    classes, masks, counts = [], [], []
    for start in range(0, len(rows), batch_size):
        planes = torch.from_numpy(store.read(rows[start : start + batch_size])).to(device)
        answers = answer(network, info, planes[:, :1])
        classes.append(answers.class_scores.cpu().numpy())
        if answers.mask_logits is not None:
            masks.append(answers.mask_scores.cpu().numpy())
            counts.append(count_shifted(answers.mask_logits, planes[:, -1] >= INSIDE))
    return ValidScores.of(
        [store.records[row] for row in rows],
        np.concatenate(classes),
        np.concatenate(masks) if masks else None,
        np.concatenate(counts) if counts else None,
    )
