"""Figures of a cohort and their intervals over patients."""

import math

import numpy as np
import pytest

from brainai.evaluation import metrics
from brainai.evaluation.intervals import (
    measure,
    sum_by_patient,
    summarize,
    summarize_by_size,
    summarize_group,
    summarize_hits,
    summarize_share,
)
from brainai.evaluation.names import FIGURE_NAMES


def test_values_equal_the_metrics_over_all_slices(cohort):
    figures = summarize_group(cohort, 0.4)["figures"]
    plain = metrics.slice_figures(cohort.label, cohort.probability, 0.4)
    for name, value in plain.items():
        assert figures[name]["value"] == pytest.approx(value)


def test_every_figure_states_its_interval_patients_and_slices(cohort):
    figures = summarize_group(cohort, 0.5)["figures"]
    assert set(figures) == set(FIGURE_NAMES)
    for figure in figures.values():
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert (figure["n_patients"], figure["n_slices"]) == (12, 120)


def test_a_resample_equals_measuring_the_slices_it_repeats(cohort):
    """Patient 3 drawn twice, patient 0 not at all: the same as doubling and dropping slices."""
    times = np.ones((1, 12))
    times[0, [0, 3]] = 0, 2
    drawn = measure(sum_by_patient(cohort, 0.5), times)
    rows = np.repeat(np.arange(120), np.repeat(times[0].astype(int), 10))
    plain = metrics.slice_figures(cohort.label[rows], cohort.probability[rows])
    for name, value in plain.items():
        assert drawn[name][0] == pytest.approx(value)


