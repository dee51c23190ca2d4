"""Classifiers of others: any timm model of two classes, in a folder as timm writes it.

So that they can be measured on the same patients, and served. Their second class is taken for
tumor; there is no mask, and nothing about them was fitted here.
"""

import json
import re
from pathlib import Path

import timm
from safetensors import SafetensorError

from brainai.errors import WeightsError
from brainai.model.network import BrainNet

NO_TUMOR = r"(no|non|not|without)[ _-]*(brain[ _-]*)?tumo"


OURS = "brainai"  # key in config.json of a model folder of ours


def is_timm_folder(folder: Path) -> bool:
    """A classifier as timm writes it, and none of ours, nor what is left of one."""
    ours = any((folder / name).exists() for name in ("brainai.json", "decoder.safetensors"))
    return (folder / "config.json").is_file() and not (ours or is_ours(folder))


def is_ours(folder: Path) -> bool:
    """Whether config.json says that it was written by this package, with more files beside it."""
    try:
        return OURS in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def load_timm_folder(folder: Path) -> tuple[BrainNet, dict]:
    """The network, and what `ModelInfo` takes from its config.json.

    Raises:
        WeightsError: it is damaged, holds a pickle only, has other than two classes or three
            channels, or names its first class tumor.
    """
    if not (folder / "model.safetensors").is_file():
        raise WeightsError(
            f"{folder} has no model.safetensors: weights in a pickle are not loaded, because one "
            "can run any code. Save them with timm's save_for_hf(..., safe_serialization=True)."
        )
    try:
        classifier = timm.create_model(f"local-dir:{folder}", pretrained=True)
        described = classifier.pretrained_cfg
        config = json.loads((folder / "config.json").read_text())
        names = [str(name).lower() for name in described.get("label_names") or ()]
        channels, height, width = described["input_size"]
        values = {
            "architecture": config["architecture"],
            "image_size": height,
            "mean": tuple(described["mean"]),
            "std": tuple(described["std"]),
            "decoder": False,
            "name": folder.resolve().name,
        }
        classes = classifier.num_classes
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, RuntimeError,
            AttributeError) as error:  # fmt: skip
        raise WeightsError(
            f"{folder} cannot be loaded as a timm model: expected config.json and "
            "model.safetensors as timm writes them, of one and the same model."
        ) from error
    if classes != 2 or channels != 3 or height != width:
        raise WeightsError(
            f"{folder}: expected two classes and square pictures of three channels, found "
            f"{classes} classes and {channels} channels of {width}×{height} pixels."
        )
    if names and "tumo" in names[0] and not re.match(NO_TUMOR, names[0]):
        raise WeightsError(
            f"{folder}: expected tumor as the second class, found {' and '.join(names)}. "
            "Swap the two rows of its last layer, and its label_names."
        )
    return BrainNet(classifier, None), values
