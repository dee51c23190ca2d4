"""The heat map, which shows the places of a slice that speak for "Tumor" in the class decision.

It is a class activation map. If the head is average pooling and one linear layer, as in a ResNet,
the score is exactly the mean of the contributions of all places. The map then needs no estimate and
no gradient, and costs one matrix product.
Source: Zhou et al. 2016, https://arxiv.org/abs/1512.04150
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPOT = 1 / 16  # of the picture: a lesion of about a quarter of the brain's width


def class_evidence(classifier: nn.Module, features: Tensor) -> Tensor | None:
    """Return the evidence of each place of the last feature map for "Tumor" against "No Tumor".

    Args:
        classifier: a timm model with two classes.
        features: its last feature map, `[N, C, h, w]` float of any precision.
    Returns:
        `[N, h, w]` float32 log-odds whose mean is the difference of the two logits, or None if the
        head is not average pooling and one linear layer.
    """
    layer = classifier.get_classifier()
    if not isinstance(layer, nn.Linear) or features.shape[1:2] != (layer.in_features,):
        return None
    with torch.autocast(features.device.type, enabled=False):
        # The probe detects a norm or another pooling before the layer.
        probe = torch.linspace(0, 3, 6 * layer.in_features, device=features.device)
        probe = probe.view(1, layer.in_features, 2, 3)
        logits = classifier.forward_head(probe)[0]
        evidence = _weigh(layer, probe)
        if (evidence.mean() - (logits[1] - logits[0])).abs() > 1e-3 * evidence.abs().max():
            return None
        return _weigh(layer, features.float())


def _weigh(layer: nn.Linear, features: Tensor) -> Tensor:
    evidence = torch.einsum("nchw,c->nhw", features, layer.weight[1] - layer.weight[0])
    return evidence if layer.bias is None else evidence + (layer.bias[1] - layer.bias[0])


def place(evidence: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Interpolate the evidence of places `[N, h, w]` bilinearly to pixels, `[N, H, W]`.

    With strided convolutions of odd width and equal padding on both sides, as in a ResNet, the
    middle of place i is at pixel `stride * i`. If the map were enlarged like a picture, it would be
    half a place too far to the right and down. Beyond the last place the evidence fades to zero.

    Args:
        stride: pixels per place.
        size: height and width of the picture.
    """
    reach = [length * stride + 1 for length in evidence.shape[-2:]]
    framed = F.pad(evidence[:, None], (0, 1, 0, 1))
    pixels = F.interpolate(framed, size=reach, mode="bilinear", align_corners=True)
    return pixels[:, 0, : size[0], : size[1]]


def heat(evidence: Tensor, weight: float = 1.0) -> Tensor:
    """Turn evidence in log-odds into heat in [0, 1], on the same scale for all places and slices.

    If a spot of a sixteenth of the picture had the evidence of this place, it would alone move a
    probability of one half to p. Heat is then 2p - 1, and 0 if the probability would fall. With a
    scale of its own, a slice without evidence would glow like a slice with a tumor.

    Args:
        weight: factor of the class score in the log-odds of the probability.
    """
    return (evidence * (SPOT * weight / 2)).tanh().clamp_min(0)