def test_identical_slices_of_a_patient_widen_the_interval(make_scores):
    """4 patients with 25 equal slices each, 2 missed: 100 slices say no more than 4 patients."""
    label, probability = [1] * 100, np.repeat([0.9, 0.9, 0.1, 0.1], 25)
    by_patient = make_scores(label, probability, patient=[str(i // 25) for i in range(100)])
    by_slice = make_scores(label, probability, patient=[str(i) for i in range(100)])
    wide = summarize_group(by_patient, 0.5)["figures"]["sensitivity"]
    narrow = summarize_group(by_slice, 0.5)["figures"]["sensitivity"]
    assert wide["value"] == narrow["value"] == 0.5
    # Standard errors: sqrt(0.25 / 4) = 0.25 and sqrt(0.25 / 100) = 0.05.
    assert (wide["low"], wide["high"]) == (0, 1)
    assert narrow["low"] == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)
    assert narrow["high"] == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)


def test_one_patient_gives_a_value_but_no_interval(make_scores):
    figure = summarize_group(make_scores([0, 1, 1], [0.1, 0.9, 0.2]), 0.5)["figures"]["dice"]
    assert figure["value"] == pytest.approx(2 / 3)
    assert math.isnan(figure["low"])
    assert math.isnan(figure["high"])
    assert figure["n_patients"] == 1


def test_resamples_with_one_class_are_counted_and_left_out(make_scores):
    scores = make_scores([0, 1], [0.1, 0.9], patient=["healthy", "ill"])
    figures = summarize_group(scores, 0.5, resamples=1000)["figures"]
    # Both draws fall on the same patient in half of the resamples.
    assert figures["auroc"]["undefined_resamples"] == pytest.approx(500, abs=60)
    assert figures["auroc"]["low"] == figures["auroc"]["high"] == 1
    assert figures["loss"]["undefined_resamples"] == 0


def test_mask_dice_sums_the_slices_of_a_patient_before_the_mean(make_scores):
    scores = make_scores(
        [1, 1, 1, 0, 1, 0],
        [0.9] * 6,
        patient=["a", "a", "b", "c", "d", "e"],
        mask_tp=[30, 0, 10, 0, -1, 0],
        mask_fp=[0, 10, 0, 0, -1, 5],
        mask_fn=[0, 10, 0, 0, -1, 0],
    )
    figure = summarize_group(scores, 0.5)["figures"]["mask_dice"]
    # a: 60 / (60 + 10 + 10) = 0.75; b: 1; c and e: no tumor to find; d: no outline.
    assert figure["value"] == pytest.approx(0.875)
    assert (figure["n_patients"], figure["n_slices"]) == (2, 3)
    assert figure["undefined_patients"] == 2


def test_dice_of_slices_is_undefined_without_tumor(make_scores):
    figures = summarize_group(make_scores([0, 0], [0.9, 0.1]), 0.5)["figures"]
    assert math.isnan(figures["dice"]["value"])
    assert figures["specificity"]["value"] == 0.5


def test_mask_dice_without_masks_is_undefined(make_scores):
    figure = summarize_group(make_scores([1, 0], [0.9, 0.1]), 0.5)["figures"]["mask_dice"]
    assert math.isnan(figure["value"])
    assert (figure["n_patients"], figure["n_slices"], figure["undefined_patients"]) == (0, 0, 0)


def test_groups_by_source_and_site_hold_their_own_slices(cohort):
    summary = summarize(cohort, 0.5, resamples=50)
    assert set(summary["source"]) == {"lgg", "brats"}
    lgg = cohort.take(cohort.source == "lgg")
    value = summary["source"]["lgg"]["figures"]["auroc"]["value"]
    assert value == pytest.approx(metrics.auroc(lgg.label, lgg.probability))
    both = [summary["source"][name]["counts"] for name in ("lgg", "brats")]
    for name, total in summary["all"]["counts"].items():
        assert both[0][name] + both[1][name] == total


def test_the_same_seed_gives_the_same_interval(cohort):
    first, second = (summarize_group(cohort, 0.5, resamples=99, seed=7) for _ in range(2))
    assert first == second


def test_calibration_error_and_brier_score_equal_the_metrics(cohort):
    figures = summarize_group(cohort, 0.5, resamples=200)["figures"]
    plain = metrics.calibration_error(cohort.label, cohort.probability)
    assert figures["ece"]["value"] == pytest.approx(plain)
    squared = [(p - y) ** 2 for p, y in zip(cohort.probability, cohort.label, strict=True)]
    assert figures["brier"]["value"] == pytest.approx(sum(squared) / 120)


def test_hits_are_shares_of_the_slices_with_a_known_tumor(make_scores):
    scores = make_scores(
        [1, 1, 1, 0], [0.9] * 4, patient=["a", "a", "b", "b"], mask_hit=[1, 1, 0, -1]
    )
    hits = summarize_hits(scores)
    assert set(hits) == {"mask"}  # no heat map was scored
    assert hits["mask"]["value"] == pytest.approx(2 / 3)
    assert (hits["mask"]["n_patients"], hits["mask"]["n_slices"]) == (2, 3)


def test_two_patients_have_an_interval(make_scores):
    scores = make_scores([1, 1], [0.9, 0.1], patient=["a", "b"])
    figure = summarize_group(scores, 0.5)["figures"]["sensitivity"]
    assert (figure["low"], figure["value"], figure["high"]) == (0, 0.5, 1)


def test_a_figure_has_exactly_the_documented_fields(cohort):
    figure = summarize_group(cohort, 0.5, resamples=50)["figures"]["dice"]
    promised = {"value", "low", "high", "n_patients", "n_slices", "undefined_resamples"}
    assert set(figure) == promised
    assert set(summarize_group(cohort, 0.5)) == {"counts", "figures"}


def test_an_interval_covers_95_percent_of_the_resamples(make_scores):
    """400 patients of a slice each, half of them found: 0.5 ± 1.96 * sqrt(0.25 / 400)."""
    scores = make_scores([1] * 400, [0.9, 0.1] * 200, patient=[str(i) for i in range(400)])
    figure = summarize_group(scores, 0.5)["figures"]["sensitivity"]
    assert figure["low"] == pytest.approx(0.451, abs=0.006)
    assert figure["high"] == pytest.approx(0.549, abs=0.006)


def test_sensitivity_by_size_counts_each_tumor_slice_once(make_scores):
    scores = make_scores(
        [1, 1, 1, 1, 0], [0.9, 0.1, 0.9, 0.9, 0.9], tumor_pixels=[1, 49, 50, 5000, 0]
    )
    found = summarize_by_size(scores, 0.5)
    assert {name: (of["value"], of["n_slices"]) for name, of in found.items()} == {
        "1 to 49": (0.5, 2),
        "50 to 199": (1, 1),
        "2000 or more": (1, 1),
    }


def test_a_share_is_computed_over_all_slices_of_all_patients():
    figure = summarize_share(np.array([1, 1, 2, 3]), np.array([True, False, True, True]))
    assert figure["value"] == 0.75
    assert (figure["n_patients"], figure["n_slices"]) == (3, 4)


def test_mask_and_heat_map_have_separate_hits(make_scores):
    scores = make_scores([1, 1], [0.9] * 2, mask_hit=[1, 1], heat_hit=[0, 1])
    hits = summarize_hits(scores, resamples=10)
    assert {name: of["value"] for name, of in hits.items()} == {"mask": 1, "heat map": 0.5}
