"""The model card: what the Hub reads of it, and what people read."""

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from huggingface_hub import ModelCard

from brainai import DISCLAIMER
from brainai.errors import DataError
from brainai.hub.card import CHARTS, METRICS, model_card
from brainai.hub.describe import main, write_card
from brainai.hub.terms import NO_HEALTHY_PERSON, NON_COMMERCIAL
from brainai.model.folder import read_model_info

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights"
SCHEMA = json.loads((Path(__file__).parent / "front_matter.schema.json").read_text())
SOURCES = ("brats", "lgg", "pairs", "phantom", "tumor-free")
NAMES = {"all sources": "all"} | {name: name for name in SOURCES}


@pytest.fixture(scope="module")
def info():
    return read_model_info(WEIGHTS)


@pytest.fixture(scope="module")
def report() -> dict:
    return json.loads((WEIGHTS / "report.json").read_text())


def test_the_front_matter_matches_the_hubs_schema(info, report) -> None:
    card = ModelCard(model_card(info, report))
    front_matter = card.data.to_dict()
    jsonschema.validate(front_matter, SCHEMA)
    assert front_matter["datasets"] == ["brats", "lgg-mri-segmentation"]
    assert "base_model" not in front_matter  # of random weights


def test_a_run_from_imagenet_weights_or_the_hub_names_its_base_model(info, report) -> None:
    for start, base in (
        ("timm/resnet50.a1_in1k", "timm/resnet50.a1_in1k"),
        ("me/model@v1", "me/model"),
    ):
        began = replace(info, training=info.training | {"started_from": start})
        card = ModelCard(model_card(began, report))
        jsonschema.validate(card.data.to_dict(), SCHEMA)
        assert card.data.base_model == base
        assert f"Training started from {start}." in card.text


def test_every_figure_in_the_front_matter_equals_that_of_the_report(info, report) -> None:
    results = ModelCard(model_card(info, report)).data.eval_results
    # Six figures of all slices and of two sources; fewer for one class or without outlines.
    assert len(results) == 26
    keys = {metric: key for key, metric in METRICS.items()}
    for result in results:
        group = NAMES[result.dataset_name]
        summary = report["all"] if group == "all" else report["source"][group]
        figure = summary["figures"][keys[result.metric_type]]
        assert result.metric_value == figure["value"]
        assert result.dataset_split == "test"


def test_every_number_in_the_text_comes_from_the_report(info, report) -> None:
    text = ModelCard(model_card(info, report)).text.split("## Evaluation")[1]

    def leaves(value) -> list[float]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list):
            return [leaf for one in value for leaf in leaves(one)]
        return [value] if isinstance(value, float) else []

    known = {f"{leaf:.3f}" for leaf in leaves(report)} | {"0.000", "1.000", "0.500"}
    shown = set(re.findall(r"\b\d\.\d{3}\b", text))
    assert len(shown) > 100
    assert shown <= known


@pytest.mark.parametrize(
    "title",
    [
        "Intended use", "Out of scope", "How to use it", "Training data and its terms",
        "Training procedure", "Evaluation on held-out patients", "Calibration", "By site", "Limits",
    ],
)  # fmt: skip
def test_the_card_has_the_section(info, report, title: str) -> None:
    assert f"\n## {title}\n" in model_card(info, report)


def test_the_card_says_how_to_load_the_model_from_its_location(info, report) -> None:
    here, there = model_card(info, report), model_card(info, report, repository="me/model")
    assert DISCLAIMER in there
    assert 'Classifier.load("me/model")' in there
    assert 'timm.create_model("hf-hub:me/model", pretrained=True)' in there
    assert 'api_name="/predict"' in there
    assert 'create_model("local-dir:this folder"' in here
    assert "accelerate launch train.py --preset further" in there


def test_the_card_states_the_outcome_of_the_operating_point_on_test(info, report) -> None:
    wanted = "best Dice (F1) on validation patients, specificity of at least 97 % in those without "
    wanted += "a tumor"
    assert f"{wanted}; Dice 87 % (77 to 93) on test patients" in model_card(info, report)
    figure = {"value": 0.624, "low": 0.5, "high": 0.701, "n_patients": 14, "n_slices": 777}
    figures = report["all"]["figures"] | {"dice": figure}
    other = report | {"all": report["all"] | {"figures": figures}}
    assert f"{wanted}; Dice 62 % (50 to 70) on test patients" in model_card(info, other)


