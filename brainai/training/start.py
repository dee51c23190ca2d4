"""The weights that a training starts from, and whether they match its configuration."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brainai.data.images import MEAN, STD
from brainai.errors import ConfigError
from brainai.evaluation.text import shown_command
from brainai.model.fetch import fetch_model
from brainai.model.folder import ModelInfo, read_model_info
from brainai.model.network import imagenet_id
from brainai.training.config import TrainConfig


def pinned(config: TrainConfig) -> TrainConfig:
    """Return the configuration with a Hub model in `init_from` pinned to its current commit.

    All processes then start from the same weights, and the model card names the commit.
    """
    if config.init_from is None:
        return config
    model = fetch_model(config.init_from)
    model.tell()
    if model.commit is None:
        return config
    return replace(config, init_from=f"{model.repository}@{model.commit}")


def origin(config: TrainConfig, words: Sequence[str]) -> dict[str, str]:
    """Return the provenance of the weights for the model card: `command` and `started_from`.

    Args:
        words: words of the training command.
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
    """Check that the network of `--init-from` is the one that the configuration asks for.

    Raises:
        ConfigError: architecture, decoder or normalization differ.
    """
    expected = {
        "architecture": config.architecture,
        "decoder": config.decoder,
        "mean": MEAN,
        "std": STD,
    }
    actual = {name: getattr(info, name) for name in expected}
    if actual != expected:
        raise ConfigError(
            f"{config.init_from}: expected {expected}, found {actual}. Change the options, or "
            "start from another model."
        )
