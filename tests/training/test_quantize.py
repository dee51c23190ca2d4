"""Quantize a model: int8 is written if the figures on `valid` stay, and only then."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainai.data.dataset import SliceRecord
from brainai.errors import ConfigError
from brainai.inference.classifier import Classifier
from brainai.model.folder import load_model
from brainai.training import quantize
from brainai.training.quantize import check_losses, choose_slices, figures_of, losses, main

VALID = {"all": {"auroc": 0.9, "dice": 0.8}, "lgg": {"auroc": 0.95, "dice": 0.7}}


class Rows:
    """What `choose_slices` reads of a store: 200 slices of one source, 3 of another."""

    def __init__(self) -> None:
        slices = ["brats"] * 200 + ["lgg"] * 3
        self.records = [
            SliceRecord("", "", 0, "p", "c", 0, 1, ("flair",), source, "", 0, 1.0, "train")
            for source in slices
        ]


def test_large_sources_give_75_slices_and_small_ones_all() -> None:
    chosen = choose_slices(Rows(), np.arange(203))
    assert len(set(chosen)) == 78
    assert list(chosen) == sorted(chosen)
    assert set(chosen) >= {200, 201, 202}
    assert chosen[:75].max() > 150  # not only the first patients


def test_a_loss_is_the_drop_of_a_figure() -> None:
    after = {"all": {"auroc": 0.88, "dice": 0.81}, "lgg": {"auroc": 0.95, "dice": 0.4}}
    found = losses(VALID, after)
    assert found["all"] == pytest.approx({"auroc": 0.02, "dice": -0.01})
    assert found["lgg"] == pytest.approx({"auroc": 0.0, "dice": 0.3})


@pytest.mark.parametrize("name", ["auroc", "dice"])
def test_an_undefined_figure_is_refused_wherever_it_comes(name: str) -> None:
    after = VALID | {"all": VALID["all"] | {name: float("nan")}}
    with pytest.raises(ConfigError, match=rf"fall by at most 0\.003, found (?i:{name}).*: nan\. N"):
        check_losses(VALID, after)


def test_only_the_figures_on_all_slices_are_compared() -> None:
    check_losses(VALID, VALID | {"lgg": {"auroc": 0.1, "dice": float("nan")}})
    with pytest.raises(ConfigError, match=r"found Dice of slices \(F1\): 0\.0040\. Nothing"):
        check_losses(VALID, VALID | {"all": {"auroc": 0.9, "dice": 0.796}})


def test_a_network_without_decoder_is_compared_without_masks(
    model_folder: Path, dataset_folder: Path
) -> None:
    network, info = load_model(model_folder)
    network.decoder = None
    found = figures_of(network, replace(info, decoder=False), dataset_folder)
    assert found["all"].keys() == {"auroc", "dice"}


def test_a_folder_that_cannot_be_written_is_reported_before_the_work_begins(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(dir))

    monkeypatch.setattr(quantize, "find_spec", lambda name: True)
    monkeypatch.setattr(quantize, "TemporaryFile", refuse)
    monkeypatch.setattr(quantize, "open_store", None)  # calling it would be an error
    assert main(["--model", str(model_folder), "--data", "d"]) == 2
    assert "int8.xml cannot be written or read (Read-only file" in capsys.readouterr().err


def test_without_nncf_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(quantize, "find_spec", lambda name: None)
    assert main(["--data", str(tmp_path)]) == 2
    assert "pip install brainai[int8]" in capsys.readouterr().err


def figures(middle: float) -> dict[str, dict[str, float]]:
    """Three figures, of which only the middle one is given."""
    return {"all": {"auroc": 0.9, "dice": middle, "mask_dice": 0.8}}


def test_int8_is_not_written_if_one_figure_of_three_falls_too_far(
    model_folder: Path,
    dataset_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    pytest.importorskip("nncf")
    for name in ("quantize", "compile_int8", "with_engine"):  # these take seconds
        monkeypatch.setattr(quantize, name, lambda *_: None)
    monkeypatch.setattr(quantize, "write_int8", None)  # calling it would be an error
    told = iter([figures(0.8969), figures(0.9)])  # the quantized network is measured first
    monkeypatch.setattr(quantize, "figures_of", lambda *_: next(told))
    assert main(["--model", str(model_folder), "--data", str(dataset_folder)]) == 2
    assert "at most 0.003" in capsys.readouterr().err


@pytest.mark.slow
def test_int8_is_written_if_no_figure_falls_too_far(
    model_folder: Path, dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    measured = []
    real = quantize.figures_of

    def measure(*given) -> dict[str, dict[str, float]]:
        measured.append(real(*given))
        return figures(0.9 if len(measured) == 2 else 0.8971)

    monkeypatch.setattr(quantize, "figures_of", measure)
    folder = shutil.copytree(model_folder, tmp_path / "model")
    assert main(["--model", str(folder), "--data", str(dataset_folder)]) == 0
    assert {"int8.xml", "int8.bin"} <= {path.name for path in folder.iterdir()}
    assert {"auroc", "dice", "mask_dice"} == set(measured[0]["all"])
    assert measured[0].keys() == measured[1].keys()
    own, compiled = (Classifier.load(folder, engine=name) for name in ("torch", "int8"))
    y, x = np.mgrid[:64, :64] - 32
    head = (np.hypot(x, y) < 26) * (80 + 60 * (np.hypot(x - 8, y) < 6))
    first, second = (each.predict(head.astype(np.uint8)) for each in (own, compiled))
    assert second.probability == pytest.approx(first.probability, abs=0.05)
