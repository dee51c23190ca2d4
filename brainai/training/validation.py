"""What the network says of `valid` after an epoch, from all processes together."""

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from brainai.data.augment import to_input
from brainai.data.images import MEAN, STD
from brainai.data.store import Store
from brainai.evaluation.score import INSIDE
from brainai.evaluation.valid import ValidScores, count_shifted, voters
from brainai.model.answer import read_output
from brainai.model.network import BrainNet
from brainai.training.batches import open_loader, split_batches


@torch.inference_mode()
def predict_valid(
    accelerator: Accelerator, network: BrainNet, store: Store, batch_size: int
) -> ValidScores:
    """Scores, from FLAIR alone, of every slice of `valid` that has a say, once, in every process.

    Args:
        network: not what Accelerate wrapped: parts are uneven, so that none may wait for another.
    """
    network.eval()
    for buffer in network.buffers():  # of batch norm: on CPUs each process has its own
        broadcast(buffer)
    batches = split_batches(
        voters(store.records),
        batch_size,
        accelerator.process_index,
        accelerator.num_processes,
    )
    device = accelerator.device
    found = []
    for batch in open_loader(store, batches, on_gpu=device.type == "cuda"):
        planes = batch["planes"].to(device)
        with accelerator.autocast():
            output = network(to_input(planes[:, :1], MEAN, STD))
        class_scores, mask_scores, masks = read_output(output)
        parts = [batch["row"].tolist(), class_scores.tolist()]
        if masks is not None:
            parts += [mask_scores.tolist(), count_shifted(masks, planes[:, -1] >= INSIDE)]
        found += zip(*parts, strict=True)
    ordered = sorted(gather_object(found), key=lambda part: part[0])
    rows, class_score, *of_masks = zip(*ordered, strict=True)
    mask_score, counts = map(np.array, of_masks) if of_masks else (None, None)
    records = [store.records[row] for row in rows]
    return ValidScores.of(records, np.array(class_score), mask_score, counts)
