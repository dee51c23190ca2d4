"""Checkpoints and weights: on a full disk, and damaged in every way."""

import errno
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from faults import damage, every_damage, listing, seal, small_files

from brainai.errors import ConfigError, StorageError, WeightsError
from brainai.model.folder import ModelInfo, load_model, write_model
from brainai.model.network import build_network
from brainai.training.__main__ import main
from brainai.training.checkpoints import (
    Progress,
    load_best,
    load_checkpoint,
    log_epoch,
    read_history,
    save_best,
    save_checkpoint,
    write_config,
)
from brainai.training.config import TrainConfig, parse_config
from brainai.training.distributed import in_main_process, main_process_first


@pytest.fixture(autouse=True)
def own_state() -> Iterator[None]:
    """Reset the state that Accelerate keeps for the life of a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def config(dataset_folder: Path, tmp_path: Path) -> TrainConfig:
    """A run of two epochs whose weights are 1 and 2."""
    options = ["--preset", "smoke", "--data", str(dataset_folder), "--out", str(tmp_path / "run")]
    config = parse_config(options)
    for epoch in (0, 1):
        log_epoch(config.out, {"stage": 1, "epoch": epoch, "auroc": 0.5})
        state = {"network": {"weight": torch.tensor(epoch + 1.0)}}
        save_checkpoint(config, Progress(1, epoch + 1, best=0.5), state)
    save_best(config.out, build_network("test_resnet"))
    return config


def test_the_last_checkpoint_is_used_if_it_is_intact(config: TrainConfig) -> None:
    told = []
    progress, saved = load_checkpoint(config, told.append)
    assert (progress.epoch, saved["network"]["weight"].item(), told) == (2, 2.0, [])


@every_damage
def test_a_damaged_checkpoint_is_replaced_by_the_previous_one(
    config: TrainConfig, how: str
) -> None:
    told = []
    damage(config.out / "checkpoints" / "last.pt", how)
    progress, saved = load_checkpoint(config, told.append)
    assert (progress.epoch, saved["network"]["weight"].item()) == (1, 1.0)
    assert len(told) == 1
    assert "last.pt is damaged or missing: the run goes on from previous.pt" in told[0]


@every_damage
def test_two_damaged_checkpoints_are_refused(config: TrainConfig, how: str) -> None:
    for name in ("last.pt", "previous.pt"):
        damage(config.out / "checkpoints" / name, how)
    with pytest.raises(WeightsError, match=r"Every checkpoint in .* is damaged\. Copy last\.pt"):
        load_checkpoint(config)


@every_damage
def test_damaged_best_weights_are_refused_before_hours_of_training(
    config: TrainConfig, how: str
) -> None:
    damage(config.out / "checkpoints" / "best.safetensors", how)
    for read in (
        lambda: load_checkpoint(config),
        lambda: load_best(config.out, build_network("test_resnet")),
    ):
        with pytest.raises(WeightsError, match=r"best\.safetensors is damaged or missing"):
            read()


def test_best_weights_of_another_network_are_refused(config: TrainConfig) -> None:
    with pytest.raises(WeightsError, match="the weights of another network"):
        load_best(config.out, build_network("test_resnet", decoder=False))


@every_damage
def test_the_log_of_epochs_is_restored_from_the_checkpoint(config: TrainConfig, how: str) -> None:
    damage(config.out / "metrics.jsonl", how)
    _, saved = load_checkpoint(config)
    assert [(line["epoch"], line["auroc"]) for line in saved["history"]] == [(0, 0.5), (1, 0.5)]


def test_a_checkpoint_runs_no_code(config: TrainConfig, tmp_path: Path) -> None:
    class Planted:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    folder = config.out / "checkpoints"
    torch.save({"progress": Planted()}, folder / "last.pt")
    seal(folder / "last.pt")
    assert load_checkpoint(config, lambda _: None)[0].epoch == 1  # from previous.pt
    assert not (tmp_path / "ran").exists()


def test_checkpoints_of_another_version_are_refused(config: TrainConfig) -> None:
    path = config.out / "checkpoints" / "last.pt"
    saved = torch.load(path, weights_only=True)
    saved["identity"]["version"] = 1
    saved["progress"] = {"stage": 1, "epoch": 2, "best_auroc": 0.5}
    torch.save(saved, path)
    seal(path)
    with pytest.raises(
        ConfigError, match=r"another version of train\.py: resume with that version"
    ):
        load_checkpoint(config)


WRITERS: dict[str, Callable] = {
    "last.pt": lambda config: save_checkpoint(
        config, Progress(1, 3), {"network": {"weight": torch.zeros(1000)}}
    ),
    "best.safetensors": lambda config: save_best(config.out, build_network("test_resnet")),
    "model": lambda config: write_model(
        config.out / "model",
        build_network("test_resnet"),
        ModelInfo(architecture="test_resnet", image_size=64),
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_existing_files(config: TrainConfig, name: str) -> None:
    WRITERS[name](config)
    before = listing(config.out)
    with small_files(2000), pytest.raises(StorageError, match=f"{name} cannot be written"):
        WRITERS[name](config)
    assert listing(config.out) == before
    assert not list(config.out.rglob("*.partial"))


@every_damage
@pytest.mark.parametrize(
    "name", ["brainai.json", "model.safetensors", "decoder.safetensors", "config.json"]
)
def test_a_damaged_model_is_refused(
    model_folder: Path, config: TrainConfig, name: str, how: str
) -> None:
    WRITERS["model"](config)
    folder = config.out / "model"
    damage(folder / name, how)
    with pytest.raises(WeightsError, match=r"damaged|changed|does not fit"):
        load_model(folder)


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_train_py_ends_with_one_line_on_a_full_disk(
    dataset_folder: Path, tmp_path: Path, monkeypatch, capfd, limit: int
) -> None:
    monkeypatch.setattr("threading.excepthook", None)
    options = ["--preset", "smoke", "--cpu", "--data", str(dataset_folder)]
    monkeypatch.setattr("sys.argv", ["train.py", *options, "--out", str(tmp_path / "run")])
    with small_files(limit), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert said.splitlines()[-1].startswith("train.py: ")
    assert said.splitlines()[-1].endswith("Add --resume to go on from the last checkpoint.")
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.partial"))


def test_a_run_without_a_checkpoint_starts_over(config: TrainConfig) -> None:
    for name in ("last.pt", "previous.pt"):
        (config.out / "checkpoints" / name).unlink()
    assert load_checkpoint(config) is None


def test_a_run_of_another_recipe_is_not_resumed(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"was trained with another clip_norm, seed: resume"):
        load_checkpoint(replace(config, seed=5, clip_norm=2.0))


def test_only_stages_that_have_begun_must_be_the_same(config: TrainConfig) -> None:
    """Two epochs of the second stage are done: the third may change, the second may not."""
    first, second, third = config.stages
    longer = replace(config, stages=(first, second, replace(third, epochs=9)))
    assert load_checkpoint(longer)[0].epoch == 2
    with pytest.raises(ConfigError, match="another stages"):
        load_checkpoint(replace(config, stages=(first, replace(second, epochs=9), third)))


def test_a_repeated_epoch_replaces_itself_and_later_epochs_in_the_log(config: TrainConfig) -> None:
    log_epoch(config.out, {"stage": 2, "epoch": 0, "auroc": 0.6})
    log_epoch(config.out, {"stage": 1, "epoch": 1, "auroc": 0.7})
    assert [(e["stage"], e["epoch"], e["auroc"]) for e in read_history(config.out)] == [
        (1, 0, 0.5),
        (1, 1, 0.7),
    ]


def test_an_undefined_figure_is_null_in_the_log(config: TrainConfig) -> None:
    log_epoch(config.out, {"stage": 1, "epoch": 2, "mask_dice": float("nan")})
    assert "NaN" not in (config.out / "metrics.jsonl").read_text()
    assert read_history(config.out)[-1]["mask_dice"] is None


def test_best_weights_are_loaded_as_they_were_saved(config: TrainConfig) -> None:
    saved, other = build_network("test_resnet"), build_network("test_resnet")
    save_best(config.out, saved)
    load_best(config.out, other)
    for name, value in saved.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_the_configuration_is_written_as_json(config: TrainConfig) -> None:
    write_config(config.out, {"data": Path("d"), "seed": 3})
    assert json.loads((config.out / "config.json").read_text()) == {"data": "d", "seed": 3}


@pytest.mark.parametrize("file", [None, "here"])
def test_a_disk_error_is_reported_whether_the_file_is_known_or_not(file: str | None) -> None:
    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", file)

    with pytest.raises(StorageError, match=file or "A file cannot be written"):
        in_main_process(Accelerator(cpu=True), write)


def test_the_result_of_the_main_process_is_returned() -> None:
    assert main_process_first(Accelerator(cpu=True), lambda a, b: a + b, 1, 2) == 3
