"""Classifiers of others: any timm model of two classes, in a folder as timm writes it.

So that they can be measured on the same patients, and served. Their second class is taken for
tumour; there is no mask, and nothing about them was fitted here.
"""

import json
import re
from pathlib import Path

import timm
from safetensors import SafetensorError

from brainai.errors import WeightsError
from brainai.model.network import BrainNet


def is_timm_folder(folder: Path) -> bool:
    """A classifier as timm writes it, and none of ours."""
    return (folder / "config.json").is_file() and not (folder / "brainai.json").exists()


def load_timm_folder(folder: Path) -> tuple[BrainNet, dict]:
    """The network, and what `ModelInfo` takes from its config.json.

    Raises:
        WeightsError: it is damaged, holds a pickle only, or has other than two classes, three
            channels, or tumour first.
    """
    if not (folder / "model.safetensors").is_file():
        raise WeightsError(
            f"{folder} has no model.safetensors: weights in a pickle are not loaded, because one "
            "can run any code. Save them with timm's save_for_hf(..., safe_serialization=True)."
        )
    try:
        config = json.loads((folder / "config.json").read_text())
        classifier = timm.create_model(f"local-dir:{folder}", pretrained=True)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"{folder} cannot be loaded as a timm model: expected config.json and "
            "model.safetensors as timm writes them, of one and the same model."
        ) from error
    described = classifier.pretrained_cfg
    names = tuple(described.get("label_names") or config.get("label_names") or ())
    _check(folder, classifier.num_classes, tuple(described["input_size"]), names)
    return BrainNet(classifier, None), {
        "architecture": config["architecture"],
        "image_size": described["input_size"][1],
        "mean": tuple(described["mean"]),
        "std": tuple(described["std"]),
        "decoder": False,
        "name": folder.resolve().name,
    }


def _check(folder: Path, classes: int, size: tuple[int, int, int], names: tuple[str, ...]) -> None:
    if classes != 2 or size[0] != 3 or size[1] != size[2]:
        raise WeightsError(
            f"{folder}: expected two classes and square pictures of three channels, found "
            f"{classes} classes and pictures of {size[0]} channels, {size[2]}×{size[1]} pixels."
        )
    if names and _says_tumor(names[0]) and not _says_tumor(names[1]):
        raise WeightsError(
            f"{folder}: expected tumour as the second class, found {' and '.join(names)}. "
            "Swap the two rows of its last layer, and its label_names."
        )


def _says_tumor(name: str) -> bool:
    denied = re.match(r"(no|non|without)[ _-]*(brain[ _-]*)?tumo", name.lower())
    return "tumo" in name.lower() and not denied
