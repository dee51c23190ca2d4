"""The model folder: what training publishes and the app loads.

    config.json, model.safetensors   as timm writes them: timm alone loads the classifier
    decoder.safetensors              the mask's decoder, where there is one
    scope.safetensors                what may be judged at all (`Scope`), where that was fitted
    brainai.json                     `ModelInfo`
    report.json, README.md           figures on `test`, and the model card; its charts in figures/

No pickle, neither written nor read. All is checked before any of it is loaded.
"""

import copy
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from brainai.data.dataset import LABEL_NAMES, MODALITIES
from brainai.data.files import storage_error, write_folder, write_text
from brainai.data.images import MEAN, STD
from brainai.data.seals import sealed, unsealed
from brainai.errors import ConfigError, WeightsError
from brainai.model.network import BrainNet, build_network
from brainai.model.others import OURS, is_ours, is_timm_folder, load_timm_folder
from brainai.model.revision import hash_of, revision_of
from brainai.model.scope import Scope

MODEL_FORMAT = 2
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
DECODER = "decoder.safetensors"
SCOPE = "scope.safetensors"
INFO = "brainai.json"
REPORT = "report.json"
CARD = "README.md"
SCAN_POINT = "as few errors as could be on whole scans of validation patients"
FILES = (CONFIG, WEIGHTS, DECODER, SCOPE, INFO, REPORT, CARD)  # what answers are made from


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
    temperature: float = 1.0  # of weights fitted before score weights calibrated
    threshold: float = 0.5  # a probability: from here on the label is "Tumor"
    operating_point: str = "probability of one half; nothing was fitted"
    # what the threshold was chosen for; `point_with_outcome` adds what `test` showed
    sensitive_threshold: float | None = None  # where nearly all tumor slices are found
    youden_threshold: float | None = None  # where sensitivity + specificity were highest
    scan_weights: tuple[float, float, float] | None = None  # see `scan_verdict.scan_probability`
    scan_threshold: float | None = None  # a probability: from here on a scan is "Tumor"; it and the
    # weights are None where nothing was fitted to whole scans
    scope: bool = False  # whether scope.safetensors belongs to it
    name: str = "brainai-resnet50"
    config_hash: str = ""  # SHA-256 of config.json, which timm alone reads
    revision: str = ""  # see `revision_of`: a hash of all other values and files
    dataset_hash: str = ""  # of what it was trained on
    calibration_hash: str = ""  # of what score weights, threshold and scope were fitted on
    git_revision: str = ""
    training: dict = field(default_factory=dict)  # the resolved configuration
    format_version: int = MODEL_FORMAT

    @property
    def calibrated(self) -> bool:
        """Whether score weights and threshold were fitted, on data that are named."""
        return bool(self.calibration_hash)

    @property
    def threshold_of_scans(self) -> float:
        """From which probability on a scan is "Tumor": the scans' own, else that of slices."""
        return self.threshold if self.scan_threshold is None else self.scan_threshold

    @property
    def operating_point_of_scans(self) -> str:
        """What `threshold_of_scans` was chosen for."""
        if self.scan_threshold is None:
            return f"that of slices: {self.operating_point}"
        return SCAN_POINT


def write_model(
    folder: str | Path,
    network: BrainNet,
    info: ModelInfo,
    scope: Scope | None = None,
    *,
    half: bool = True,
) -> None:
    """Write a model folder in the place of what was there, whole or not at all.

    Args:
        scope: what may be judged at all.
        half: store the network in half precision; it is read back as float32.
    Raises:
        StorageError: the disk is full, or the parent folder cannot be written to.
    """
    folder = Path(folder)
    network = _portable(network, half)
    with write_folder(folder) as partial:
        try:
            _write_weights(partial, network, info, scope)
        except SafetensorError as error:
            raise storage_error(error, folder) from error
        info = replace(
            info,
            scope=scope is not None,
            config_hash=hash_of(partial / CONFIG),
            format_version=MODEL_FORMAT,
        )
        info = replace(info, revision=revision_of(partial, asdict(info)))
        write_text(partial / INFO, json.dumps(sealed(asdict(info)), indent=2) + "\n")


