"""Load third-party models: any timm classifier with two classes, in a folder as timm writes it.

They can be evaluated on the same patients, and served. Their second class is taken as tumor. They
have no mask, and nothing was fitted to them here.
"""

import json
import re
from pathlib import Path

import timm
from safetensors import SafetensorError

from brainai.errors import WeightsError
from brainai.model.network import BrainNet

NO_TUMOR = r"(no|non|not|without)[ _-]*(brain[ _-]*)?tumo"


OURS = "brainai"  # key in config.json of a model folder that this package wrote


def is_timm_folder(folder: Path) -> bool:
    """Return whether a folder is a third-party timm classifier and no part of a BrainAI model."""
    ours = any((folder / name).exists() for name in ("brainai.json", "decoder.safetensors"))
    return (folder / "config.json").is_file() and not (ours or is_ours(folder))


def is_ours(folder: Path) -> bool:
    """Return whether config.json says that this package wrote the folder, which has more files."""
    try:
        return OURS in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def load_timm_folder(folder: Path) -> tuple[BrainNet, dict]:
    """Load the network, and the values of `ModelInfo` that its config.json gives.

    Raises:
        WeightsError: the folder is damaged, its weights are only a pickle, the model does not have
            two classes and three channels, or its first class is named tumor.
    """
    if not (folder / "model.safetensors").is_file():
        raise WeightsError(
            f"{folder} has no model.safetensors. Weights in a pickle are not loaded, because a "
            "pickle can run any code. Save them with timm's "
            "save_for_hf(..., safe_serialization=True)."
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
            "model.safetensors of the same model, as timm writes them."
        ) from error
    if classes != 2 or channels != 3 or height != width:
        raise WeightsError(
            f"{folder}: expected two classes and square pictures with three channels, found "
            f"{classes} classes and {channels} channels of {width}×{height} pixels. Choose another "
            "model."
        )
    if names and "tumo" in names[0] and not re.match(NO_TUMOR, names[0]):
        raise WeightsError(
            f"{folder}: expected tumor as the second class, found {' and '.join(names)}. "
            "Swap the two rows of its last layer, and its label_names."
        )
    return BrainNet(classifier, None), values
