"""Losses worked out by hand."""

import math

import pytest
import torch

from brainai.model.network import Output
from brainai.training.losses import mask_loss, slice_losses


def test_an_undecided_mask_costs_ln_2_plus_its_dice_loss() -> None:
    logits = torch.zeros(1, 1, 2, 2)  # probability one half everywhere
    masks = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # overlap 0.5, extent 2 + 1, smoothed by a thousandth of 4 pixels:
    # Dice loss 1 - (2 * 0.5 + 0.004) / (3 + 0.004) = 2 / 3.004
    assert mask_loss(logits, masks).item() == pytest.approx(math.log(2) + 2 / 3.004)


def test_a_false_outline_costs_dice_loss_if_there_is_no_tumor() -> None:
    no_tumor = torch.zeros(1, 1, 2, 2)
    # overlap 0, extent 2: Dice loss 1 - 0.004 / 2.004 = 2 / 2.004
    undecided = mask_loss(torch.zeros(1, 1, 2, 2), no_tumor).item()
    assert undecided == pytest.approx(math.log(2) + 2 / 2.004)
    assert mask_loss(torch.full((1, 1, 2, 2), -20.0), no_tumor).item() == pytest.approx(0, abs=1e-5)


def test_a_slice_with_an_unknown_mask_trains_only_the_class() -> None:
    output = Output(torch.zeros(2, 2), torch.zeros(2, 1, 2, 2))
    losses = slice_losses(
        output, torch.tensor([1, 1]), torch.ones(2, 1, 2, 2), torch.tensor([True, False]), 1.0
    )
    assert losses[1].item() == pytest.approx(math.log(2))
    # known mask: + ln 2 + Dice loss 1 - (2 * 2 + 0.004) / (2 + 4 + 0.004) = 2 / 6.004
    assert losses[0].item() == pytest.approx(2 * math.log(2) + 2 / 6.004)


def test_without_a_decoder_only_the_class_counts() -> None:
    losses = slice_losses(
        Output(torch.zeros(1, 2), None),
        torch.tensor([0]),
        torch.ones(1, 1, 2, 2),
        torch.tensor([True]),
        1.0,
    )
    assert losses.item() == pytest.approx(math.log(2))


def test_the_mask_loss_counts_by_its_weight() -> None:
    output = Output(torch.zeros(1, 2), torch.zeros(1, 1, 2, 2))
    truth = torch.tensor([1]), torch.ones(1, 1, 2, 2), torch.tensor([True])
    # ln 2 of the class, and half of ln 2 + 2 / 6.004 as above
    expected = 1.5 * math.log(2) + 1 / 6.004
    assert slice_losses(output, *truth, 0.5).item() == pytest.approx(expected)
