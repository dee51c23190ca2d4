"""`python -m brainai.inference`: what it prints, what it writes, and how it refuses."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brainai import DISCLAIMER
from brainai.errors import OutOfScope
from brainai.inference.__main__ import main


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "slice.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture
def scan(tmp_path: Path) -> str:
    voxels = np.zeros((64, 64, 4), np.int16)
    voxels[10:54, 10:54, 1:] = np.random.default_rng(0).integers(50, 300, (44, 44, 3))
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1, -1, 5, 1])), tmp_path / "flair.nii.gz")
    return str(tmp_path / "flair.nii.gz")


def test_a_picture_gets_a_one_line_verdict(model_folder, picture, capsys) -> None:
    assert main(["--flair", picture, "--model", str(model_folder)]) == 0
    verdict, disclaimer = capsys.readouterr().out.strip().splitlines()
    assert verdict.split(":")[0] in ("Tumor", "No Tumor")
    assert disclaimer == DISCLAIMER


def test_json_of_a_picture_can_be_read_back(model_folder, picture, capsys) -> None:
    assert main(["--flair", picture, "--t2", picture, "--model", str(model_folder), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert 0 <= values["probability"] <= 1
    assert values["disclaimer"] == DISCLAIMER
    assert "slices" not in values


def test_a_picture_that_cannot_be_judged_exits_with_status_0(
    model_folder, tmp_path, capsys
) -> None:
    color = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(color).save(tmp_path / "color.png")
    call = ["--flair", str(tmp_path / "color.png"), "--model", str(model_folder)]
    assert main(call) == 0
    assert capsys.readouterr().out.startswith("Cannot judge: color picture\n")
    assert main([*call, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["label"], values["reason"]) == ("Cannot judge", "color picture")
    assert values["probability"] is None


def test_a_scan_out_of_scope_exits_with_status_0_and_writes_nothing(
    model_folder, scan, tmp_path, capsys, monkeypatch
) -> None:
    def refuse(*_, **__):
        raise OutOfScope("FLAIR: …", "looks like T1 or T2, not like FLAIR")

    monkeypatch.setattr("brainai.inference.classifier.judge_scan", refuse)
    call = ["--flair", scan, "--model", str(model_folder), "--out", str(tmp_path / "out")]
    assert main([*call, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["label"] == "Cannot judge"
    assert values["reason"] == "looks like T1 or T2, not like FLAIR"
    assert not (tmp_path / "out").exists()


def test_the_mask_and_table_of_a_scan_are_written(model_folder, scan, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["--flair", scan, "--model", str(model_folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "of 3 judged slices" in printed
    assert printed.strip().endswith(DISCLAIMER)
    assert sorted(path.name for path in out.iterdir()) == ["mask.nii.gz", "slices.csv"]
    assert nibabel.load(out / "mask.nii.gz").shape == (64, 64, 4)
    assert len(list(csv.DictReader((out / "slices.csv").open()))) == 4


def test_json_of_a_scan_has_its_slices(model_folder, scan, capsys) -> None:
    assert main(["--flair", scan, "--model", str(model_folder), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["slices"][0]["probability"] is None
    assert [row["position_mm"] for row in values["slices"]] == [0, 5, 10, 15]
    assert values["volume_ml"] >= 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--flair is missing"),
        (["--t1c", "t1c.nii.gz"], "--flair is missing"),
        (["--flair", "slice.png", "--out", "out"], "--out is only for scans"),
        (["--flair", "nowhere.nii.gz"], "found no file or folder of this name"),
        (["--flair", "slice.png", "--model", "nowhere"], "not a model folder"),
    ],
)
def test_user_errors_print_one_line_and_exit_with_status_2(
    model_folder, capsys, arguments, words
) -> None:
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(model_folder)]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1
