"""The heat map: which places of a slice speak for "Tumor" in the class decision.

A class activation map. Where the head is average pooling and one linear layer, as in the ResNets,
the score is the mean over places of what each place adds to it: nothing is estimated, no gradient
is needed, and the map costs one product.
Source: Zhou et al. 2016, https://arxiv.org/abs/1512.04150
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPOT = 1 / 16  # of the picture: a lesion about a quarter of the brain's width across


def class_evidence(classifier: nn.Module, features: Tensor) -> Tensor | None:
    """What every place of the last feature map says for "Tumor" and against "No Tumor".

    Args:
        classifier: a timm model of two classes.
        features: its last feature map, `[N, C, h, w]` float of any precision.
    Returns:
        `[N, h, w]` float32 log-odds whose mean is the difference of the two logits; None where no
        such map exists because the head is another than average pooling and one linear layer.
    """
    layer = classifier.get_classifier()
    if not isinstance(layer, nn.Linear) or features.shape[1:2] != (layer.in_features,):
        return None
    with torch.autocast(features.device.type, enabled=False):
        # A norm or another pooling before the layer shows here, whatever the head is called.
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
    """Evidence of places `[N, h, w]` → of pixels `[N, H, W]`, bilinear between the places.

    Where strided convolutions are of odd width and padded alike on both sides, as in the ResNets,
    place i has its middle on pixel `stride * i`. Enlarged as a picture is, the map would lie half a
    place too far right and down. Beyond the last place evidence fades, as there is none to come.
    """
    reach = [length * stride + 1 for length in evidence.shape[-2:]]
    framed = F.pad(evidence[:, None], (0, 1, 0, 1))
    pixels = F.interpolate(framed, size=reach, mode="bilinear", align_corners=True)
    return pixels[:, 0, : size[0], : size[1]]


def heat(evidence: Tensor, temperature: float = 1.0) -> Tensor:
    """Evidence in log-odds → heat in [0, 1], on a scale that no other place moves.

    A spot of a sixteenth of the picture, all like this place, would by itself bring a probability
    of one half to p: heat is 2p - 1, and 0 where it would lower it. Stretched to each slice's own
    range instead, a slice without evidence would glow like one with a tumor.

    Args:
        temperature: of the model, as for its probability.
    """
    return (evidence * (SPOT / (2 * temperature))).tanh().clamp_min(0)