def test_the_card_says_what_was_fitted_and_what_was_not(info, report) -> None:
    info = replace(info, neighbor_weights=None)
    without_scans = model_card(replace(info, scan_weights=None), report)
    whole = "Fitted on patients of `valid`: probability, threshold, the limits of “Cannot judge”."
    assert f"{whole}\n" in without_scans
    unfitted = model_card(replace(info, calibration_hash="", scan_weights=None), report)
    assert (
        "Fitted on patients of `valid`: the limits of “Cannot judge”. Not fitted: probability, "
        "threshold."
    ) in unfitted
    with_scans = model_card(info, report)
    assert "threshold, the verdict on whole scans, the limits of “Cannot judge”." in with_scans
    together = model_card(replace(info, neighbor_weights=(1.0, 0.0)), report)
    assert "on whole scans, the probability of slices within scans, the limits" in together
    neither = model_card(replace(info, calibration_hash="", scope=False, scan_weights=None), report)
    assert "Fitted on patients of `valid`: nothing." in neither


def test_whole_scans_are_listed_if_the_report_has_them(info, report) -> None:
    assert "Whole scans" not in model_card(info, report | {"scans": {}})
    group = {"n_tumor": 2, "found": 2, "n_tumor_free": 1, "wrongly_called": 0}
    group |= {"tumor": [0.8, 0.9], "tumor_free": [0.1]}
    scans = {"threshold": 0.5, "groups": {"all": group}}
    assert "| all | 2 of 2 | 0.800 | 0 of 1 | 0.100 |" in model_card(
        info, report | {"scans": scans}
    )


def test_a_note_appears_only_for_the_weights_that_have_one(info, report) -> None:
    assert "was trained apart" in model_card(info, report)
    training = {key: value for key, value in info.training.items() if key != "note"}
    assert "apart" not in model_card(replace(info, training=training), report)


def test_the_license_of_a_source_is_stated_only_if_it_was_trained_on(info, report) -> None:
    assert NON_COMMERCIAL in model_card(info, report)
    other = replace(info, training=info.training | {"sources": ["phantom"]})
    assert NON_COMMERCIAL not in model_card(other, report)


@pytest.mark.parametrize(
    ("sources", "said"),
    [(["brats", "lgg", "pairs"], True), (["lgg", "tumor-free"], False), (["folders"], False)],
)
def test_the_lack_of_healthy_people_is_stated_if_the_sources_have_none(
    info, report, sources: list[str], said: bool
) -> None:
    other = replace(info, training=info.training | {"sources": sources})
    assert (NO_HEALTHY_PERSON in model_card(other, report)) is said


def test_nothing_is_claimed_about_data_sets_of_the_user(info, report) -> None:
    other = replace(info, training=info.training | {"sources": ["tumor-free", "pairs"]})
    terms = model_card(other, report).split("## Training data and its terms")[1].split("\n## ")[0]
    people = "FLAIR scans and pictures of people without a tumor"
    assert f"- {people}; the terms of the data set apply\n" in terms
    assert "- FLAIR slices with masks; the terms of the data set apply\n" in terms
    assert not re.search("BraTS|Lesjak|sclerosis|CC BY", terms)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "pairs",
            "The model was not tested on children, on other lesions of real people, on healthy "
            "people, or on scanners other than those of the data sets above.",
        ),
        (
            "tumor-free",
            "The model was not tested on children, or on scanners other than those of the data "
            "sets above.",
        ),
    ],
)
def test_the_limits_say_on_whom_the_model_was_not_tested(
    info, report, source: str, words: str
) -> None:
    groups = {name: report["source"]["lgg"] for name in ("lgg", source)}
    other = report | {"source": groups}
    limits = model_card(info, other).split("\n## Limits\n")[1]
    assert " ".join(limits.split()).startswith(
        f"Few patients were held out, so read the intervals. {words} The model misses small lesions"
    )


def test_charts_show_no_scan_and_lie_beside_the_card() -> None:
    card = (WEIGHTS / "README.md").read_text()
    shown = re.findall(r"!\[[^]]+\]\((.+?)\)", card)
    assert {Path(name).name for name in shown} <= set(CHARTS)
    assert all((WEIGHTS / name).is_file() for name in shown)
    assert "top_losses.png" not in CHARTS


def test_the_report_of_other_weights_is_refused(model_folder, tmp_path, report, capsys) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(DataError, match="evaluate these"):
        write_card(model_folder, tmp_path)
    assert main([str(model_folder), str(tmp_path)]) == 2
    assert "evaluate these" in capsys.readouterr().err
