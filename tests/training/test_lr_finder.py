"""The rate at which the loss falls fastest."""

import math

import pytest

from brainai.training.lr_finder import steepest

RATES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def test_the_rate_of_the_steepest_fall_is_suggested() -> None:
    # Slopes between neighbours, per decade: -0.1, -0.1, -1, -0.2, then it diverges.
    assert steepest(RATES, [2.0, 1.9, 1.8, 0.8, 0.6, 5.0]) in (1e-4, 1e-3)
    assert steepest(RATES, [2.0, 1.9, 1.8, 1.7, 0.5, 5.0]) == 1e-2


def test_a_loss_that_becomes_no_number_is_left_out() -> None:
    assert steepest(RATES, [2.0, 1.9, 0.9, 0.8, math.nan, math.inf]) in (1e-5, 1e-4)


@pytest.mark.parametrize("losses", [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 1.0, 3.0, 4.0, 5.0, 6.0]])
def test_a_loss_that_hardly_falls_suggests_the_lowest_rate(losses: list[float]) -> None:
    assert steepest(RATES, losses) == 1e-6
