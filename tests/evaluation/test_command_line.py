"""`python -m brainai.evaluation`, from a model folder on disk."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from brainai.evaluation.__main__ import main
from brainai.model.folder import ModelInfo, write_model
from brainai.model.network import build_network

pytestmark = pytest.mark.usefixtures("few_pictures")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "weights"
    info = ModelInfo(architecture="test_resnet", image_size=32, name="tiny", revision="r1")
    write_model(folder, build_network("test_resnet"), info)
    return folder


def run(model, dataset, *more):
    return main(["--model", str(model), "--data", str(dataset), "--device", "cpu", *more])


def test_a_table_is_printed_and_a_report_written(model, dataset, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(model, dataset, "--split", "test", "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "3 slices of 3 patients, 2 with tumor" in printed
    assert "AUROC of slices" in printed
    about = json.loads((out / "report.json").read_text())["about"]
    assert about["model"] == "tiny"
    assert about["split"] == "test"
    assert about["dataset_hash"].startswith("0123456789abcdef")
    assert about["command"].startswith("python -m brainai.evaluation --model")
    assert (out / "figures/top_losses.png").is_file()


def test_without_out_nothing_is_written(model, dataset, capsys, monkeypatch, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert run(model, dataset) == 0
    assert "AUROC of slices" in capsys.readouterr().out
    assert not list(empty.iterdir())


def test_scope_only_prints_nothing_but_the_refusals(model, dataset, capsys, tmp_path):
    heads, out = tmp_path / "heads", tmp_path / "out"
    heads.mkdir()
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).save(heads / "head.png")
    assert run(model, dataset, "--scope-only", "--decoys", str(heads), "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "AUROC" not in printed
    assert "Pictures, heads, the rest                            0.000 of 1" in printed
    assert not out.exists()


def test_slices_that_lack_a_sequence_are_reported(model, dataset, capsys):
    assert run(model, dataset, "--modalities", "flair+t1c+t2") == 0
    assert "2 slices lack a sequence of flair+t1c+t2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere is not a dataset folder"),
        (["--split", "tset"], "found 'tset'"),
        (["--modalities", "t1c"], "found 't1c'"),
        (["--model", "nowhere"], "nowhere is not a model folder"),
        (["--model", "nobody/nothing"], "HF_HUB_OFFLINE is set"),
        (["--beside", "nowhere.json"], "nowhere.json: expected a report.json"),
    ],
)
def test_user_errors_print_one_line_and_exit_with_status_2(
    model, dataset, capsys, arguments, message
):
    assert run(model, dataset, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err


def test_a_batch_size_of_zero_is_refused(model, dataset, capsys):
    assert run(model, dataset, "--batch-size", "0") == 2
    assert "at least 1" in capsys.readouterr().err
