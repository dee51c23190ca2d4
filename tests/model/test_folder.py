"""The model folder: what is written is what is loaded."""

import hashlib
import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from brainai.data.seals import sealed, unsealed
from brainai.errors import WeightsError
from brainai.model.folder import ModelInfo, load_model, read_model_info, write_model
from brainai.model.network import build_network
from brainai.model.revision import revision_of
from brainai.model.scope import Scope


def test_timm_alone_gives_the_same_scores(model_folder: Path) -> None:
    network, info = load_model(model_folder)
    alone = timm.create_model(f"local-dir:{model_folder}", pretrained=True).eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(images).logits, alone(images))
    assert alone.pretrained_cfg["label_names"] == ["No Tumor", "Tumor"]
    assert alone.pretrained_cfg["input_size"] == (3, 64, 64)
    assert alone.pretrained_cfg["mean"] == list(info.mean)


def test_tensors_are_stored_in_half_precision_and_loaded_in_float32(tmp_path: Path) -> None:
    network = build_network("test_resnet").to(memory_format=torch.channels_last)
    write_model(tmp_path / "m", network, ModelInfo(architecture="test_resnet"))
    assert load_file(tmp_path / "m" / "model.safetensors")["fc.weight"].dtype == torch.float16
    loaded, _ = load_model(tmp_path / "m")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert next(network.parameters()).dtype == torch.float32  # the trained one is unchanged


def test_no_pickle_is_written(model_folder: Path) -> None:
    assert {path.suffix for path in model_folder.iterdir()} == {".json", ".safetensors"}


def test_writing_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    info = ModelInfo(architecture="test_resnet")
    write_model(tmp_path / "m", build_network("test_resnet"), info)
    write_model(tmp_path / "m", build_network("test_resnet", decoder=False), info)
    assert not (tmp_path / "m" / "decoder.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


OTHER = {  # replacements for values that `changed` cannot derive from the type
    "architecture": "resnet18",  # its weights have other shapes, which is reported first
    "sensitive_threshold": 0.05,
    "youden_threshold": 0.25,
    "scan_weights": [0.6, 1.3, -3.8],
    "scan_threshold": 0.4,
    "neighbor_weights": [2.0, 0.5],
    "neighbor_threshold": 0.45,
    "training": {"command": "by hand"},
}
REFUSED = r"brainai\.json and the weights are not from the same model"
TOLD = {  # other errors for a changed value
    "architecture": "does not fit the network that brainai.json describes",
    "config_hash": r"config\.json is damaged",
}


def changed(name: str, value: object) -> object:
    """Another value of a field of ModelInfo that still describes a network."""
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return value[::-1]
    return f"other {value}" if isinstance(value, str) else value + 1


def write_values(folder: Path, values: dict) -> None:
    """brainai.json with other values, and with a matching checksum."""
    (folder / "brainai.json").write_text(json.dumps(sealed(values)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with all its parts."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    info = ModelInfo(architecture="test_resnet", image_size=64, score_weights=(1.0, 0.5, 0.0))
    write_model(folder, build_network("test_resnet"), info, Scope())
    return folder


@pytest.mark.parametrize("name", [f.name for f in fields(ModelInfo) if f.name != "format_version"])
def test_a_change_of_any_value_in_brainai_json_is_detected(
    whole: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    values = unsealed((folder / "brainai.json").read_bytes())
    other = changed(name, values[name])
    assert other != values[name]
    write_values(folder, values | {name: other})
    with pytest.raises(WeightsError, match=TOLD.get(name, REFUSED)):
        load_model(folder)


def test_a_removed_value_is_detected(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    values = unsealed((folder / "brainai.json").read_bytes())
    del values["score_weights"]
    write_values(folder, values)
    with pytest.raises(WeightsError, match=REFUSED):
        load_model(folder)


@pytest.mark.parametrize("hashed", [True, False])
def test_a_change_of_config_json_is_detected(whole: Path, tmp_path: Path, hashed: bool) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config["label_names"] = config["label_names"][::-1]
    (folder / "config.json").write_text(json.dumps(config))
    if hashed:  # with a matching hash
        digest = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
        values = unsealed((folder / "brainai.json").read_bytes())
        write_values(folder, values | {"config_hash": digest})
    with pytest.raises(WeightsError, match=REFUSED if hashed else r"config\.json is damaged"):
        load_model(folder)


def test_an_unknown_value_is_sealed_and_otherwise_ignored(whole: Path, tmp_path: Path) -> None:
    """A field that this version does not know, in a folder of this version's format."""
    folder = shutil.copytree(whole, tmp_path / "m")
    values = unsealed((folder / "brainai.json").read_bytes()) | {"color": "gray"}
    write_values(folder, values)
    with pytest.raises(WeightsError, match=REFUSED):
        load_model(folder)
    write_values(folder, values | {"revision": revision_of(folder, values)})
    assert load_model(folder)[1].image_size == 64


def test_different_weights_have_different_revisions(tmp_path: Path) -> None:
    for name in ("a", "b"):
        network = build_network("test_resnet")
        write_model(tmp_path / name, network, ModelInfo(architecture="test_resnet"))
    assert len(read_model_info(tmp_path / "a").revision) == 12
    assert read_model_info(tmp_path / "a").revision != read_model_info(tmp_path / "b").revision


def test_a_folder_without_brainai_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no brainai\.json"):
        load_model(tmp_path)


def test_a_missing_file_is_named(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    (folder / "decoder.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no decoder\.safetensors"):
        load_model(folder)


def test_a_truncated_file_is_called_damaged(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged"):
        load_model(folder)


def test_weights_of_another_architecture_are_refused(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    info = unsealed((folder / "brainai.json").read_bytes())
    (folder / "brainai.json").write_text(json.dumps(sealed(info | {"architecture": "resnet18"})))
    with pytest.raises(WeightsError, match="does not fit"):
        load_model(folder)


@pytest.mark.parametrize(
    ("version", "advice"), [(1, "Train the model again"), (99, "Update brain")]
)
def test_another_format_is_refused(
    model_folder: Path, tmp_path: Path, version: int, advice: str
) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    info = unsealed((folder / "brainai.json").read_bytes())
    write_values(folder, info | {"format_version": version})
    found = rf"has format {version}, but this version reads format 2\. {advice}"
    with pytest.raises(WeightsError, match=found):
        load_model(folder)


def test_loading_with_drop_path_does_not_change_the_answers(
    model_folder: Path,
) -> None:
    plain, _ = load_model(model_folder)
    skipping, _ = load_model(model_folder, drop_path=0.5)
    rates = [getattr(module, "drop_prob", 0.0) for module in skipping.modules()]
    assert max(rates) == pytest.approx(0.5)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(plain(images).logits, skipping(images).logits)


def test_scans_have_their_own_operating_point_only_if_one_was_fitted() -> None:
    info = ModelInfo(threshold=0.3, operating_point="best Dice")
    assert info.threshold_of_scans == 0.3
    assert info.operating_point_of_scans == "that of slices: best Dice"
    fitted = replace(info, scan_weights=(1.0, 1.0, -1.0), scan_threshold=0.6)
    assert fitted.threshold_of_scans == 0.6
    assert fitted.threshold_in_scans == 0.3
    assert replace(info, neighbor_threshold=0.45).threshold_in_scans == 0.45
    assert "slices" not in fitted.operating_point_of_scans
