"""Class and mask losses of each slice.

Classes are not weighted, because neither is rare: a third of the slices of LGG and half of those of
BraTS show tumor. Class weights would mostly shift all log-odds by a constant, which the logistic
regression on `valid` (`brainai.evaluation.calibration`) and the threshold would have to undo.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from brainai.model.network import Output

SMOOTH = 1e-3  # smoothing term of the Dice loss, as a fraction of the pixels of a slice


def slice_losses(
    output: Output, labels: Tensor, masks: Tensor, has_mask: Tensor, mask_weight: float
) -> Tensor:
    """Return the class loss of each slice, plus its mask loss if its mask is known.

    Every slice counts the same in the mean over a batch, so that processes can share a batch.

    Args:
        labels: `[N]` int64, 1 = tumor.
        masks: `[N, 1, H, W]` float in [0, 1].
        has_mask: `[N]` bool; False if nobody outlined tumor in the slice.
        mask_weight: weight of the mask loss relative to the class loss.
    Returns:
        `[N]` float32.
    """
    losses = F.cross_entropy(output.logits.float(), labels, reduction="none")
    if output.mask_logits is None:
        return losses
    masked = mask_loss(output.mask_logits.float(), masks)
    return losses + mask_weight * torch.where(has_mask, masked, 0.0)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the binary cross-entropy plus the soft Dice loss of each slice, `[N]`.

    `SMOOTH` keeps the Dice loss meaningful for slices without tumor: falsely outlined pixels cost
    as much as missed ones, and a lesion of a few pixels does not dominate the loss.

    Args:
        logits: `[N, 1, H, W]`.
        masks: `[N, 1, H, W]` float in [0, 1].

    Source: Milletari et al. 2016, https://arxiv.org/abs/1606.04797
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2, 3))
    probability = torch.sigmoid(logits)
    overlap = (probability * masks).sum((1, 2, 3))
    extent = probability.sum((1, 2, 3)) + masks.sum((1, 2, 3))
    smooth = SMOOTH * masks[0].numel()
    return entropy + 1 - (2 * overlap + smooth) / (extent + smooth)
