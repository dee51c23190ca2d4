"""Third-party classifiers, as timm writes them."""

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from timm.models import save_for_hf

from brainai.errors import WeightsError
from brainai.model.folder import load_model


def write(folder: Path, *, classes: int = 2, names: tuple[str, ...] | None = None) -> Path:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=classes)
    folder.mkdir()
    config = {"label_names": list(names)} if names else None
    save_for_hf(model, folder, model_config=config, safe_serialization=True)
    return folder


def test_scores_equal_those_of_timm_and_the_preprocessing_is_kept(tmp_path: Path) -> None:
    folder = write(tmp_path / "theirs")
    network, info = load_model(folder)
    alone = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = torch.randn(2, 3, info.image_size, info.image_size)
    with torch.inference_mode():
        output = network(images)
        assert torch.equal(output.logits, alone(images))
    assert output.mask_logits is None
    assert info.image_size == alone.pretrained_cfg["input_size"][1]
    assert info.mean == tuple(alone.pretrained_cfg["mean"])
    assert (info.name, info.decoder, len(info.revision)) == ("theirs", False, 12)
    assert info.score_weights == (1.0, 0.0, 0.0)


def test_the_revision_depends_on_the_config_and_not_on_the_path(tmp_path: Path) -> None:
    first = write(tmp_path / "theirs")
    _, info = load_model(first)
    assert load_model(shutil.copytree(first, tmp_path / "mine"))[1].revision == info.revision
    config = json.loads((first / "config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.25, 0.25, 0.25]
    (first / "config.json").write_text(json.dumps(config))
    _, other = load_model(first)
    assert other.mean == (0.25, 0.25, 0.25)
    config["license"] = "other"  # a field that is not read
    (first / "config.json").write_text(json.dumps(config))
    assert len({load_model(first)[1].revision, other.revision, info.revision}) == 3


def test_a_number_of_classes_other_than_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected two classes.*found 4 classes"):
        load_model(write(tmp_path / "theirs", classes=4))


@pytest.mark.parametrize(
    "names", [("tumor", "no_tumor"), ("Brain Tumour", "healthy"), ("tumor", "tumor-free")]
)
def test_tumor_as_the_first_class_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(WeightsError, match="expected tumor as the second class"):
        load_model(write(tmp_path / "theirs", names=names))


@pytest.mark.parametrize("names", [("no tumor", "tumor"), ("no", "yes"), ("notumor", "glioma")])
def test_other_class_names_are_accepted_in_their_order(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    load_model(write(tmp_path / "theirs", names=names))


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    folder, opened = write(tmp_path / "theirs"), tmp_path / "opened"
    (folder / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {opened}'\ntR.".encode())
    load_model(folder)
    assert not opened.exists()
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no model\.safetensors.*pickle"):
        load_model(folder)


def test_an_incomplete_brainai_folder_is_not_taken_for_a_timm_model(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "m")
    (folder / "brainai.json").unlink()
    with pytest.raises(WeightsError, match=r"has no brainai\.json"):
        load_model(folder)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors"])
def test_a_damaged_file_raises_a_one_sentence_error(tmp_path: Path, broken: str) -> None:
    folder = write(tmp_path / "theirs")
    content = (folder / broken).read_bytes()
    (folder / broken).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="cannot be loaded as a timm model"):
        load_model(folder)


def test_an_unknown_architecture_raises_a_one_sentence_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "theirs")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "net9000"}))
    with pytest.raises(WeightsError, match="cannot be loaded as a timm model"):
        load_model(folder)
