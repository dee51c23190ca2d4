"""Whole scans are assembled from scored slices, fitted, and counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainai.data.dataset import write_records
from brainai.evaluation.sections import scan_line, scan_section
from brainai.evaluation.whole_scans import (
    Scan,
    balance,
    fit_verdict,
    gather_scans,
    measure_scans,
    substitutes,
)
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import judge_slices

ABSENT = np.nan


def of_slices(probability, label=None, areas=None, step=5.0, source="lgg", case="c") -> Scan:
    label = np.zeros(len(probability)) if label is None else np.array(label)
    areas = None if areas is None else np.array(areas, float)
    return Scan(case, case, source, label, np.array(probability), areas, step)


def with_tumor(count: int, first: int, last: int, step: float = 5.0) -> Scan:
    """A scan of `count` slices, with a tumor of 10 cm² in slices `first` to `last`."""
    inside = (np.arange(count) >= first) & (np.arange(count) <= last)
    return of_slices(np.where(inside, 0.9, 0.1), inside.astype(int), 10 * inside, step)


@pytest.fixture
def in_case(make_record):
    """Records of a case of five slices, of which these have a picture."""

    def make(*indices: int, case: str = "a", label: int = 0, **other):
        values = {"case_id": case, "slice_count": 5, "slice_step_mm": 3.0} | other
        names = [f"images/{case}/{index}.png" for index in indices]
        return [
            make_record(name, case, label, 0, slice_index=index, **values)
            for name, index in zip(names, indices, strict=True)
        ]

    return make


def test_slices_are_placed_by_their_index_in_the_scan(in_case, tmp_path: Path) -> None:
    records = in_case(3, 1, pixel_area_mm2=0.0)
    records[0] = replace(records[0], label=1)
    (scan,) = gather_scans(tmp_path, records, np.array([0.9, 0.2]), np.array([64, 0]), 48)
    np.testing.assert_array_equal(scan.probability, [ABSENT, 0.2, ABSENT, 0.9, ABSENT])
    assert scan.label.tolist() == [0, 0, 0, 1, 0]
    # Pixels of unknown size: 48 of them are assumed to be 240 mm, so 64 of 25 mm² are 16 cm².
    assert scan.areas_cm2.tolist() == [0, 0, 0, 16, 0]
    assert (scan.case_id, scan.step_mm, scan.tumor) == ("a", 3.0, True)


def test_areas_account_for_the_shrinking_of_the_picture(in_case, tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    Image.new("L", (60, 96)).save(tmp_path / "images" / "a" / "0.png")
    records = in_case(0, pixel_area_mm2=0.25)
    (scan,) = gather_scans(tmp_path, records, np.array([0.5]), np.array([100]), 32)
    # 96 pixels of 0.5 mm on 32: of 1.5 mm each; 100 of 2.25 mm² are 2.25 cm².
    assert scan.areas_cm2[0] == pytest.approx(2.25)


def test_an_unknown_step_is_estimated_and_single_pictures_are_not_scans(
    in_case, tmp_path: Path
) -> None:
    records = [
        *in_case(0, 1, case="b", slice_count=30, slice_step_mm=0.0),
        *in_case(0, case="single", slice_count=1),
    ]
    (scan,) = gather_scans(tmp_path, records, np.array([0.1, 0.2, 0.3]), None, 32)
    assert (scan.case_id, scan.step_mm, scan.areas_cm2) == ("b", 5.0, None)


def test_tumor_free_ends_and_tumor_ends_serve_as_substitute_scans() -> None:
    # 5 mm: 14 slices below the tumor less 2 beside it are 60 mm; 13 above less 2 are 55 mm, and
    # a third of 35 is 11.7.
    below, lower, upper = substitutes(with_tumor(35, 14, 21))
    assert (len(below.label), below.tumor) == (12, False)
    # 20 mm of the tumor, with all that lies beyond.
    assert (len(lower.label), int(lower.label.sum())) == (18, 4)
    assert (len(upper.label), int(upper.label.sum())) == (17, 4)


def test_a_substitute_needs_a_third_of_the_slices_that_have_a_picture() -> None:
    scan = with_tumor(24, 10, 12)  # 8 slices below less the margin: a third of 24
    assert [part.tumor for part in substitutes(scan)] == [False, False]  # 15 mm: the tumor is small
    scan.probability[0] = ABSENT  # 7 of 23 are less than a third; above are 9
    assert [len(part.label) for part in substitutes(scan)] == [9]


def spread_out(tumor_free: int = 4) -> list[Scan]:
    """Scans in which tumors are more certain and larger than false alarms."""
    free = [
        of_slices([0.1, 0.3 + 0.1 * k, 0.3 + 0.1 * k, 0.1], None, [0, k, k, 0], source="tumor-free")
        for k in range(tumor_free)
    ]
    tumor = [
        of_slices([0.2, p, p, 0.2], [0, 1, 1, 0], [0, 20, 20, 0], source=source)
        for p in (0.9, 0.95)
        for source in ("lgg", "brats")
    ]
    return free + tumor


def test_the_fitted_verdict_separates_tumors_from_false_alarms_in_one_slice() -> None:
    verdict = fit_verdict(spread_out())
    assert min(verdict.scan_weights[:2]) > 0

    def called(scan: Scan) -> bool:
        return judge_slices(*scan.slices, verdict.scan_weights) >= verdict.scan_threshold

    assert [called(scan) for scan in spread_out()] == [scan.tumor for scan in spread_out()]
    assert not called(of_slices([0.1, 0.99, 0.1, 0.1], areas=[0, 3, 0, 0]))


def test_without_both_kinds_of_scans_nothing_is_fitted() -> None:
    assert fit_verdict([]) is None
    assert fit_verdict([scan for scan in spread_out() if scan.tumor]) is None
    assert fit_verdict([scan for scan in spread_out() if not scan.tumor]) is None


def test_classes_count_equally_and_so_do_sources_within_them() -> None:
    groups = [*[(True, "lgg")] * 3, (True, "brats"), (False, "lgg"), (False, "tumor-free")]
    # Six scans: a class counts 3, a source of it 1.5.
    assert balance(groups).tolist() == pytest.approx([0.5, 0.5, 0.5, 1.5, 1.5, 1.5])


def test_the_threshold_lies_midway_between_separable_classes() -> None:
    verdict = fit_verdict(spread_out())
    said = sorted(
        (judge_slices(*scan.slices, verdict.scan_weights), scan.tumor) for scan in spread_out()
    )
    highest_free = max(probability for probability, tumor in said if not tumor)
    lowest_tumor = min(probability for probability, tumor in said if tumor)
    assert highest_free < 0.5 < lowest_tumor
    assert verdict.scan_threshold == pytest.approx((highest_free + lowest_tumor) / 2, abs=1e-5)


@pytest.fixture
def measured(make_scores, in_case, tmp_path: Path) -> dict:
    """Two scans of lgg, one found; two of tumor-free, one wrongly called; no decoder."""
    cases = {"a": (1, "lgg", 0.9), "b": (1, "lgg", 0.4), "c": (0, "tumor-free", 0.2),
             "d": (0, "tumor-free", 0.6)}  # fmt: skip
    records = [
        record
        for case, (label, source, _) in cases.items()
        for record in in_case(0, 1, case=case, label=label, source=source)
    ]
    write_records(tmp_path / "metadata.csv", records)
    scores = make_scores(
        [record.label for record in records],
        [value for _, _, value in cases.values() for _ in range(2)],
        patient=[record.patient_id for record in records],
        file_name=[record.file_name for record in records],
        source=[record.source for record in records],
    )
    return measure_scans(scores, ModelInfo(threshold=0.5), tmp_path)


def test_scans_are_counted_by_source(measured: dict) -> None:
    assert measured["threshold"] == 0.5
    assert measured["groups"]["all"] == {
        "n_tumor": 2,
        "found": 1,
        "n_tumor_free": 2,
        "wrongly_called": 1,
        "tumor": [0.4, 0.9],
        "tumor_free": [0.2, 0.6],
    }
    found = {
        name: (of["found"], of["n_tumor"], of["wrongly_called"], of["n_tumor_free"])
        for name, of in measured["groups"].items()
    }
    assert found == {"all": (1, 2, 1, 2), "lgg": (1, 2, 0, 0), "tumor-free": (0, 0, 1, 2)}


def test_scan_results_are_stated_in_words(measured: dict) -> None:
    assert scan_line(measured["groups"]["all"]) == "scans: detected 1 of 2, false alarms 1 of 2"
    words = scan_section({"scans": measured})
    assert "| lgg | 1 of 2 | 0.400 | 0 of 0 | n/a |" in words
    assert "| tumor-free | 0 of 0 | n/a | 1 of 2 | 0.600 |" in words
    assert scan_section({"scans": {}}) == ""
