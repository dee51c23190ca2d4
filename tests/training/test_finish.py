"""Weights that are there, finished anew with data of one's own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy import write_dataset

from brainai.data.dataset import read_info as read_dataset_info
from brainai.data.dataset import read_records, write_records
from brainai.evaluation.calibration import OPERATING_POINT
from brainai.hub.card import CHARTS, model_card
from brainai.inference.classifier import Classifier
from brainai.model.folder import load_model, load_scope, read_info
from brainai.training.finish import main
from brainai.web.about_page import weights_section
from brainai.web.endpoints import info_form
from brainai.web.interface import notices


@pytest.fixture(scope="module")
def out(model_folder: Path, dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished with two updates for the scope."""
    folder = tmp_path_factory.mktemp("finished")
    call = ["--model", str(model_folder), "--data", str(dataset_folder), "--out", str(folder)]
    assert main([*call, "--scope-steps", "2"]) == 0
    return folder


def test_only_what_is_fitted_on_valid_is_new(out: Path, model_folder: Path, dataset_folder) -> None:
    before, old = load_model(model_folder)
    after, new = load_model(out / "model")
    for name, value in after.classifier.state_dict().items():
        assert (value == before.classifier.state_dict()[name]).all(), name
    assert new.operating_point == OPERATING_POINT
    assert new.threshold != old.threshold
    assert new.revision != old.revision
    assert new.training == old.training
    assert new.calibration_hash == read_dataset_info(dataset_folder)["content_hash"]
    assert load_scope(out / "model") is not None


def test_report_and_card_are_of_what_was_written(out: Path) -> None:
    report = json.loads((out / "report.json").read_text())
    info = read_info(out / "model")
    assert report["about"]["model_revision"] == info.revision
    assert report["about"]["command"].startswith("python -m brainai.training.finish --model")
    assert report["threshold"] == info.threshold
    assert "noise" in report["scope"]["to refuse"]
    charts = [name for name in CHARTS if (out / "figures" / name).exists()]
    assert (out / "model" / "README.md").read_text() == model_card(info, report, charts)
    assert {path.name for path in (out / "model" / "figures").iterdir()} == set(charts)
    assert "roc_pr.png" in charts
    assert (out / "figures" / "top_losses.png").exists()  # shows scans, and stays here


def test_the_models_own_scope_stays_where_none_is_trained(out, dataset_folder, tmp_path) -> None:
    call = ["--model", str(out / "model"), "--data", str(dataset_folder), "--out", str(tmp_path)]
    assert main(call) == 0
    own, kept = load_scope(out / "model"), load_scope(tmp_path / "model")
    for name, value in kept.state_dict().items():
        if name not in ("margins", "reach"):
            assert torch.equal(value, own.state_dict()[name]), name


def test_an_empty_split_is_told_before_anything_is_fitted(model_folder, tmp_path, capsys) -> None:
    data = write_dataset(tmp_path / "data")
    records = [record for record in read_records(data) if record.split != "test"]
    write_records(data / "metadata.csv", records)
    call = ["--model", str(model_folder), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main(call) == 2
    assert "found none in test" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_where_valid_has_one_class_no_page_says_that_something_was_fitted(
    model_folder, tmp_path
) -> None:
    data = write_dataset(tmp_path / "data")
    records = [replace(r, label=1) if r.split == "valid" else r for r in read_records(data)]
    write_records(data / "metadata.csv", records)
    call = ["--model", str(model_folder), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main([*call, "--scope-steps", "0"]) == 0
    model = tmp_path / "out" / "model"
    classifier = Classifier.load(model, device="cpu")
    info = classifier.info
    assert not info.calibrated
    assert info.operating_point == "probability of one half; nothing was fitted"
    card, report = (model / "README.md").read_text(), (tmp_path / "out/report.md").read_text()
    assert "Fitted on patients of `valid`: nothing." in card
    for text in (card, report):
        assert "from probability 0.500 on: probability of one half; nothing was fitted." in text
        assert "for which nothing was fitted on `valid`" in text
        assert "by what was fitted" not in text
    told = info_form(info, None, classifier.weights)
    assert (told["calibration"], told["operating_point"]) == ("not fitted", info.operating_point)
    assert "<dt>Calibration</dt><dd>not fitted</dd>" in weights_section(info, classifier.weights)
    assert notices(info, classifier.weights)[0].endswith("were not calibrated.")


def test_without_updates_there_is_no_scope(model_folder, dataset_folder, tmp_path) -> None:
    call = ["--model", str(model_folder), "--data", str(dataset_folder), "--out", str(tmp_path)]
    assert main([*call, "--scope-steps", "0"]) == 0
    assert load_scope(tmp_path / "model") is None


def test_what_a_user_can_mend_is_one_line_and_status_2(model_folder, tmp_path, capsys) -> None:
    call = ["--model", str(model_folder), "--data", "nowhere", "--out", str(tmp_path / "out")]
    assert main(call) == 2
    assert "nowhere is not a dataset folder" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
