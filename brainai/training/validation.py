"""Predict `valid` after an epoch, in all processes together."""

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from brainai.data.augment import to_input
from brainai.data.images import MEAN, STD
from brainai.data.store import Store
from brainai.evaluation.score import INSIDE
from brainai.evaluation.valid import ValidScores, calibration_rows, count_shifted
from brainai.model.answer import read_output
from brainai.model.network import BrainNet
from brainai.training.batches import open_loader, split_batches


@torch.inference_mode()
def predict_valid(
    accelerator: Accelerator, network: BrainNet, store: Store, batch_size: int
) -> ValidScores:
    """Return the scores, from FLAIR alone, of the slices of `valid` that are used for calibration.

    Each slice is predicted once, and every process gets the scores of all of them.

    Args:
        network: the network itself, not the wrapper made by Accelerate: processes have different
            numbers of batches, and the wrapper would make them wait for each other.
    """
    network.eval()
    for buffer in network.buffers():  # on CPUs, batch norm statistics differ between processes
        broadcast(buffer)
    batches = split_batches(
        calibration_rows(store.records),
        batch_size,
        accelerator.process_index,
        accelerator.num_processes,
    )
    device = accelerator.device
    scores: list[tuple] = []
    for batch in open_loader(store, batches, on_gpu=device.type == "cuda"):
        planes = batch["planes"].to(device)
        with accelerator.autocast():
            output = network(to_input(planes[:, :1], MEAN, STD))
        class_scores, mask_scores, masks = read_output(output)
        parts = [batch["row"].tolist(), class_scores.tolist()]
        if masks is not None and mask_scores is not None:
            parts += [mask_scores.tolist(), count_shifted(masks, planes[:, -1] >= INSIDE)]
        scores += zip(*parts, strict=True)
    ordered = sorted(gather_object(scores), key=lambda part: part[0])
    rows, class_score, *mask_values = zip(*ordered, strict=True)
    mask_score, counts = map(np.array, mask_values) if mask_values else (None, None)
    records = [store.records[row] for row in rows]
    return ValidScores.of(records, np.array(class_score), mask_score, counts)
