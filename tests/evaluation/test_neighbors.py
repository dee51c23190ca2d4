"""Slices of scans, judged together with their neighbors: fitted and evaluated."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainai.data.dataset import SliceRecord, write_records
from brainai.evaluation.neighbors import fit_together, log_odds_in_scans, measure_together
from brainai.evaluation.sections import neighbor_section
from brainai.evaluation.valid import ValidScores
from brainai.model.folder import ModelInfo

STEP = 6.0
NEXT = math.exp(-0.5)  # weight of a neighbor at 6 mm
FITTED = ModelInfo(threshold=0.5, neighbor_weights=(2.0, 0.0), neighbor_threshold=0.5)


@pytest.fixture
def in_case(make_record):
    """The records of a case, with one label for each slice."""

    def make(case: str, *labels: int, source: str = "lgg", **other) -> list[SliceRecord]:
        values = {"case_id": case, "slice_count": len(labels), "slice_step_mm": STEP} | other
        return [
            make_record(
                f"images/{case}/{index}.png", case, label, 300 * label,
                slice_index=index, source=source, **values,
            )
            for index, label in enumerate(labels)
        ]  # fmt: skip

    return make


def test_neighbors_are_slices_of_the_same_scan_in_any_row_order(in_case) -> None:
    records = [*in_case("a", 0, 0), *in_case("b", 0, 0), *in_case("single", 0)]
    alone = np.array([0.5, 1 / (1 + math.exp(-2)), 0.5, 0.5, 0.9])
    first, second = 2 * NEXT / (1 + NEXT), 2 / (1 + NEXT)  # log-odds 0 and 2 at 6 mm
    found = log_odds_in_scans(records, alone)
    np.testing.assert_allclose(found, [first, second, 0, 0, np.nan], atol=1e-9)
    back = log_odds_in_scans(records[::-1], alone[::-1])
    np.testing.assert_allclose(back, found[::-1], atol=1e-9)


def test_an_unknown_step_is_estimated_from_the_size_of_a_head(in_case) -> None:
    # 25 slices of a head of 150 mm lie 6 mm apart.
    records = in_case("a", *[0] * 25, slice_step_mm=0.0)
    alone = np.full(25, 0.5)
    alone[0] = 1 / (1 + math.exp(-2))
    weights = np.exp(-((np.arange(25.0)) ** 2) / 2)
    assert log_odds_in_scans(records, alone)[0] == pytest.approx(2 / weights.sum())


def of_cases(records: list[SliceRecord], probability: list[float]) -> tuple:
    alone = np.array(probability)
    return ValidScores.of(records, np.log(alone / (1 - alone)), None, None), records, alone


def test_false_alarms_in_one_slice_are_separated_from_tumors_in_several(in_case) -> None:
    free = [in_case(f"free{k}", *[0] * 7, source="tumor-free") for k in range(4)]
    tumor = [in_case(f"tumor{k}", 0, 0, 1, 1, 1, 0, 0) for k in range(4)]
    records = [record for case in (*free, *tumor) for record in case]
    # On its own, the false alarm is as certain as a slice of a tumor.
    alone = [0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1] * 4 + [0.1, 0.1, 0.8, 0.8, 0.8, 0.1, 0.1] * 4
    fitted = fit_together(*of_cases(records, alone))
    assert fitted.neighbor_weights[0] > 0
    assert 0 < fitted.neighbor_threshold < 1
    info = replace(
        FITTED,
        neighbor_weights=fitted.neighbor_weights,
        neighbor_threshold=fitted.neighbor_threshold,
    )
    log_odds = log_odds_in_scans(records, np.array(alone))
    said = info.neighbor_weights[0] * log_odds + info.neighbor_weights[1]
    called = 1 / (1 + np.exp(-said)) >= info.neighbor_threshold
    assert called.tolist() == [record.label == 1 for record in records]


def test_the_fit_is_that_of_frequencies(in_case) -> None:
    # Of the scans whose slices all have log-odds 0, 4 of 5 slices show tumor; with log-odds 2,
    # 39 of 40. A line through two frequencies fits them exactly, but for a slight regularization.
    even = [in_case(f"even{k}", *[int(k % 5 > 0)] * 4) for k in range(40)]
    high = [in_case(f"high{k}", *[int(k % 40 > 0)] * 4) for k in range(40)]
    records = [record for case in (*even, *high) for record in case]
    alone = [0.5] * 160 + [1 / (1 + math.exp(-2))] * 160
    weight, constant = fit_together(*of_cases(records, alone)).neighbor_weights
    assert constant == pytest.approx(math.log(4), abs=0.1)
    assert weight == pytest.approx((math.log(39) - math.log(4)) / 2, abs=0.1)


def test_single_pictures_do_not_affect_the_fit(in_case) -> None:
    records = [*in_case("a", 0, 1, 1, 0), *in_case("b", 1, 1, 0, 0)]
    probability = [0.2, 0.7, 0.8, 0.3, 0.9, 0.6, 0.3, 0.1]
    lone = [in_case(f"lone{k}", k % 2)[0] for k in range(200)]
    few = fit_together(*of_cases(records, probability))
    assert fit_together(*of_cases([*records, *lone], probability + [0.999, 0.001] * 100)) == few


def test_without_both_classes_in_scans_nothing_is_fitted(in_case) -> None:
    free, lone = in_case("a", 0, 0, 0), in_case("lone", 1)
    assert fit_together(*of_cases([*free, *lone], [0.1, 0.2, 0.3, 0.9])) is None
    assert fit_together(*of_cases(in_case("b", 1, 1), [0.1, 0.2])) is None


@pytest.fixture
def measured(make_scores, in_case, tmp_path: Path) -> tuple:
    """Scores of a tumor with a gap, a false alarm, and a single picture, and their data set."""
    records = [
        *in_case("a", 0, 1, 1, 1, 0),
        *in_case("b", 0, 0, 0, 0, 0, source="tumor-free"),
        *in_case("lone", 1),
    ]
    write_records(tmp_path / "metadata.csv", records)
    scores = make_scores(
        [record.label for record in records],
        [0.05, 0.9, 0.4, 0.9, 0.05, 0.1, 0.1, 0.7, 0.1, 0.1, 0.9],
        [record.patient_id for record in records],
        file_name=[record.file_name for record in records],
        source=[record.source for record in records],
        tumor_pixels=[record.tumor_pixels for record in records],
    )
    return scores, tmp_path


def test_slices_of_scans_are_measured_alone_and_together(measured) -> None:
    found = measure_together(measured[0], FITTED, measured[1])
    # The gap is missed and the false alarm called; with neighbors neither is.
    assert found["alone"]["all"]["counts"] == {"tp": 2, "fp": 1, "fn": 1, "tn": 6}
    assert found["together"]["all"]["counts"] == {"tp": 3, "fp": 0, "fn": 0, "tn": 7}
    assert set(found["together"]["source"]) == {"lgg", "tumor-free"}
    assert found["alone"]["size"]["200 to 499"]["value"] == pytest.approx(2 / 3)
    assert found["together"]["size"]["200 to 499"]["value"] == 1


def test_slices_alone_and_slices_in_scans_have_their_own_thresholds(measured) -> None:
    never = replace(FITTED, neighbor_threshold=1.0)
    found = measure_together(measured[0], never, measured[1])
    assert found["threshold"] == 1.0
    assert found["together"]["all"]["counts"]["tp"] == 0
    assert found["alone"]["all"]["counts"]["tp"] == 2


def test_without_a_fit_or_without_scans_nothing_is_measured(measured) -> None:
    scores, folder = measured
    assert measure_together(scores, replace(FITTED, neighbor_weights=None), folder) == {}
    alone = scores.take(np.array([name.startswith("images/lone") for name in scores.file_name]))
    assert measure_together(alone, FITTED, folder) == {}


def test_the_section_shows_both_results_and_is_empty_for_older_reports(measured) -> None:
    found = measure_together(measured[0], FITTED, measured[1])
    shown = neighbor_section({"in_scans": found})
    assert "| lgg, alone | 1 | 5 | 0.800 " in shown
    assert "| lgg, with neighbors | 1 | 5 | 1.000 " in shown
    assert "| 200 to 499, alone | 3 | 0.667 " in shown
    assert "at least 0.500" in shown
    assert neighbor_section({}) == neighbor_section({"in_scans": {}}) == ""