def _write_weights(folder: Path, network: BrainNet, info: ModelInfo, scope: Scope | None) -> None:
    save_for_hf(
        network.classifier,
        folder,
        model_config={"label_names": list(info.label_names), OURS: MODEL_FORMAT},
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
        save_file(network.decoder.state_dict(), folder / DECODER)
    if scope is not None:
        tensors = {name: t.cpu().contiguous() for name, t in scope.state_dict().items()}
        save_file(tensors, folder / SCOPE)


def load_model(folder: str | Path, *, drop_path: float = 0.0) -> tuple[BrainNet, ModelInfo]:
    """Network in eval mode, and its info, from a model folder, or from a timm classifier's.

    Args:
        drop_path: stochastic depth, where it is to be trained further; see `build_network`. Not
            for a classifier of others.
    Raises:
        WeightsError: the folder or a file is missing, damaged, or of another kind or format.
    """
    folder = Path(folder)
    if is_timm_folder(folder):
        network, values = load_timm_folder(folder)
        name = values.pop("name")  # that of its folder, wherever it lies
        revision = revision_of(folder, values)
        return network.eval(), ModelInfo(**values, name=name, revision=revision)
    values = _read_values(folder)
    info = _info_of(values)
    try:
        network = build_network(info.architecture, decoder=info.decoder, drop_path=drop_path)
    except ConfigError as error:
        raise WeightsError(f"{folder / INFO}: {error}") from error
    except (TypeError, AttributeError) as error:
        raise WeightsError(
            f"{folder / INFO} describes no network: copy the model folder again."
        ) from error
    parts = {WEIGHTS: network.classifier}
    if network.decoder is not None:
        parts[DECODER] = network.decoder
    for name, module in (parts | ({SCOPE: Scope()} if info.scope else {})).items():
        _check_part(module, folder / name)
    _check_whole(folder, info, values)
    for name, module in parts.items():
        module.load_state_dict(load_file(folder / name))
    return network.eval(), info


def load_scope(folder: str | Path) -> Scope | None:
    """What tells the slices that may be judged; None where the folder holds none.

    Raises:
        WeightsError: scope.safetensors is damaged or of another kind.
    """
    path = Path(folder) / SCOPE
    if not path.is_file():
        return None
    scope = Scope()
    _check_part(scope, path)
    scope.load_state_dict(load_file(path))
    return scope.eval()


def read_model_info(folder: str | Path) -> ModelInfo:
    """brainai.json of a model folder, checked.

    Raises:
        WeightsError: it is missing, damaged or of another format.
    """
    return _info_of(_read_values(Path(folder)))


def _read_values(folder: Path) -> dict:
    """The values of brainai.json; errors of `read_model_info`."""
    path = folder / INFO
    try:
        values = unsealed(path.read_bytes())
        version = int(values["format_version"])
    except FileNotFoundError as error:
        raise WeightsError(
            f"{folder} is not a model folder: it has no brainai.json. "
            "Name a folder that train.py wrote."
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{path} is damaged: copy the model folder again.") from error
    if version != MODEL_FORMAT:
        advice = "update brainai" if version > MODEL_FORMAT else "train the model again"
        raise WeightsError(
            f"{folder} has format {version}, this version reads {MODEL_FORMAT}: {advice}."
        )
    return values


def _info_of(values: dict) -> ModelInfo:
    names = {f.name for f in fields(ModelInfo)}
    known: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names
    }
    return ModelInfo(**known)


def read_model_report(folder: str | Path, revision: str | None = None) -> dict | None:
    """report.json of a model folder, or None where there is none of ours that can be read: the
    weights answer without.

    Args:
        revision: of the weights that it has to be of; None takes a report of any.
    """
    try:
        report = unsealed((Path(folder) / REPORT).read_bytes())
        report["all"]["figures"]["dice"]["value"], report["about"]["split"], report["threshold"]
        report["source"].items(), report["points"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return report if revision in (None, report["about"].get("model_revision")) else None


def is_whole(folder: str | Path) -> bool:
    """Whether a folder holds all files of a model, ours or a timm classifier's; none is opened but
    the two that say which these are. A folder of ours with files missing looks like one of
    timm's, but for a mark in its config.json."""
    folder = Path(folder)
    names = [CONFIG, WEIGHTS]
    if not (folder / CONFIG).is_file():
        return False
    if (folder / INFO).is_file() or is_ours(folder):
        names.append(INFO)
        try:
            info = read_model_info(folder)
        except WeightsError:
            return False
        names += [*([DECODER] if info.decoder else []), *([SCOPE] if info.scope else [])]
    return all((folder / name).is_file() for name in names)


def _check_part(module: torch.nn.Module, path: Path) -> None:
    """Raises WeightsError where a file of weights is missing, damaged, or not for this module; only
    its header is read."""
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path.parent} has no {path.name}: copy the model folder again."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: copy the model folder again.") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if found != wanted:
        raise WeightsError(
            f"{path} does not fit the network that {INFO} describes: "
            "use files of one and the same model."
        )


def _check_whole(folder: Path, info: ModelInfo, values: dict) -> None:
    """Raises WeightsError where a file is another than the one written with these values."""
    if info.config_hash and info.config_hash != hash_of(folder / CONFIG):
        raise WeightsError(f"{folder / CONFIG} is damaged: copy the model folder again.")
    if info.revision != revision_of(folder, values):
        raise WeightsError(
            f"{folder}: {INFO} and the weights beside it are not of one and the same model, or "
            "were changed. Copy the model folder again, or fit it anew with "
            "`python -m brainai.training.finish`."
        )


def _portable(network: BrainNet, half: bool) -> BrainNet:
    """A copy on the CPU, in the memory layout that safetensors takes."""
    network = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
    return network.half() if half else network
