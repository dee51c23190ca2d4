"""The verdict on a whole scan, worked out by hand."""

import math

import numpy as np
import pytest

from brainai.model.scan_verdict import (
    judge_slices,
    judge_together,
    neighbor_log_odds,
    scan_features,
    scan_probability,
)

NAN = np.nan


def of_odds(*odds: float) -> np.ndarray:
    """The probabilities with these odds; NaN stays NaN."""
    return np.array([value / (1 + value) for value in odds])


@pytest.mark.parametrize(
    ("slices", "step", "expected"),
    [
        ([0.1, 0.9, 0.1, 0.2], 5.0, 0.1),  # one slice alone decides nothing
        ([0.1, 0.9, 0.8, 0.2], 5.0, 0.8),  # two of 5 mm do
        ([0.2, 0.9, 0.9, 0.9, 0.9, 0.2], 1.0, 0.2),  # four of 1 mm do not
        ([0.2, 0.9, 0.7, 0.9, 0.9, 0.8], 1.0, 0.7),  # five do
        ([0.2, 0.9, 0.8, 0.2], 7.0, 0.8),  # two at least, however thick
        ([0.9, NAN, 0.9, 0.3, 0.4], 5.0, 0.3),  # neighbors across a gap are none
        ([NAN, 0.9, NAN, 0.4], 5.0, 0.9),  # no neighbors at all: the best there is
        ([0.6], 5.0, 0.6),
        ([0.6, 0.7, 0.8], 1.0, 0.6),  # thinner than the support: all of it
    ],
)
def test_without_a_fit_adjacent_slices_must_share_the_probability_of_a_scan(
    slices, step, expected
) -> None:
    assert judge_slices(np.array(slices), None, step, None) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("odds", "step", "product", "length"),
    [
        ([1, 8, 1, 4, 4], 5.0, 16, 2),  # two of 5 mm: 4 · 4 before 8 · 1
        ([1, 8, 1, 4, 4], 2.0, 32, 3),  # three of 2 mm span 5: 8 · 1 · 4
        ([1, 8, 1, 4, 4], 7.0, 16, 2),  # two at least, however thick
        ([9, NAN, 9, 3, NAN], 5.0, 27, 2),  # neighbors across a gap are none
        ([NAN, 7, NAN, 2], 5.0, 7, 1),  # no neighbors at all: the best there is
        ([2, 3], 1.0, 6, 2),  # thinner than the support: all of it
    ],
)
def test_the_peak_is_the_highest_mean_log_odds_of_adjacent_slices(
    odds, step, product, length
) -> None:
    found = scan_features(of_odds(*odds), None, step)
    assert found.peak == pytest.approx(math.log(product) / length)
    assert found.outlined == 0.0


def test_certain_slices_are_clipped_to_a_probability_of_0_999() -> None:
    found = scan_features(np.array([1.0, 0.5, 0.0]), None, 5.0)
    assert found.peak == pytest.approx(math.log(999) / 2)


def test_the_outline_counts_around_the_peak_up_to_the_first_gap() -> None:
    # The peak lies on slices 3 and 4; 2 and 5 touch it, 0 and 7 lie across a gap.
    areas = np.array([9.0, 0.0, 1.0, 2.0, 3.0, 2.0, 0.0, 9.0])
    odds = of_odds(1, 1, 1, 8, 8, 1, 1, 6)
    # 8 cm² over 4 mm are 3.2 mL.
    assert scan_features(odds, areas, 4.0).outlined == pytest.approx(math.log(4.2))


def test_a_peak_without_an_outline_ignores_distant_outlines() -> None:
    areas = np.array([0.0, 0.0, 0.0, 5.0])
    assert scan_features(of_odds(8, 8, 1, 1), areas, 5.0).outlined == 0.0


def test_the_weights_apply_to_peak_outline_and_constant() -> None:
    odds, areas = of_odds(4, 4, 1), np.array([4.0, 2.0, 0.0])  # 6 cm² over 5 mm are 3 mL
    # 0.5 ln 4 + 2 ln 4 - 5 ln 2 = 0: (0.5 + 2) · 2 ln 2 = 5 ln 2.
    weights = (0.5, 2.0, -5 * math.log(2))
    assert judge_slices(odds, areas, 5.0, weights) == pytest.approx(0.5)
    assert scan_probability((1.0, 0.0), (math.log(3), 7.0, 0.0)) == pytest.approx(0.75)


@pytest.mark.parametrize("weights", [None, (1.0, 1.0, 0.0)])
def test_a_scan_without_judged_slices_has_no_verdict(weights) -> None:
    with pytest.raises(ValueError, match="no slice was judged"):
        judge_slices(np.array([NAN, NAN]), None, 5.0, weights)


E2 = math.exp(2)  # odds whose logarithm is 2
NEXT = math.exp(-0.5)  # weight of a neighbor at 6 mm, one standard deviation


@pytest.mark.parametrize(
    ("odds", "step", "expected"),
    [
        ([1, E2], 6.0, [2 * NEXT / (1 + NEXT), 2 / (1 + NEXT)]),
        ([1, E2], 3.0, [2 * NEXT**0.25 / (1 + NEXT**0.25), 2 / (1 + NEXT**0.25)]),
        ([1, NAN, E2], 3.0, [2 * NEXT / (1 + NEXT), NAN, 2 / (1 + NEXT)]),  # still at 6 mm
        ([1, E2], 600.0, [0, 2]),  # no neighbor near
        ([E2], 1.0, [2]),
    ],
)
def test_neighbors_are_weighted_by_their_distance(odds, step, expected) -> None:
    np.testing.assert_allclose(neighbor_log_odds(of_odds(*odds), step), expected, atol=1e-9)


def test_certain_slices_are_clipped_to_log_odds_of_3_among_neighbors() -> None:
    found = neighbor_log_odds(np.array([0.5, 1.0, 0.5, 0.0]), 600.0)
    np.testing.assert_allclose(found, [0, 3, 0, -3], atol=1e-9)


def test_the_probability_with_neighbors_applies_factor_and_constant() -> None:
    found = judge_together(of_odds(1, NAN, E2), 600.0, (2.0, -1.0))
    # Log-odds 2 · 0 - 1 and 2 · 2 - 1.
    np.testing.assert_allclose(found, [1 / (1 + math.e), NAN, 1 / (1 + math.exp(-3))])


def test_neighbors_overrule_a_false_alarm_in_one_slice_and_close_a_gap_in_a_tumor() -> None:
    weights, step = (2.0, 0.0), 3.0
    alarm = judge_together(np.array([0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1]), step, weights)
    gap = judge_together(np.array([0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9]), step, weights)
    assert alarm[3] < 0.5 < gap[3]


def test_without_a_fit_every_slice_keeps_its_own_probability() -> None:
    alone = np.array([0.1, NAN, 0.9])
    np.testing.assert_array_equal(judge_together(alone, 1.0, None), alone)
