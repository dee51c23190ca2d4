"""From scores to a probability, worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from brainai.model.answer import Answer, answer, combine, score_masks
from brainai.model.folder import ModelInfo
from brainai.model.network import Output, build_network


class Says(nn.Module):
    """A network that gives the same output for every slice."""

    def __init__(self, output: Output):
        super().__init__()
        self.output = output

    def forward(self, images: torch.Tensor) -> Output:
        return self.output


def test_the_mask_score_is_the_mean_of_its_highest_pixels() -> None:
    masks = torch.full((1, 100, 100), -9.0)
    masks[0, 3, 5:25] = 6.0  # a fifth of a percent: just the 20 pixels that count
    masks[0, 3, 5:15] = 2.0
    assert score_masks(masks).tolist() == pytest.approx([4.0])


def test_the_mask_score_of_a_tiny_slice_is_its_highest_pixel() -> None:
    assert score_masks(torch.tensor([[[-3.0, 1.0], [0.5, -2.0]]])).tolist() == [1.0]


def test_class_and_mask_scores_are_combined_by_their_weights() -> None:
    scores = combine(torch.tensor([2.0]), torch.tensor([-4.0]), (0.5, 0.25, 1.0))
    assert scores.tolist() == [1.0]  # 1 - 1 + 1


def test_without_a_decoder_only_the_class_score_counts() -> None:
    assert combine(torch.tensor([2.0]), None, (0.5, 0.25, 1.0)).tolist() == [2.0]


def test_a_lesion_that_only_the_mask_sees_moves_the_probability() -> None:
    seen = torch.full((1, 1, 32, 32), 3.0)
    network = Says(Output(torch.tensor([[1.0, 0.0]]), seen))  # the class says no: log-odds -1
    info = ModelInfo(image_size=32, score_weights=(0.5, 0.5, 0.0))
    found = answer(network, info, torch.zeros(1, 1, 32, 32))
    # (-1 + 3) * 0.5 = 1
    assert found.probabilities.tolist() == pytest.approx([1 / (1 + math.exp(-1))])
    alone = answer(network, ModelInfo(image_size=32), torch.zeros(1, 1, 32, 32))
    assert alone.probabilities.tolist() == pytest.approx([1 / (1 + math.exp(1))])


def test_without_a_decoder_there_is_no_mask_and_no_mask_score() -> None:
    network = Says(Output(torch.tensor([[0.0, 0.0]]), None))
    found = answer(network, ModelInfo(image_size=32), torch.zeros(1, 1, 32, 32))
    assert found.mask_logits is None
    assert found.mask_scores is None
    assert found.masks() is None
    assert found.probabilities.tolist() == [0.5]


def test_masks_are_probabilities_and_heat_follows_the_weight_of_the_class() -> None:
    logits = torch.tensor([[[0.0, math.log(3)]]])
    evidence = torch.tensor([[[-5.0, 16 * math.log(3)]]])  # heat 1/2, see test_cam.py
    found = Answer(torch.zeros(1), torch.zeros(1), None, logits, evidence)
    np.testing.assert_allclose(found.masks(), [[[0.5, 0.75]]], rtol=1e-6)
    np.testing.assert_allclose(found.heatmaps(1.0), [[[0.0, 0.5]]], rtol=1e-6)
    # A weight of 0.5 halves the evidence: tanh(ln 3 / 4) = (√3 - 1) / (√3 + 1)
    expected = (math.sqrt(3) - 1) / (math.sqrt(3) + 1)
    np.testing.assert_allclose(found.heatmaps(0.5), [[[0.0, expected]]], rtol=1e-6)


def test_explaining_does_not_change_the_answer() -> None:
    torch.manual_seed(0)
    network = build_network("test_resnet").eval()
    info, images = ModelInfo(image_size=64), torch.rand(2, 3, 64, 64)
    plain, explained = answer(network, info, images), answer(network, info, images, explain=True)
    assert torch.equal(plain.probabilities, explained.probabilities)
    assert plain.evidence is None
    assert plain.heatmaps(1.0) is None
    assert explained.evidence.shape == (2, 64, 64)
