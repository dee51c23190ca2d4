"""Existing weights, fitted and evaluated again with other data."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy import write_dataset

from brainai.data.dataset import read_dataset_info, read_records, write_records
from brainai.errors import ConfigError, DataError
from brainai.evaluation.calibration import OPERATING_POINT
from brainai.evaluation.metrics import average_precision
from brainai.evaluation.score import score_split
from brainai.hub.card import CHARTS, model_card
from brainai.inference.classifier import Classifier
from brainai.model.folder import ModelInfo, load_model, load_scope, read_model_info
from brainai.model.network import BrainNet, build_network
from brainai.training.finish import finish, main
from brainai.web.about_page import weights_facts
from brainai.web.endpoints import info_form
from brainai.web.interface import notices

pytestmark = pytest.mark.usefixtures("few_pictures")


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data set with two patients of `test`, so that no other split has as many."""
    data = write_dataset(tmp_path_factory.mktemp("uneven"))
    records = [record for record in read_records(data) if record.patient_id != "test2"]
    write_records(data / "metadata.csv", records)
    return data


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the figures, which take most of the time."""
    monkeypatch.setattr("brainai.evaluation.report._draw", lambda *_: [])


@pytest.fixture(scope="module")
def out(
    model_folder: Path,
    dataset_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    few_pictures: None,
) -> Path:
    """Finished with two updates for the scope."""
    folder = tmp_path_factory.mktemp("finished")
    call = ["--model", str(model_folder), "--data", str(dataset_folder), "--out", str(folder)]
    assert main([*call, "--scope-steps", "2"]) == 0
    return folder


def test_only_the_values_fitted_on_valid_change(
    out: Path, model_folder: Path, dataset_folder
) -> None:
    before, old = load_model(model_folder)
    after, new = load_model(out / "model")
    own, fitted = before.state_dict(), after.state_dict()
    assert own.keys() == fitted.keys()
    for name in own.keys() - {"decoder.mask.bias"}:  # it is shifted to fit the masks
        assert torch.equal(fitted[name], own[name]), name
    assert new.operating_point == OPERATING_POINT
    assert new.threshold != old.threshold
    assert new.revision != old.revision
    assert new.training == old.training
    assert new.calibration_hash == read_dataset_info(dataset_folder)["content_hash"]
    assert load_scope(out / "model") is not None


def test_report_and_card_describe_the_written_model(out: Path) -> None:
    report = json.loads((out / "report.json").read_text())
    info = read_model_info(out / "model")
    assert report["about"]["model_revision"] == info.revision
    assert report["about"]["command"].startswith("python -m brainai.training.finish --model")
    assert report["threshold"] == info.threshold
    assert "noise" in report["scope"]["to refuse"]
    charts = [name for name in CHARTS if (out / "figures" / name).exists()]
    assert (out / "model" / "README.md").read_text() == model_card(info, report, charts)
    assert {path.name for path in (out / "model" / "figures").iterdir()} == set(charts)
    assert "roc_pr.png" in charts
    assert (out / "figures" / "top_losses.png").exists()  # shows scans, and is not published


def test_the_scope_of_the_model_is_kept_if_none_is_trained(
    out, dataset_folder, tmp_path, undrawn
) -> None:
    call = ["--model", str(out / "model"), "--data", str(dataset_folder), "--out", str(tmp_path)]
    assert main(call) == 0
    own, kept = load_scope(out / "model"), load_scope(tmp_path / "model")
    for name, value in kept.state_dict().items():
        if name not in ("margins", "reach"):
            assert torch.equal(value, own.state_dict()[name]), name


def test_an_empty_split_is_refused_before_anything_is_fitted(
    model_folder, tmp_path, capsys
) -> None:
    data = write_dataset(tmp_path / "data")
    records = [record for record in read_records(data) if record.split != "test"]
    write_records(data / "metadata.csv", records)
    call = ["--model", str(model_folder), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main(call) == 2
    assert "found none in test" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_claims_to_be_fitted_if_valid_has_one_class(
    model_folder, tmp_path, undrawn, capsys
) -> None:
    data = write_dataset(tmp_path / "data")
    records = [replace(r, label=1) if r.split == "valid" else r for r in read_records(data)]
    write_records(data / "metadata.csv", records)
    call = ["--model", str(model_folder), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main([*call, "--scope-steps", "0"]) == 0
    assert "score weights and thresholds were not fitted" in capsys.readouterr().out
    model = tmp_path / "out" / "model"
    classifier = Classifier.load(model, device="cpu")
    info = classifier.info
    assert not info.calibrated
    assert info.operating_point == "probability of one half; nothing was fitted"
    card, report = (model / "README.md").read_text(), (tmp_path / "out/report.md").read_text()
    assert "Fitted on patients of `valid`: nothing." in card
    for text in (card, report):
        assert "probability of one half; nothing was fitted." in text
        assert "for which nothing was fitted on `valid`" in text
        assert "with weights fitted" not in text
    told = info_form(info, None, classifier.weights)
    assert (told["calibration"], told["operating_point"]) == ("not fitted", info.operating_point)
    assert weights_facts(info, classifier.weights)["Calibration"] == "not fitted"
    assert notices(info, classifier.weights)[0].endswith("are not calibrated.")


def test_calibration_uses_the_given_device(model_folder, dataset_folder, tmp_path) -> None:
    network, info = load_model(model_folder)
    with pytest.raises(ConfigError, match="found 'ipu'"):
        finish(network, info, dataset_folder, tmp_path, None, command="", device="ipu")


def test_without_scope_steps_there_is_no_scope(
    model_folder, dataset_folder, tmp_path, undrawn
) -> None:
    call = ["--model", str(model_folder), "--data", str(dataset_folder), "--out", str(tmp_path)]
    assert main([*call, "--scope-steps", "0"]) == 0
    assert load_scope(tmp_path / "model") is None


def test_user_errors_print_one_line_and_exit_with_status_2(model_folder, tmp_path, capsys) -> None:
    call = ["--model", str(model_folder), "--data", "nowhere", "--out", str(tmp_path / "out")]
    assert main(call) == 2
    assert "nowhere is not a dataset folder" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_all_figures_come_from_the_patients_of_test(out: Path, dataset_folder: Path) -> None:
    report = json.loads((out / "report.json").read_text())
    assert report["about"]["split"] == "test"
    assert (report["n_patients"], report["n_slices"]) == (2, 16)
    figures = [groups["all"]["auroc"] for groups in report["baselines"].values()]
    figures.append(report["scope"]["to keep"]["FLAIR of toy"])
    scans = report["scans"]["groups"]["all"]
    assert (scans["n_tumor"], scans["n_tumor_free"]) == (2, 0)
    for figure in figures:
        assert (figure["n_patients"], figure["n_slices"]) == (2, 16)
    published, info = load_model(out / "model")
    scores = score_split(published, info, dataset_folder, "test", progress=False)
    assert report["average_precision"] == average_precision(scores.label, scores.probability)


def test_the_network_is_rounded_as_it_will_be_stored_before_fitting(
    dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """float32 to half and back: 33.01 becomes 33, since halves lie 1/32 apart there."""
    network = build_network("test_resnet")
    network.decoder.mask.bias.data.fill_(33.01)
    found = []

    def stop(network: BrainNet, *_: object, **options) -> None:
        found.append(network.decoder.mask.bias.item())
        raise DataError("stopped")

    monkeypatch.setattr("brainai.training.finish.calibrate", stop)
    info = ModelInfo(architecture="test_resnet", image_size=32)
    with pytest.raises(DataError, match="stopped"):
        finish(network, info, dataset_folder, tmp_path, None, command="c")
    assert found == [33.0]
