"""What a training starts from: which weights, and whether they fit its configuration."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brainai.data.images import MEAN
from brainai.errors import ConfigError
from brainai.evaluation.text import shown_command
from brainai.model.fetch import fetch_model
from brainai.model.folder import ModelInfo, read_model_info
from brainai.model.network import imagenet_id
from brainai.training.config import TrainConfig


def pinned(config: TrainConfig) -> TrainConfig:
    """The same run, where it starts from a model of the Hub by the commit that its name stands for
    now: the card tells it, and every process starts from the same."""
    if config.init_from is None:
        return config
    found = fetch_model(config.init_from)
    found.tell()
    if found.commit is None:
        return config
    return replace(config, init_from=f"{found.repository}@{found.commit}")


def origin(config: TrainConfig, words: Sequence[str]) -> dict[str, str]:
    """How weights came to be, as their card tells it: `command` and `started_from`.

    Args:
        words: of the command that trains.
    """
    if config.init_from is None:
        start = imagenet_id(config.architecture) if config.pretrained else "random weights"
    elif Path(config.init_from).is_dir():
        info = read_model_info(config.init_from)
        start = f"the weights {info.revision} of {info.name}"
    else:
        start = config.init_from
    command = shown_command(*(word for word in words if word != "--resume"))
    return {"command": command, "started_from": start}


def check_start(config: TrainConfig, info: ModelInfo) -> None:
    """Raises ConfigError where the network of `--init-from` is another than the one asked for."""
    asked = {"architecture": config.architecture, "decoder": config.decoder, "mean": MEAN}
    found = {name: getattr(info, name) for name in asked}
    if found != asked:
        raise ConfigError(f"{config.init_from}: expected {asked}, found {found}.")
