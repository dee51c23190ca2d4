"""Measures against numbers counted by hand."""

import math

import numpy as np
import pytest

from brainai.errors import DataError
from brainai.evaluation import metrics
from brainai.evaluation.metrics import SliceScores


def test_counts_of_four_slices():
    counts = metrics.count([1, 1, 0, 0], [True, False, True, False])
    assert counts == (1, 1, 1, 1)


def test_dice_by_hand():
    assert metrics.dice(tp=3, fp=1, fn=2) == pytest.approx(6 / 9)


def test_dice_is_undefined_only_without_tumor_and_without_prediction():
    assert np.isnan(metrics.dice(0, 0, 0))
    assert metrics.dice(0, 1, 0) == 0
    assert metrics.dice(0, 0, 1) == 0


def test_dice_of_arrays_is_elementwise():
    found = metrics.dice(np.array([1, 0, 2]), np.array([1, 0, 0]), np.array([0, 0, 0]))
    np.testing.assert_allclose(found, [2 / 3, np.nan, 1])


def test_sensitivity_and_specificity_by_hand():
    assert metrics.sensitivity(tp=3, fn=1) == 0.75
    assert metrics.specificity(tn=4, fp=1) == 0.8
    assert np.isnan(metrics.sensitivity(0, 0))
    assert np.isnan(metrics.specificity(0, 0))


def test_auroc_counts_three_of_four_pairs():
    assert metrics.auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75


def test_auroc_counts_a_tie_as_half_a_win():
    # Pairs: (0.5, 0.5) half, (0.5, 0.2) won, (0.9, both) won: 3.5 of 4.
    assert metrics.auroc([1, 1, 0, 0], [0.5, 0.9, 0.5, 0.2]) == 0.875
    assert metrics.auroc([1, 0, 1, 0], [0.3] * 4) == 0.5


@pytest.mark.parametrize("labels", [[1, 1], [0, 0], []])
def test_auroc_of_one_class_is_undefined(labels):
    assert math.isnan(metrics.auroc(labels, np.linspace(0, 1, len(labels))))


def test_auroc_of_a_network_that_diverged_is_undefined_not_perfect():
    assert math.isnan(metrics.auroc([0, 1], [0.1, np.nan]))


def test_cross_entropy_by_hand_is_finite_for_certain_errors():
    losses = metrics.cross_entropy([1, 0, 1], [0.25, 0.25, 0.0])
    np.testing.assert_allclose(losses, [math.log(4), math.log(4 / 3), 16.118], atol=1e-3)


