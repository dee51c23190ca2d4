"""Class and mask losses, slice by slice.

Classes are not weighted. None is rare: tumor shows in a third of LGG's slices and in half of
BraTS's. Weights would mostly shift all log-odds by a constant, which the logistic regression on
`valid` (`brainai.evaluation.calibration`) would have to take back, as would the threshold.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from brainai.model.network import Output

SMOOTH = 1e-3  # of the slice's pixels


def slice_losses(
    output: Output, labels: Tensor, masks: Tensor, has_mask: Tensor, mask_weight: float
) -> Tensor:
    """Class loss plus, where the mask is known, mask loss of each slice, `[N]`.

    The mean over a batch is its loss: every slice weighs the same, so that processes may split it.

    Args:
        labels: `[N]` int64, 1 = tumor.
        masks: `[N, 1, H, W]` float in [0, 1].
        has_mask: `[N]` bool; False where tumor was never outlined.
    """
    losses = F.cross_entropy(output.logits.float(), labels, reduction="none")
    if output.mask_logits is None:
        return losses
    masked = mask_loss(output.mask_logits.float(), masks)
    return losses + mask_weight * torch.where(has_mask, masked, 0.0)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice loss per slice, `[N]`.

    `SMOOTH` gives the Dice part a meaning without tumor too: falsely outlined pixels cost as much
    as missed ones, and a lesion of a few pixels does not decide everything.
    Source: Milletari et al. 2016, https://arxiv.org/abs/1606.04797
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2, 3))
    probability = torch.sigmoid(logits)
    overlap = (probability * masks).sum((1, 2, 3))
    extent = probability.sum((1, 2, 3)) + masks.sum((1, 2, 3))
    smooth = SMOOTH * masks[0].numel()
    return entropy + 1 - (2 * overlap + smooth) / (extent + smooth)
