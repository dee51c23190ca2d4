"""report.json, report.md and the figures."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainai.data.seals import sealed, unsealed
from brainai.errors import DataError
from brainai.evaluation.cohort_figures import draw_mask_dice, draw_reliability
from brainai.evaluation.figures import draw_curves, draw_learning_curves, draw_top_losses
from brainai.evaluation.report import build_report, other_points, write_report
from brainai.evaluation.report_file import read_report
from brainai.evaluation.sections import point_with_outcome, shared_patients
from brainai.evaluation.text import table
from brainai.model.folder import ModelInfo

ABOUT = {
    "model": "m", "operating_point": "one half", "calibrated": True, "dataset_hash": "abc",
    "split": "test", "modalities": "flair", "command": "c", "version": "0",
}  # fmt: skip


def blank(file_name: str) -> np.ndarray:
    planes = np.zeros((2, 16, 16), np.uint8)
    planes[1, 4:8, 4:8] = 255
    return planes


def epochs() -> list[dict]:
    return [
        {
            "stage": int(i > 2),
            "epoch": i,
            "image_size": 64 if i <= 2 else 128,
            "train_loss": 1 / (i + 1),
            "loss": None if i == 0 else 1.2 / (i + 1),
            "dice": float("nan") if i == 0 else 0.8,
            "auroc": 0.9,
            "sensitivity": 0.85,
            "specificity": 0.8,
            "lr": 1e-3,
            "images_per_second": 100.0,
        }
        for i in range(6)
    ]


@pytest.fixture
def undrawn(monkeypatch):
    """Skip the figures, which take most of the time, in tests of what a report says."""
    monkeypatch.setattr("brainai.evaluation.report._draw", lambda *_: [])


def test_a_complete_report_is_written_and_read_back(tmp_path, cohort):
    report = write_report(
        tmp_path / "out",
        cohort,
        threshold=0.5,
        about=ABOUT,
        load_slice=blank,
        history=epochs(),
    )
    assert unsealed((tmp_path / "out/report.json").read_bytes()) == report
    assert report["about"] == ABOUT
    assert report["n_patients"] == 12
    drawn = sorted(path.name for path in (tmp_path / "out/figures").iterdir())
    assert drawn == [
        "confusion.png",
        "learning_curves.png",
        "mask_dice.png",
        "reliability.png",
        "roc_pr.png",
        "top_losses.png",
    ]
    text = (tmp_path / "out/report.md").read_text()
    for name in drawn:
        assert f"(figures/{name})" in text
        with Image.open(tmp_path / "out/figures" / name) as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100  # something is drawn
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_only_figures_with_data_are_drawn(tmp_path, make_scores):
    scores = make_scores([0, 1], [0.1, 0.9])
    write_report(tmp_path, scores, threshold=0.5, about=ABOUT, load_slice=None, history=None)
    drawn = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert drawn == ["confusion.png", "reliability.png", "roc_pr.png"]
    assert "top_losses" not in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_an_undefined_figure_is_null_in_json_and_a_dash_in_text(tmp_path, make_scores):
    scores = make_scores([1, 1], [0.9, 0.2], patient=["a", "b"])
    write_report(tmp_path, scores, threshold=0.5, about=ABOUT)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["all"]["figures"]["auroc"]["value"] is None
    assert report["all"]["figures"]["auroc"]["undefined_resamples"] == 2000
    assert "| AUROC of slices | n/a | n/a to n/a | 2 | 2 |" in (tmp_path / "report.md").read_text()


def test_mask_figures_are_omitted_if_no_mask_was_scored(make_scores):
    report = build_report(make_scores([0, 1], [0.1, 0.9]), 0.5, ABOUT)
    assert "Dice of masks" not in table(report)
    assert "Mask Dice" in table(report)  # of the groups, as a dash


def test_the_table_shows_counts_values_and_groups(cohort):
    text = table(build_report(cohort, 0.25, ABOUT))
    assert "120 slices of 12 patients, 60 with tumor" in text
    assert "probability 0.250" in text
    assert "source brats (6 patients)" in text
    # 40 / 10 / 10 pixels: 80 / 100 for every patient, so the interval has no width.
    assert "Dice of masks, mean of patients  0.800   95 % 0.800 to 0.800" in text


def test_top_losses_begin_with_the_worst_slice(make_scores):
    asked = []
    scores = make_scores([1, 0, 1], [0.8, 0.7, 0.1])
    draw_top_losses(scores, 0.5, lambda name: asked.append(name) or blank(name))
    assert asked == ["images/c/002.png", "images/c/001.png", "images/c/000.png"]


def test_curves_are_drawn_per_source_only_if_there_are_two(cohort):
    def names(scores):
        axes = draw_curves(scores, 0.5).axes[0]
        return [text.get_text().split(":")[0] for text in axes.get_legend().get_texts()]

    assert names(cohort)[:3] == ["all", "brats", "lgg"]
    assert names(cohort.take(cohort.source == "lgg"))[:2] == ["all", "probability ≥ 0.50"]


def test_curves_of_one_class_are_labeled_undefined(make_scores):
    roc, recall = draw_curves(make_scores([0, 0], [0.1, 0.9]), 0.5).axes
    assert "undefined" in roc.get_legend().get_texts()[0].get_text()
    assert "undefined" in recall.get_legend().get_texts()[0].get_text()


def test_learning_curves_name_the_stages():
    axes = draw_learning_curves(epochs()).axes[0]
    assert [text.get_text() for text in axes.texts] == ["stage 1, 64 px", "stage 2, 128 px"]


@pytest.mark.usefixtures("undrawn")
def test_a_report_is_never_half_written(tmp_path, cohort, monkeypatch):
    write_report(tmp_path, cohort, threshold=0.5, about=ABOUT)
    before = (tmp_path / "report.json").read_text()
    replace_file = os.replace

    def replace_others(source, target):
        if Path(target).name == "report.json":
            pytest.fail("killed")
        replace_file(source, target)

    monkeypatch.setattr("os.replace", replace_others)
    with pytest.raises(pytest.fail.Exception):
        write_report(tmp_path, cohort, threshold=0.1, about=ABOUT)
    assert (tmp_path / "report.json").read_text() == before


@pytest.mark.usefixtures("undrawn")
def test_the_report_compares_with_the_baselines_source_by_source(tmp_path, cohort):
    blind = replace(cohort, probability=np.full(120, 0.5))
    report = write_report(
        tmp_path, cohort, threshold=0.5, about=ABOUT, baselines={"position": blind}
    )
    for group in ("all", "lgg", "brats"):
        assert report["baselines"]["position"][group]["auroc"]["value"] == 0.5
    text = (tmp_path / "report.md").read_text()
    assert "| position | 0.500 (0.500 to 0.500) |" in text
    assert "AUROC of position alone: all 0.500, brats 0.500, lgg 0.500" in table(report)


@pytest.mark.usefixtures("undrawn")
def test_calibration_is_reported_before_and_after(tmp_path, make_scores):
    scores = make_scores([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0], uncalibrated=[0.25] * 4)
    report = write_report(tmp_path, scores, threshold=0.5, about=ABOUT)
    # Before: all say 0.25, half are tumor. Brier: (2 × 0.25² + 2 × 0.75²) / 4.
    before = report["before_calibration"]["all"]
    assert (before["ece"]["value"], before["brier"]["value"]) == (0.25, 0.3125)
    assert report["all"]["figures"]["ece"]["value"] == 0
    assert (
        "| all | 0.250 (n/a to n/a) | 0.000 (n/a to n/a) |" in (tmp_path / "report.md").read_text()
    )


def test_sensitivity_is_reported_by_tumor_size(make_scores):
    scores = make_scores(
        [1, 1, 1, 1, 0], [0.1, 0.9, 0.9, 0.9, 0.9], tumor_pixels=[49, 50, 199, 5000, 0]
    )
    sizes = build_report(scores, 0.5, ABOUT)["size"]
    found = {name: (figure["value"], figure["n_slices"]) for name, figure in sizes.items()}
    assert found == {"1 to 49": (0, 1), "50 to 199": (1, 2), "2000 or more": (1, 1)}


def test_mask_dice_is_drawn_for_each_patient(cohort):
    axes = draw_mask_dice(cohort).axes[0]
    assert sum(len(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None") == 12
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [f"{name}: mean 0.800, median 0.800" for name in ("brats", "lgg")]


def test_reliability_shows_the_errors_before_and_after_calibration(make_scores):
    scores = make_scores([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0], uncalibrated=[0.25] * 4)
    legend = draw_reliability(scores).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == [
        "class score alone, uncalibrated: ECE 0.250",
        "final probability: ECE 0.000",
    ]


@pytest.mark.usefixtures("undrawn")
def test_specificity_on_phantoms_appears_in_report_and_table(tmp_path, cohort):
    figure = {"value": 0.9, "low": 0.8, "high": 1.0, "n_patients": 4, "n_slices": 80}
    report = write_report(
        tmp_path, cohort, threshold=0.5, about=ABOUT, phantoms={"with plaques": figure}
    )
    assert report["phantoms"] == {"with plaques": figure}
    assert "specificity (4 simulated people, with plaques): 0.900 (0.800 to 1.000)" in table(report)
    assert (
        "| with plaques (4) | 80 | 0.900 (0.800 to 1.000) |" in (tmp_path / "report.md").read_text()
    )


@pytest.mark.usefixtures("undrawn")
def test_figures_at_other_thresholds_are_listed_beside_the_operating_point(tmp_path, make_scores):
    scores = make_scores([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.9])
    info = ModelInfo(threshold=0.2, sensitive_threshold=0.1, youden_threshold=0.35)
    report = write_report(
        tmp_path, scores, threshold=info.threshold, about=ABOUT, points=other_points(info)
    )
    # From 0.5 on: 0.9 alone. From 0.35 on: 0.4 and 0.9.
    half, youden = report["points"]["probability of one half"], report["points"]["Youden point"]
    assert (half["threshold"], youden["threshold"]) == (0.5, 0.35)
    assert report["points"]["sensitive point"]["threshold"] == 0.1
    assert half["all"]["sensitivity"]["value"] == youden["all"]["sensitivity"]["value"] == 0.5
    assert half["all"]["specificity"]["value"] == 1
    assert youden["lgg"]["specificity"]["value"] == 0.5
    text = (tmp_path / "report.md").read_text()
    assert (
        "| 0.200, operating point | all | 0.800 (n/a to n/a) | 1.000 (n/a to n/a) | 0.500" in text
    )
    assert "| 0.350, Youden point | lgg | 0.500 (n/a to n/a) | 0.500 (n/a to n/a) | 0.500" in text


def outcome(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    """A report on `test` with only a Dice, and a sensitivity of half of it."""
    figure = {"value": value, "low": low, "high": high}
    half = {key: None if of is None else of / 2 for key, of in figure.items()}
    figures = {"dice": figure, "sensitivity": half}
    return {"about": {"split": "test", "modalities": "flair"}, "all": {"figures": figures}}


POINT = "best Dice (F1) on validation patients"


@pytest.mark.parametrize(
    ("point", "report", "words"),
    [
        (POINT, None, POINT),
        (POINT, outcome(0.874, 0.7597, 0.9574), f"{POINT}; Dice 87 % (76 to 96) on test patients"),
        (POINT, outcome(0.5), f"{POINT}; Dice 50 % on test patients"),
        (POINT, outcome(None), POINT),  # no tumor on `test`
        (POINT, outcome(0.5) | {"about": {"split": "valid"}}, POINT),
        (POINT, outcome(0.5) | {"about": {"split": "test", "modalities": "flair+t1c"}}, POINT),
        ("probability of one half; nothing was fitted", outcome(0.5),
         "probability of one half; nothing was fitted"),
    ],
)  # fmt: skip
def test_the_goal_of_the_threshold_is_stated_with_its_outcome_on_test(point, report, words):
    assert point_with_outcome(point, report) == words


@pytest.mark.usefixtures("undrawn")
def test_the_report_states_the_achieved_dice_beside_the_goal(tmp_path, make_scores):
    # 3 slices with tumor are found and one is not: 6 / 7 = 0.857.
    scores = make_scores([1, 1, 1, 1, 0], [0.9, 0.9, 0.9, 0.1, 0.1])
    write_report(tmp_path, scores, threshold=0.5, about=ABOUT | {"operating_point": POINT})
    assert (
        f"Operating point: {POINT}; Dice 86 % on test patients."
        in (tmp_path / "report.md").read_text()
    )


def test_patients_in_two_sources_are_reported(make_scores):
    scores = make_scores([0, 1, 0], [0.1, 0.9, 0.2], patient=["a", "a", "b"])
    assert shared_patients(build_report(scores, 0.5, ABOUT)) == ""
    scores = replace(scores, source=np.array(["brats", "lgg", "lgg"]))
    assert "1 + 2 patients, 2 in total:" in shared_patients(build_report(scores, 0.5, ABOUT))


@pytest.mark.usefixtures("undrawn")
def test_the_report_mentions_fitted_weights_only_if_they_were_fitted(tmp_path, make_scores):
    scores = make_scores([0, 1], [0.1, 0.9])
    for calibrated, words in (
        (True, "from class score and mask score with weights fitted on `valid`"),
        (False, "the final probability, for which nothing was fitted on `valid`"),
    ):
        write_report(tmp_path, scores, threshold=0.5, about=ABOUT | {"calibrated": calibrated})
        text = (tmp_path / "report.md").read_text()
        assert words in text
        assert ("with weights fitted" in text) == calibrated


@pytest.mark.usefixtures("undrawn")
def test_refusals_appear_in_report_and_table(tmp_path, cohort):
    figure = {"value": 0.95, "low": 0.9, "high": 1.0, "n_patients": 20, "n_slices": 20}
    scope = {"to keep": {"FLAIR of lgg": figure | {"value": 0.01}}, "to refuse": {"charts": figure}}
    report = write_report(tmp_path, cohort, threshold=0.5, about=ABOUT, scope=scope)
    assert report["scope"] == scope
    text = (tmp_path / "report.md").read_text()
    assert "| FLAIR of lgg | 20 | 20 | 0.010 (0.900 to 1.000) |" in text
    assert "| charts | 20 | 20 | 0.950 (0.900 to 1.000) |" in text
    assert "refused, to refuse:" in table(report)


@pytest.mark.usefixtures("undrawn")
def test_other_trainings_are_listed_beside_this_one(tmp_path, cohort):
    about = ABOUT | {"model_revision": "r2", "sites": "DU"}
    write_report(tmp_path / "du", cohort, threshold=0.5, about=about)
    other = read_report(tmp_path / "du" / "report.json")
    report = write_report(tmp_path / "out", cohort, threshold=0.5, about=ABOUT, others=[other])
    auroc = report["others"][0]["figures"]["auroc"]
    assert auroc == report["all"]["figures"]["auroc"]
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| DU | m r2 | 12 | 120 |" in text
    assert "another training on DU" in table(report)


def test_reading_an_invalid_report_raises_a_data_error(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "later.json").write_text(json.dumps(sealed({"format_version": 2})))
    for path in (tmp_path / name for name in ("report.json", "later.json", "nowhere.json")):
        with pytest.raises(DataError, match=r"expected a report\.json of this version"):
            read_report(path)


def test_a_report_has_all_documented_fields(cohort, make_scores):
    before = replace(cohort, uncalibrated=1 - cohort.probability, mask_hit=cohort.label)
    figure = {"value": 1.0}
    report = build_report(
        before, 0.4, ABOUT, {"place": make_scores([0, 1], [0.1, 0.9])}, {"spots": figure},
        {"half": 0.5}, {"to keep": {}}, {"groups": {}},
        [{"about": {"a": 1}, "all": {"figures": {"dice": figure}}}],
    )  # fmt: skip
    assert report["format_version"] == 1
    assert report["threshold"] == 0.4
    assert report["interval"] == {
        "method": "percentile bootstrap over patients",
        "level_percent": 95,
        "resamples": 2000,
        "seed": 0,
    }
    assert (report["n_slices"], report["n_positive_slices"]) == (120, 60)
    assert set(report["source"]) == {"lgg", "brats"}
    assert set(report["before_calibration"]) == {"all", "lgg", "brats"}
    said_the_contrary = report["before_calibration"]["all"]["brier"]["value"]
    assert said_the_contrary > 2 * report["all"]["figures"]["brier"]["value"]
    assert set(report["before_calibration"]["all"]) == {"ece", "brier"}
    assert report["baselines"]["place"]["all"].keys() == {"auroc"}
    assert report["baselines"]["place"]["all"]["auroc"]["value"] == 1
    assert report["hits"]["mask"]["value"] == 0.5  # of 120 slices with a known hit, 60 with tumor
    assert report["phantoms"] == {"spots": figure}
    assert report["points"]["half"]["threshold"] == 0.5
    assert report["points"]["half"]["all"].keys() == {"dice", "sensitivity", "specificity"}
    assert report["scope"] == {"to keep": {}}
    assert report["scans"] == {"groups": {}}
    assert report["others"] == [{"about": {"a": 1}, "figures": {"dice": figure}}]
    assert report["size"] == {}


def test_everything_given_to_write_report_is_in_the_file(tmp_path, cohort):
    figure = {"value": 1.0, "low": 1.0, "high": 1.0, "n_patients": 1, "n_slices": 1}
    sized = replace(cohort, tumor_pixels=cohort.label * 60)
    written = write_report(
        tmp_path, sized, threshold=0.5, about=ABOUT, phantoms={"spots": figure},
        points={"half": 0.5}, scope={"to keep": {"FLAIR": figure}},
        baselines={"place": cohort},
    )  # fmt: skip
    report = unsealed((tmp_path / "report.json").read_bytes())
    assert report == written
    for part in ("phantoms", "points", "scope", "baselines", "size"):
        assert report[part], part
    assert (tmp_path / "figures" / "sizes.png").exists()
    assert set(report["size"]) == {"50 to 199"}