def test_sweep_groups_equal_probabilities():
    tp, fp, fn, tn = metrics.sweep([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
    assert tp.tolist() == [0, 1, 2, 2]
    assert fp.tolist() == [0, 0, 1, 2]
    assert fn.tolist() == [2, 1, 0, 0]
    assert tn.tolist() == [2, 2, 1, 0]


def test_average_precision_by_hand():
    # Found at rank 1 (precision 1) and rank 3 (precision 2/3).
    found = metrics.average_precision([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    assert found == pytest.approx((1 + 2 / 3) / 2)
    assert math.isnan(metrics.average_precision([0, 0], [0.1, 0.2]))


def test_a_probability_at_the_threshold_is_positive():
    figures = metrics.slice_figures([1, 0], np.array([0.5, 0.4]), threshold=0.5)
    assert figures["dice"] == figures["auroc"] == 1
    assert figures["sensitivity"] == figures["specificity"] == 1
    assert figures["loss"] == pytest.approx((-math.log(0.5) - math.log(0.6)) / 2)


def test_figures_of_no_slices_are_undefined():
    assert all(math.isnan(v) for v in metrics.slice_figures(np.zeros(0), np.zeros(0)).values())


def test_masks_count_only_if_an_outline_is_known(make_record):
    records = [make_record("a", "A", 1, 5), make_record("b", "B", 1, -1)]
    scores = SliceScores.from_records(records, [0.9, 0.8], np.array([[3, 1, 2], [9, 9, 9]]))
    assert scores.mask_tp.tolist() == [3, -1]
    assert scores.mask_fn.tolist() == [2, -1]


def test_without_a_decoder_no_mask_is_counted(make_record):
    scores = SliceScores.from_records([make_record("a", "A", 1, 5)], [0.9])
    assert (scores.mask_tp, scores.mask_fp, scores.mask_fn) == (-1, -1, -1)


def test_a_slice_scored_twice_is_refused(make_scores):
    with pytest.raises(DataError, match="twice"):
        make_scores([0, 1], [0.1, 0.9], file_name=["a", "a"])


def test_a_probability_that_is_not_a_number_is_refused(make_scores):
    with pytest.raises(DataError, match=r"1 of 2 probabilities .* images/c/001\.png"):
        make_scores([0, 1], [0.1, np.nan])


def test_fields_of_unequal_length_are_refused(make_scores):
    with pytest.raises(DataError, match="one value per slice"):
        make_scores([0, 1], [0.1, 0.9], site=["CS"])


def test_a_label_beyond_two_classes_is_refused(make_scores):
    with pytest.raises(DataError, match="0 or 1"):
        make_scores([0, 2], [0.1, 0.9])


def test_calibration_error_is_the_mean_distance_over_equal_bins():
    # Two bins of two. 0.2 and 0.4 sum to 0.6, one is tumor: off by 0.4. 0.8 and 0.9 sum to 1.7,
    # both are: off by 0.3. (0.4 + 0.3) / 4 slices.
    found = metrics.calibration_error([0, 1, 1, 1], [0.2, 0.4, 0.8, 0.9], bins=2)
    assert found == pytest.approx(0.175)


def test_errors_of_both_signs_in_one_bin_cancel():
    assert metrics.calibration_error([0, 1], [0.5, 0.5], bins=1) == 0


def test_equal_probabilities_share_a_bin():
    assert len(set(metrics.equal_mass_bins(np.full(40, 0.3)).tolist())) == 1


def test_a_probability_at_an_edge_is_in_the_bin_above_it():
    # The median, which separates two bins, is the third of five.
    found = metrics.equal_mass_bins(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), bins=2)
    assert found.tolist() == [0, 0, 1, 1, 1]


def test_calibration_error_of_no_slices_is_undefined():
    assert math.isnan(metrics.calibration_error([], []))


def test_brier_by_hand():
    np.testing.assert_allclose(metrics.brier([1, 0], [0.75, 0.5]), [0.0625, 0.25])


def test_a_tie_of_a_positive_and_several_negatives_counts_half_of_each():
    assert metrics.wins(np.array([0.5, 0.1]), np.array([0.5, 0.5, 0.2])).tolist() == [2.0, 0.0]


@pytest.mark.parametrize("measure", [metrics.cross_entropy, metrics.brier, metrics.excess])
def test_single_precision_and_lists_are_measured_in_double_precision(measure):
    probability = [0.1, 0.7, 1.0]
    plain = measure([0, 1, 1], probability)
    single = measure(np.array([0, 1, 1]), np.array(probability, np.float32))
    assert plain.dtype == single.dtype == np.float64
    np.testing.assert_allclose(single, plain, atol=1e-7)


def test_labels_of_one_class_and_probabilities_of_0_and_1_are_accepted(make_scores):
    assert len(make_scores([0, 0], [0.0, 1.0])) == len(make_scores([1, 1], [0.0, 1.0])) == 2


@pytest.mark.parametrize("probability", [-0.001, 1.001])
def test_a_probability_beyond_0_to_1_is_refused(make_scores, probability):
    with pytest.raises(DataError, match=r"the first for images/c/001\.png"):
        make_scores([0, 1], [0.5, probability])


def test_scores_of_no_slice_are_refused(make_scores):
    with pytest.raises(DataError, match="one value per slice"):
        make_scores([], [])


def test_scores_take_every_field_from_their_records(make_record):
    records = [
        make_record("a", "A", 1, 5, source="lgg", site="CS"),
        make_record("b", "B", 0, 0, source="brats", site="DU"),
    ]
    masks, hits = np.array([[3, 1, 2], [0, 4, 0]]), np.array([[1, 0], [-1, -1]])
    scores = SliceScores.from_records(records, [0.9, 0.2], masks, [0.8, 0.3], hits)
    expected = {
        "file_name": ["a", "b"], "patient_id": ["A", "B"], "source": ["lgg", "brats"],
        "site": ["CS", "DU"], "label": [1, 0], "probability": [0.9, 0.2], "tumor_pixels": [5, 0],
        "uncalibrated": [0.8, 0.3], "mask_tp": [3, 0], "mask_fp": [1, 4], "mask_fn": [2, 0],
        "mask_hit": [1, -1], "heat_hit": [0, -1],
    }  # fmt: skip
    assert {name: getattr(scores, name).tolist() for name in expected} == expected
    plain = SliceScores.from_records(records, [0.9, 0.2])
    assert plain.uncalibrated.tolist() == [0.9, 0.2]
    assert plain.mask_hit.tolist() == plain.heat_hit.tolist() == [-1, -1]
