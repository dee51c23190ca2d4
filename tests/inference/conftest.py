"""A network whose answer can be worked out by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from brainai.inference.classifier import Classifier
from brainai.model.folder import ModelInfo
from brainai.model.network import Output


class PlainNetwork(nn.Module):
    """Tumor logit = `gain` × mean of the FLAIR channel; the mask covers pixels brighter than 0.5.

    Each pixel's evidence is thus `gain` × its FLAIR value.
    """

    def __init__(self, gain: float, decoder: bool):
        super().__init__()
        self.gain = gain
        self.decoder = decoder
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Output:
        self.seen.append(images)
        tumor = self.gain * images[:, 0].mean(dim=(1, 2))
        mask_logits = 20 * (images[:, :1] - 0.5) if self.decoder else None
        return Output(torch.stack([torch.zeros_like(tumor), tumor], dim=1), mask_logits)

    def explain(self, images: Tensor) -> tuple[Output, Tensor]:
        return self(images), self.gain * images[:, 0]


@pytest.fixture
def plain() -> Callable[..., tuple[Classifier, PlainNetwork]]:
    """Makes a classifier over a `PlainNetwork` without normalization, and gives both."""

    def make(gain: float = 1.0, decoder: bool = True, **values) -> tuple[Classifier, PlainNetwork]:
        info = ModelInfo(
            **{"image_size": 32, "mean": (0.0,) * 3, "std": (1.0,) * 3, "revision": "r1"} | values
        )
        network = PlainNetwork(gain, decoder)
        return Classifier(network, info), network

    return make
