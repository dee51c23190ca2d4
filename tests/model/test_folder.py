"""The model folder: what is written is what answers."""

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from brainai.data.seals import sealed, unsealed
from brainai.errors import WeightsError
from brainai.model.folder import ModelInfo, load_model, read_info, write_model
from brainai.model.network import build_network


def test_timm_alone_gives_the_same_scores(model_folder: Path) -> None:
    network, info = load_model(model_folder)
    alone = timm.create_model(f"local-dir:{model_folder}", pretrained=True).eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(images).logits, alone(images))
    assert alone.pretrained_cfg["label_names"] == ["No Tumor", "Tumor"]
    assert alone.pretrained_cfg["input_size"] == (3, 64, 64)
    assert alone.pretrained_cfg["mean"] == list(info.mean)


def test_tensors_are_kept_in_half_precision_and_answer_in_float32(tmp_path: Path) -> None:
    network = build_network("test_resnet").to(memory_format=torch.channels_last)
    write_model(tmp_path / "m", network, ModelInfo(architecture="test_resnet"))
    assert load_file(tmp_path / "m" / "model.safetensors")["fc.weight"].dtype == torch.float16
    loaded, _ = load_model(tmp_path / "m")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert next(network.parameters()).dtype == torch.float32  # the trained one is left as it was


def test_no_pickle_is_written(model_folder: Path) -> None:
    assert {path.suffix for path in model_folder.iterdir()} == {".json", ".safetensors"}


def test_writing_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    info = ModelInfo(architecture="test_resnet")
    write_model(tmp_path / "m", build_network("test_resnet"), info)
    write_model(tmp_path / "m", build_network("test_resnet", decoder=False), info)
    assert not (tmp_path / "m" / "decoder.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_revision_names_the_weights(tmp_path: Path) -> None:
    for name in ("a", "b"):
        network = build_network("test_resnet")
        write_model(tmp_path / name, network, ModelInfo(architecture="test_resnet"))
    assert len(read_info(tmp_path / "a").revision) == 12
    assert read_info(tmp_path / "a").revision != read_info(tmp_path / "b").revision


def test_a_folder_without_brainai_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no brainai\.json"):
        load_model(tmp_path)


def test_a_missing_part_is_named(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    (folder / "decoder.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no decoder\.safetensors"):
        load_model(folder)


def test_a_cut_off_file_is_called_damaged(model_folder: Path, tmp_path: Path) -> None:
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


def test_a_newer_format_asks_for_an_update(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    info = unsealed((folder / "brainai.json").read_bytes())
    (folder / "brainai.json").write_text(json.dumps(sealed(info | {"format_version": 99})))
    with pytest.raises(WeightsError, match="update brainai"):
        load_model(folder)


def test_a_network_to_train_further_may_skip_blocks_and_answers_the_same(
    model_folder: Path,
) -> None:
    plain, _ = load_model(model_folder)
    skipping, _ = load_model(model_folder, drop_path=0.5)
    rates = [getattr(module, "drop_prob", 0.0) for module in skipping.modules()]
    assert max(rates) == pytest.approx(0.5)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(plain(images).logits, skipping(images).logits)
