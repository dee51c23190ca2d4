"""The values fitted to `valid`, and the criterion that selects the weights of an epoch."""

import math

import numpy as np
import pytest
import torch

from brainai.errors import DataError
from brainai.evaluation.valid import (
    SHIFTS,
    ValidScores,
    best_shift,
    calibration_rows,
    count_shifted,
    find_thresholds,
    fit,
    fit_score_weights,
    judge,
    outlined_pixels,
)


@pytest.fixture
def any_source_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slice is enough for a source to count as much as any other."""
    monkeypatch.setattr("brainai.evaluation.valid.ENOUGH", 1)


ZERO, HALF, ONE = (SHIFTS.tolist().index(shift) for shift in (0.0, 0.5, 1.0))


def of_slices(label, source=None, patient=None, score=None, mask=None, counts=None) -> ValidScores:
    """Slices of one source and patient, without masks, by default."""
    return ValidScores(
        np.array(label),
        np.array(source or ["lgg"] * len(label)),
        np.array(patient or ["p"] * len(label)),
        np.array(score or [0.0] * len(label)),
        None if mask is None else np.array(mask),
        counts,
    )


def counts_of(*slices: dict[int, tuple[int, int, int]]) -> np.ndarray:
    """tp, fp, fn at some shifts; at the others nothing of ten pixels is found."""
    counts = np.zeros((len(slices), len(SHIFTS), 3), int)
    counts[:, :, 2] = 10
    for own, at in zip(counts, slices, strict=True):
        for shift, values in at.items():
            own[shift] = values
    return counts


def test_pixels_are_counted_at_every_shift() -> None:
    logits = torch.tensor([[[-0.3, 0.1], [-0.6, 0.0]]])  # 0 itself is not claimed
    truth = torch.tensor([[[True, True], [False, False]]])
    found = count_shifted(logits, truth)[0]
    assert found[ZERO].tolist() == [1, 0, 1]
    assert found[HALF].tolist() == [2, 1, 0]  # -0.3 and 0.0 are claimed as well
    assert found[ONE].tolist() == [2, 2, 0]
    assert found[0].tolist() == [0, 0, 2]  # shift -2


def test_slices_are_counted_separately() -> None:
    logits = torch.tensor([[[5.0, -5.0]], [[5.0, 5.0]]])
    truth = torch.tensor([[[True, True]], [[False, True]]])
    assert count_shifted(logits, truth)[:, ZERO].tolist() == [[1, 0, 1], [1, 1, 0]]


def test_outlined_pixels_are_those_at_the_shift_and_0_where_none_are_known() -> None:
    counts = counts_of({ZERO: (3, 2, 1), ONE: (4, 9, 0)}, {ZERO: (0, 0, 8)}, {ZERO: (-1, -1, -1)})
    slices = of_slices([1, 1, 1], counts=counts)
    assert outlined_pixels(slices, 0.0).tolist() == [5, 0, 0]
    assert outlined_pixels(slices, 1.0).tolist() == [13, 0, 0]
    assert outlined_pixels(of_slices([1]), 0.0) is None


def test_the_mask_shift_maximizes_the_mean_dice_of_patients() -> None:
    # p: 10/20 and 8/20 found in two slices: Dice 2·18/(2·18+0+12) at shift 0; q finds all there.
    counts = counts_of(
        {ZERO: (10, 0, 0), ONE: (10, 10, 0)},
        {ZERO: (0, 0, 10), ONE: (10, 0, 0)},
        {ZERO: (10, 0, 0), ONE: (10, 30, 0)},
    )
    valid = of_slices([1, 1, 1], patient=["p", "p", "q"], counts=counts)
    # Shift 0: p 2·10/(20+0+10) = 2/3, q 1, mean 5/6. Shift 1: p 40/50 = 0.8, q 20/50 = 0.4.
    shift, dice = best_shift(valid)
    assert shift == 0
    assert dice == pytest.approx(5 / 6)


@pytest.mark.usefixtures("any_source_counts")
def test_a_source_with_one_patient_weighs_as_much_as_one_with_three() -> None:
    counts = counts_of(
        *[{ZERO: (9, 0, 1), ONE: (10, 5, 0)}] * 3,  # 18/19 = 0.947; 20/25 = 0.8
        {ZERO: (3, 0, 7), ONE: (9, 1, 1)},  # 6/13 = 0.46; 0.9
    )
    valid = of_slices([1] * 4, ["lgg"] * 3 + ["brats"], ["a", "b", "c", "d"], counts=counts)
    shift, dice = best_shift(valid)
    assert shift == 1  # (0.8 + 0.9) / 2 beats (0.947 + 0.46) / 2; with equal patients 0 would win
    assert dice == pytest.approx(0.85)


def test_patients_without_an_outlined_tumor_do_not_shift_the_mask() -> None:
    counts = counts_of({}, {})
    counts[0] = 0, 4, 0  # no tumor: nothing to outline
    counts[1] = -1  # tumor that nobody outlined
    shift, dice = best_shift(of_slices([0, 1], patient=["p", "q"], counts=counts))
    assert shift == 0
    assert math.isnan(dice)


def test_a_source_with_few_slices_counts_less() -> None:
    valid = of_slices([0] * 300 + [1] * 25, ["lgg"] * 100 + ["brats"] * 200 + ["pairs"] * 25)
    assert valid.source_weights == {"lgg": 1, "brats": 1, "pairs": 0.25}
    # Weights of 2.25 over 325 slices: 1/100 of lgg, 1/200 of brats, 0.25/25 of pairs; mean 1.
    one = 325 / 2.25
    weight = [one / 100] * 100 + [one / 200] * 200 + [one / 100] * 25
    assert valid.weight.tolist() == pytest.approx(weight)


def test_logistic_regression_halves_scores_that_are_twice_too_certain() -> None:
    # Log-odds of ±2 ln 3 where three of four are right, many times: ±ln 3 would be correct.
    score, label = [2 * math.log(3)] * 400 + [-2 * math.log(3)] * 400, [1, 1, 1, 0] * 100
    label += [0, 0, 0, 1] * 100
    of_class, of_mask, constant = fit_score_weights(of_slices(label, score=score))
    assert (of_class, of_mask, constant) == (pytest.approx(0.5, rel=0.01), 0.0, pytest.approx(0))


def test_the_operating_point_has_the_best_dice() -> None:
    # From 0.8 on Dice is 2·1/(1+3) = 0.5, from 0.7 on 2·2/(2+3) = 0.8, from 0.6 on 4/(3+3) = 0.67,
    # from 0.4 on 2·3/(4+3) = 0.86, from 0.2 on 2·3/(5+3) = 0.75.
    probability = np.array([0.8, 0.7, 0.6, 0.4, 0.2])
    valid = of_slices([1, 1, 0, 1, 0], patient=["p"] * 5)
    assert find_thresholds(probability, valid).operating == pytest.approx(0.3)


@pytest.mark.usefixtures("any_source_counts")
def test_the_operating_point_keeps_97_percent_specificity_without_a_tumor() -> None:
    # Of 100 slices of q, who has no tumor, four lie at 0.5: 97 % specificity forbids 0.4, where
    # p's second tumor would be found. Of 3 at 0.5 it would be allowed.
    for falsely, threshold in ((4, (0.9 + 0.5) / 2), (3, (0.4 + 0.1) / 2)):
        probability = np.array([0.9, 0.4] + [0.5] * falsely + [0.1] * (100 - falsely))
        valid = of_slices([1, 1] + [0] * 100, ["a", "a"] + ["b"] * 100, ["p", "p"] + ["q"] * 100)
        assert find_thresholds(probability, valid).operating == pytest.approx(threshold)


def test_only_patients_without_any_tumor_slice_count_as_tumor_free() -> None:
    valid = of_slices([0, 1, 0], patient=["p", "p", "q"])
    assert valid.tumor_free.tolist() == [False, False, True]


def test_the_sensitive_point_finds_95_of_100_and_no_more() -> None:
    # Tumors at 0.99, 0.98, … 0.00; between 0.055 and 0.045 the 95th is found, at 0.05.
    probability = np.append(np.arange(99, -1, -1) / 100, 0.045)
    found = find_thresholds(probability, of_slices([1] * 100 + [0]))
    assert found.sensitive == pytest.approx(0.0475)  # half-way from 0.05 to the next lower, 0.045


@pytest.mark.usefixtures("any_source_counts")
def test_the_sensitivity_is_reached_over_slices_and_over_sources() -> None:
    # Of 100 tumors of a large source 6 lie at 0.1 (94 % above), the 4 of a small one at 0.9.
    probability = np.array([0.8] * 94 + [0.1] * 6 + [0.9] * 4 + [0.05])
    source = ["lgg"] * 100 + ["brats"] * 4 + ["lgg"]
    found = find_thresholds(probability, of_slices([1] * 104 + [0], source))
    assert found.sensitive == pytest.approx(0.075)  # by sources alone 97 % would do, at 0.8


def test_the_youden_point_maximizes_sensitivity_plus_specificity() -> None:
    # From 0.7 on two of three tumors and none of three others: 2/3. From 0.2 on 1 − 2/3.
    probability = np.array([0.9, 0.7, 0.5, 0.3, 0.2, 0.1])
    found = find_thresholds(probability, of_slices([1, 1, 0, 0, 1, 0]))
    assert found.youden == pytest.approx(0.6)


def test_equal_probabilities_are_never_separated() -> None:
    probability = np.array([0.8, 0.8, 0.8, 0.1])
    found = find_thresholds(probability, of_slices([0, 1, 1, 0]))
    assert tuple(found) == pytest.approx((0.45, 0.45, 0.45))


def test_thresholds_are_truncated_so_that_probabilities_at_them_reach_them() -> None:
    assert find_thresholds(np.array([2 / 3, 1 / 3]), of_slices([1, 0])).sensitive == 0.5
    alike = find_thresholds(np.array([1 / 3, 1 / 3, 1 / 3]), of_slices([1, 1, 0]))
    assert tuple(alike) == (0.166666, 0.166666, 0.166666)  # half of a third


def test_the_score_that_separates_the_classes_gets_the_weight() -> None:
    valid = of_slices([1, 1, 0, 0], score=[2.0, 1.0, -1.0, -2.0], mask=[1.0, -1.0, 1.0, -1.0])
    of_class, of_mask, constant = fit_score_weights(valid)
    assert of_class > 0.5
    assert abs(of_mask) < of_class
    assert constant == pytest.approx(0, abs=1e-3)


def test_thresholds_find_tumors_with_near_certain_scores() -> None:
    """All tumors are certain, at log-odds of 25 to 40: their probabilities are 1 up to 1e-11."""
    score = np.concatenate([np.linspace(25, 40, 40), np.linspace(-40, -25, 40)])
    probability = 1 / (1 + np.exp(-score))
    for threshold in find_thresholds(probability, of_slices([1] * 40 + [0] * 40)):
        assert (probability[:40] >= threshold).mean() >= 0.95
        assert (probability[40:] < threshold).all()
        assert 0 < threshold < 1


def test_weights_are_selected_by_auroc_and_mask_dice_together() -> None:
    # The mask separates the classes (AUROC 1), the class score does not; Dice 2·8/(16+0+2) = 8/9.
    counts = counts_of({ZERO: (8, 0, 2)}, {ZERO: (8, 0, 2)}, {}, {})
    counts[2:] = 0
    quality = judge(
        of_slices([1, 1, 0, 0], score=[1.0, -1.0, 1.0, -1.0], mask=[4.0, 3.0, -3.0, -4.0],
                  counts=counts)
    )  # fmt: skip
    assert quality.auroc == 1
    assert quality.mask_dice == pytest.approx(8 / 9)
    assert quality.selection == pytest.approx(17 / 18)
    assert (quality.probability > 0.5).tolist() == [True, True, False, False]


@pytest.mark.usefixtures("any_source_counts")
def test_sources_count_equally_in_the_selection_of_weights() -> None:
    # Six pairs of a large source are in order; the one pair of a small source lies between them,
    # the wrong way round. It is one pair in 49, but one in four if sources count equally.
    label, source = [1, 0] * 6 + [1, 0], ["lgg"] * 12 + ["brats"] * 2
    valid = of_slices(label, source, score=[3.0, -3.0] * 6 + [-1.0, 1.0])
    assert judge(valid).auroc == pytest.approx(0.75)


def test_without_a_decoder_auroc_alone_selects_the_weights() -> None:
    quality = judge(of_slices([1, 0, 1, 0], score=[2.0, 1.0, -1.0, -2.0]))
    assert math.isnan(quality.mask_dice)
    assert quality.selection == quality.auroc == pytest.approx(0.75)


def test_one_class_alone_is_selected_by_mask_dice_if_there_are_masks() -> None:
    quality = judge(of_slices([1], mask=[0.0], counts=counts_of({ZERO: (10, 0, 0)})))
    assert math.isnan(quality.auroc)
    assert quality.selection == 1
    assert math.isnan(judge(of_slices([0, 0])).selection)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["score", "mask"])
def test_nan_and_infinite_scores_are_never_selected(bad: float, where: str) -> None:
    scores = {"score": [0.0, 1.0], "mask": [0.0, 1.0]} | {where: [bad, 1.0]}
    valid = of_slices([0, 1], counts=counts_of({}, {ZERO: (10, 0, 0)}), **scores)
    assert math.isnan(judge(valid).selection)
    with pytest.raises(DataError, match="damaged, or their training diverged"):
        fit(valid)


@pytest.mark.parametrize(
    ("sources", "rows"), [("phantom lgg phantom", [1]), ("phantom phantom", [0, 1])]
)
def test_phantoms_count_only_if_there_is_nothing_else(make_record, sources: str, rows) -> None:
    records = [
        make_record(f"{n}.png", "p", 1, 5, split="valid", source=source)
        for n, source in enumerate(sources.split())
    ]
    records.append(make_record("other.png", "q", 1, 5, split="train"))
    assert calibration_rows(records).tolist() == rows
