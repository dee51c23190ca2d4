"""Training from ImageNet weights without a network connection."""

from pathlib import Path

import pytest
import torch
from hub_server import Hub
from huggingface_hub import constants
from timm import create_model
from timm.models import save_for_hf

from brainai.errors import ConfigError
from brainai.model.folder import ModelInfo, write_model
from brainai.model.network import build_network, imagenet_id

NAME = "timm/test_resnet.r160_in1k"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder as `hf download timm/… --local-dir` leaves one."""
    torch.manual_seed(1)
    save_for_hf(create_model("test_resnet"), tmp_path / "imagenet", safe_serialization=True)
    return tmp_path / "imagenet"


def same_body(network, weights: Path) -> bool:
    stem = create_model(f"local-dir:{weights}", pretrained=True).state_dict()["conv1.0.weight"]
    return torch.equal(network.classifier.state_dict()["conv1.0.weight"], stem)


def test_weights_are_loaded_from_a_folder_or_a_file(weights: Path) -> None:
    for place in (weights, weights / "model.safetensors"):
        assert same_body(
            build_network("test_resnet", pretrained=True, pretrained_from=place), weights
        )


def test_the_path_of_the_weights_is_not_stored_in_the_model(weights: Path, tmp_path: Path) -> None:
    network = build_network("test_resnet", pretrained=True, pretrained_from=weights)
    write_model(tmp_path / "model", network, ModelInfo(architecture="test_resnet"))
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()


def test_weights_are_fetched_once_and_then_loaded_from_the_cache(
    hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert imagenet_id("test_resnet") == NAME
    hub.hold(NAME, weights)
    assert same_body(build_network("test_resnet", pretrained=True), weights)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same_body(build_network("test_resnet", pretrained=True), weights)
    carried = (tmp_path / "cache").rename(tmp_path / "carried along")
    assert same_body(
        build_network("test_resnet", pretrained=True, pretrained_from=carried), weights
    )
    with pytest.raises(ConfigError, match="not in the cache, and the Hub cannot be reached"):
        build_network("test_resnet", pretrained=True)


def test_a_path_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").touch()
    for place in (tmp_path, tmp_path / "weights.pth", tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=r"--pretrained-from .* found neither"):
            build_network("test_resnet", pretrained=True, pretrained_from=place)
