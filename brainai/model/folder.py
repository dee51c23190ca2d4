"""The model folder: what training publishes and the app loads.

    config.json, model.safetensors   as timm writes them: timm alone loads the classifier
    decoder.safetensors              the mask's decoder, where there is one
    brainai.json                     `ModelInfo`
    report.json, README.md           figures on `test`, and the model card

No pickle, neither written nor read.
"""

import copy
import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from brainai.data.dataset import LABEL_NAMES, MODALITIES
from brainai.data.images import MEAN, STD
from brainai.errors import WeightsError
from brainai.model.network import BrainNet, build_network
from brainai.model.others import is_timm_folder, load_timm_folder

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelInfo:
    """brainai.json: what the weights need beside themselves to give an answer."""

    architecture: str = "resnet50"
    image_size: int = 256
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    label_names: tuple[str, ...] = LABEL_NAMES
    modalities: tuple[str, ...] = MODALITIES
    decoder: bool = True
    score_weights: tuple[float, float, float] = (1.0, 0.0, 0.0)  # see `answer.combine`
    temperature: float = 1.0
    threshold: float = 0.5  # the operating point, a probability
    name: str = "brainai-resnet50"
    revision: str = ""  # of the weights: the first 12 digits of their hash
    dataset_hash: str = ""
    git_revision: str = ""
    training: dict = field(default_factory=dict)  # the resolved configuration
    format_version: int = FORMAT_VERSION


def write_model(
    folder: str | Path, network: BrainNet, info: ModelInfo, *, half: bool = True
) -> None:
    """Write a model folder, aside first and then renamed over what was there.

    Args:
        half: store tensors in half precision; they are read back as float32.
    """
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    network = _portable(network, half)
    save_for_hf(
        network.classifier,
        partial,
        model_config={"label_names": list(info.label_names)},
        safe_serialization=True,
        data_config={
            "input_size": (3, info.image_size, info.image_size),
            "mean": info.mean,
            "std": info.std,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
        },
    )
    if network.decoder is not None:
        save_file(network.decoder.state_dict(), partial / "decoder.safetensors")
    info = replace(info, revision=_digest(partial))
    _write_json(partial / "brainai.json", asdict(info))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def load_model(folder: str | Path, *, drop_path: float = 0.0) -> tuple[BrainNet, ModelInfo]:
    """Network in eval mode, and its info, from a model folder, or from a timm classifier's.

    Args:
        drop_path: stochastic depth, where it is to be trained further; see `build_network`. Not
            for a classifier of others.
    Raises:
        WeightsError: the folder or a file is missing, damaged, of another kind or too new.
    """
    folder = Path(folder)
    if is_timm_folder(folder):
        network, values = load_timm_folder(folder)
        return network.eval(), ModelInfo(**values, revision=_digest(folder))
    info = read_info(folder)
    network = build_network(info.architecture, decoder=info.decoder, drop_path=drop_path)
    _load_part(network.classifier, folder / "model.safetensors")
    if network.decoder is not None:
        _load_part(network.decoder, folder / "decoder.safetensors")
    return network.eval(), info


def read_info(folder: str | Path) -> ModelInfo:
    """brainai.json of a model folder, checked.

    Raises:
        WeightsError: it is missing, damaged or of a newer format.
    """
    path = Path(folder) / "brainai.json"
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise WeightsError(
            f"{folder} is not a model folder: it has no brainai.json. "
            "Name a folder that train.py wrote."
        ) from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: copy the model folder again.") from error
    if values.get("format_version", 0) > FORMAT_VERSION:
        raise WeightsError(
            f"{folder} has format {values['format_version']}, "
            f"this version reads {FORMAT_VERSION}: update brainai."
        )
    known = {f.name: f for f in fields(ModelInfo)}
    return ModelInfo(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
    )


def _load_part(module: torch.nn.Module, path: Path) -> None:
    try:
        module.load_state_dict(load_file(path))
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path.parent} has no {path.name}: copy the model folder again."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: copy the model folder again.") from error
    except RuntimeError as error:
        raise WeightsError(
            f"{path} does not fit the network that brainai.json describes: "
            "use files of one and the same model."
        ) from error


def _portable(network: BrainNet, half: bool) -> BrainNet:
    """A copy on the CPU, in the memory layout that safetensors takes."""
    network = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
    return network.half() if half else network


def _digest(folder: Path) -> str:
    """The first 12 digits of the SHA-256 of the weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")
