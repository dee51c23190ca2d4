"""The heat map: which places of a slice speak for "Tumor" in the class decision.

A class activation map. Where the head is average pooling and one linear layer, as in the ResNets,
the score is the mean over places of what each place adds to it: nothing is estimated, no gradient
is needed, and the map costs one product.
Source: Zhou et al. 2016, https://arxiv.org/abs/1512.04150
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOLERANCE = 0.01  # of the strongest evidence: rounding stays far below, another head far above
SPOT = 1 / 16  # of the picture: a lesion about a quarter of the brain's width across


def class_evidence(classifier: nn.Module, features: Tensor, logits: Tensor) -> Tensor | None:
    """What every place of the last feature map says for "Tumor" and against "No Tumor".

    Args:
        classifier: a timm model of two classes.
        features: its last feature map `[N, C, h, w]` float.
        logits: `[N, 2]` that its head made of these features.
    Returns:
        `[N, h, w]` log-odds whose mean is the difference of the two logits; None where no such map
        exists because the head is another than average pooling and one linear layer.
    """
    layer = classifier.get_classifier()
    if not isinstance(layer, nn.Linear) or features.shape[1:2] != (layer.in_features,):
        return None
    weight = layer.weight[1] - layer.weight[0]
    evidence = torch.einsum("nchw,c->nhw", features, weight)
    if layer.bias is not None:
        evidence = evidence + (layer.bias[1] - layer.bias[0])
    # A norm or another pooling between map and layer shows here, whatever the head is called.
    error = (evidence.mean(dim=(1, 2)) - (logits[:, 1] - logits[:, 0])).abs()
    exact = error <= TOLERANCE * evidence.abs().amax(dim=(1, 2))
    return evidence if exact.all() else None


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
    range instead, a slice without evidence would glow like one with a tumour.

    Args:
        temperature: of the model, as for its probability.
    """
    return (evidence * (SPOT / (2 * temperature))).tanh().clamp_min(0)
