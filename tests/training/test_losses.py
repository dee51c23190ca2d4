"""Losses worked by hand."""

import math

import pytest
import torch

from brainai.model.network import Output
from brainai.training.losses import mask_loss, slice_losses


def test_an_undecided_mask_costs_ln2_and_its_dice() -> None:
    logits = torch.zeros(1, 1, 2, 2)  # probability one half everywhere
    masks = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # overlap 0.5, extent 2 + 1; Dice loss 1 - (2 * 0.5 + 1) / (3 + 1) = 0.5
    assert mask_loss(logits, masks).item() == pytest.approx(math.log(2) + 0.5)


def test_dice_does_not_count_where_there_is_no_tumour() -> None:
    assert mask_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).item() == pytest.approx(
        math.log(2)
    )


def test_an_unknown_mask_trains_the_class_alone() -> None:
    output = Output(torch.zeros(2, 2), torch.zeros(2, 1, 2, 2))
    losses = slice_losses(
        output, torch.tensor([1, 1]), torch.ones(2, 1, 2, 2), torch.tensor([True, False]), 1.0
    )
    assert losses[1].item() == pytest.approx(math.log(2))
    # known mask: + ln 2 + Dice loss 1 - (2 * 2 + 1) / (2 + 4 + 1) = 2 / 7
    assert losses[0].item() == pytest.approx(2 * math.log(2) + 2 / 7)


def test_without_a_decoder_only_the_class_counts() -> None:
    losses = slice_losses(
        Output(torch.zeros(1, 2), None),
        torch.tensor([0]),
        torch.ones(1, 1, 2, 2),
        torch.tensor([True]),
        1.0,
    )
    assert losses.item() == pytest.approx(math.log(2))
