"""What the training program passes on: options to the network, the Hub and the run folder."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from brainai.errors import ConfigError
from brainai.hub.upload import Target
from brainai.model.drop_path import paths
from brainai.training import __main__ as program
from brainai.training import stages
from brainai.training.config import TrainConfig, parse_config


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reset what Accelerate and the program set for the life of a process."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def configure(dataset_folder: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """A short run with further options."""

    def make(*options: str) -> TrainConfig:
        return parse_config(
            ["--preset", "smoke", "--data", str(dataset_folder), "--out", str(tmp_path / "run"),
             "--cpu", "--mixed-precision", "no", *options]
        )  # fmt: skip

    return make


@pytest.mark.parametrize("start", ["new", "loaded"])
def test_the_network_skips_blocks_as_often_as_the_options_say(
    configure, model_folder: Path, start: str
) -> None:
    options = ["--init-from", str(model_folder)] if start == "loaded" else []
    network = program.first_weights(configure("--drop-path", "0.25", *options))
    assert max(path.drop_prob for path in paths(network)) == pytest.approx(0.25)


def test_resuming_trains_only_the_stages_that_are_missing(configure, monkeypatch) -> None:
    trained, train_epoch = [], stages.train_epoch

    def train(accelerator, fitting, config, progress):
        trained.append((progress.stage, progress.epoch))
        return train_epoch(accelerator, fitting, config, progress)

    monkeypatch.setattr(stages, "train_epoch", train)
    config = configure("--average", "0.5")
    first, second = (replace(stage, image_size=32, epochs=1) for stage in config.stages[1:])
    for recipe, resume in (((first,), False), ((first, second), True)):
        config = replace(config, stages=recipe, resume=resume)
        accelerator = Accelerator(cpu=True)
        program.train(config, accelerator, program.open_network(config, accelerator))
    assert trained == [(0, 0), (1, 0)]


def test_the_run_folder_states_the_options_the_processes_and_the_code(
    configure, monkeypatch
) -> None:
    monkeypatch.setattr(program, "git_revision", lambda: "0123abc")
    config = configure("--seed", "5")
    config = replace(config, stages=(replace(config.stages[0], epochs=1),))
    accelerator = Accelerator(cpu=True)
    program.train(config, accelerator, program.open_network(config, accelerator))
    stated = json.loads((config.out / "config.json").read_text())
    assert (stated["seed"], stated["processes"], stated["git_revision"]) == (5, 1, "0123abc")
    assert stated["stages"][0]["image_size"] == 32


def test_the_hub_is_asked_for_the_repository_and_the_tag_before_training(
    configure, monkeypatch, capsys
) -> None:
    asked = []

    def begin(*arguments: object) -> None:
        asked.append(arguments)
        raise ConfigError("The tag exists.")

    monkeypatch.setattr(program, "begin", begin)
    config = configure("--push-to-hub", "me/model", "--tag", "v2")
    with pytest.raises(SystemExit):
        program.run(config, [])
    assert asked == [(config.out, Target("me/model"), "v2")]
    assert "The tag exists." in capsys.readouterr().err


@pytest.mark.parametrize("file", [None, "runs/config.json"])
def test_a_disk_error_is_one_line_whether_the_file_is_known_or_not(
    configure, monkeypatch, capsys, file: str | None
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", file)

    monkeypatch.setattr(program, "run_training", full)
    with pytest.raises(SystemExit) as ended:
        program.run(configure(), [])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (file or "A file") in line
    assert "No space left on device" in line
    assert line.endswith(program.RESUME)
