"""The arithmetic of the heat map, and the positions in a ResNet's last feature map."""

import math

import pytest
import torch
from torch import nn

from brainai.model.cam import class_evidence, heat, place
from brainai.model.network import BrainNet, build_network


class TwoChannels(nn.Module):
    """Pooling and one linear layer: scores (a, 3b + 1) for pooled channels a and b."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.fc = nn.Linear(2, 2)
        self.fc.weight.data = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
        self.fc.bias.data = torch.tensor([0.0, 1.0])

    def get_classifier(self) -> nn.Linear:
        return self.fc

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(features).flatten(1))


FEATURES = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 8.0]]]])  # means 1 and 2


def test_evidence_is_tumor_minus_no_tumor_and_its_mean_is_the_decision() -> None:
    classifier = TwoChannels(nn.AdaptiveAvgPool2d(1))
    evidence = class_evidence(classifier, FEATURES)
    assert evidence.tolist() == [[[-3.0, 1.0], [1.0, 25.0]]]  # their mean is 6
    assert classifier.forward_head(FEATURES).tolist() == [[1.0, 7.0]]  # 7 - 1


def test_another_pooling_gives_no_map() -> None:
    assert class_evidence(TwoChannels(nn.AdaptiveMaxPool2d(1)), FEATURES) is None


def test_half_precision_features_give_float32_evidence() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        evidence = class_evidence(TwoChannels(nn.AdaptiveAvgPool2d(1)), FEATURES.bfloat16())
    assert evidence.dtype == torch.float32
    assert evidence.tolist() == [[[-3.0, 1.0], [1.0, 25.0]]]


@pytest.mark.parametrize(
    ("architecture", "exact"), [("test_resnet", True), ("test_convnext", False)]
)
def test_a_norm_before_the_linear_layer_prevents_an_exact_map(architecture, exact) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, decoder=False).eval()
    images = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        output, evidence = network.explain(images)
        assert torch.equal(output.logits, network(images).logits)
    assert (evidence is not None) == exact
    if exact:
        assert evidence.shape == (2, 96, 64)


def test_features_are_placed_at_multiples_of_the_stride_and_fade_at_the_end() -> None:
    pixels = place(torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 8.0]]]), 4, (8, 12))[0]
    assert pixels.shape == (8, 12)
    assert pixels[4].tolist() == [0, 0, 0, 0, 0, 2, 4, 6, 8, 6, 4, 2]
    assert pixels[:, 8].tolist() == [0, 2, 4, 6, 8, 6, 4, 2]


def test_heat_is_the_effect_that_a_single_spot_would_have() -> None:
    # 16 ln 3 on a sixteenth of the picture are log-odds of ln 3: a probability of 3/4, heat 1/2.
    evidence = torch.tensor([-50.0, 0.0, 16 * math.log(3), 1e4])
    assert heat(evidence).tolist() == pytest.approx([0, 0, 0.5, 1])
    assert heat(2 * evidence, weight=0.5).tolist() == pytest.approx([0, 0, 0.5, 1])


def see_through(network: BrainNet) -> None:
    """Let every convolution copy the pixel under its middle, so that nothing spreads."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            height, width = module.kernel_size
            module.weight.data.zero_()
            module.weight.data[:, :, height // 2, width // 2] = 1 / module.in_channels
    linear = network.classifier.get_classifier()
    linear.weight.data = torch.tensor([[0.0], [1.0]]).expand(linear.weight.shape).clone()
    linear.bias.data.zero_()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (32, 96), (96, 64)])
def test_the_evidence_of_a_resnet_lies_on_the_pixel_it_came_from(row: int, column: int) -> None:
    network = build_network("resnet18", decoder=False).eval()
    see_through(network)
    image = torch.zeros(1, 3, 128, 160)
    image[:, :, row, column] = 1.0
    with torch.inference_mode():
        evidence = network.explain(image)[1][0]
    assert evidence.max() > 0
    assert divmod(int(evidence.argmax()), 160) == (row, column)
