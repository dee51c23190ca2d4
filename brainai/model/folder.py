"""The model folder, which training writes and the app loads.

    config.json, model.safetensors   the classifier as timm writes it, so that timm can load it
    decoder.safetensors              the decoder of the mask, if there is one
    scope.safetensors                the `Scope`, which says what may be judged, if it was fitted
    int8.xml, int8.bin               the network in 8-bit integers for OpenVINO, if it was quantized
    brainai.json                     `ModelInfo`
    report.json, README.md           results on `test`, and the model card; its charts in figures/

Pickles are neither written nor read. All weights are checked before any of them is loaded.
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
INT8 = "int8.xml"  # the network in 8-bit integers for OpenVINO, with its weights in int8.bin
INFO = "brainai.json"
REPORT = "report.json"
CARD = "README.md"
SCAN_POINT = "fewest errors on whole scans of validation patients"
FILES = (
    CONFIG,
    WEIGHTS,
    DECODER,
    SCOPE,
    INT8,
    "int8.bin",
    INFO,
    REPORT,
    CARD,
)  # files of a model that are fetched


@dataclass(frozen=True)
class ModelInfo:
    """The values of brainai.json, which are needed together with the weights to give an answer."""

    architecture: str = "resnet50"
    image_size: int = 256
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    label_names: tuple[str, ...] = LABEL_NAMES
    modalities: tuple[str, ...] = MODALITIES
    decoder: bool = True
    score_weights: tuple[float, float, float] = (1.0, 0.0, 0.0)  # see `answer.combine`
    threshold: float = 0.5  # the label is "Tumor" from this probability on
    operating_point: str = "probability of one half; nothing was fitted"
    # what the threshold was chosen for; `point_with_outcome` adds the result on `test`
    sensitive_threshold: float | None = None  # finds nearly all tumor slices
    youden_threshold: float | None = None  # has the highest sum of sensitivity and specificity
    scan_weights: tuple[float, float, float] | None = None  # see `scan_verdict.scan_probability`
    scan_threshold: float | None = None  # a scan is "Tumor" from this probability on; this and the
    # weights are None if nothing was fitted to whole scans
    neighbor_weights: tuple[float, float] | None = None  # see `scan_verdict.judge_together`
    neighbor_threshold: float | None = None  # a slice of a scan is "Tumor" from this probability
    # on; this and the weights are None if nothing was fitted to slices with their neighbors
    scope: bool = False  # whether the folder has scope.safetensors
    name: str = "brainai-resnet50"
    config_hash: str = ""  # SHA-256 of config.json, which only timm reads
    revision: str = ""  # see `revision_of`: a hash of all other values and the weights
    dataset_hash: str = ""  # of the data set for training
    calibration_hash: str = ""  # of the data set on which score weights, threshold and scope were
    # fitted
    git_revision: str = ""
    training: dict = field(default_factory=dict)  # the resolved configuration
    format_version: int = MODEL_FORMAT

    @property
    def calibrated(self) -> bool:
        """Whether score weights and threshold were fitted, on a data set with a known hash."""
        return bool(self.calibration_hash)

    @property
    def threshold_of_scans(self) -> float:
        """The probability from which on a scan is "Tumor"; that of slices if scans have none."""
        return self.threshold if self.scan_threshold is None else self.scan_threshold

    @property
    def threshold_in_scans(self) -> float:
        """The probability from which on a slice of a scan is "Tumor"."""
        return self.threshold if self.neighbor_threshold is None else self.neighbor_threshold

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
) -> None:
    """Write a model folder, completely or not at all. An existing folder is replaced.

    The network is stored in half precision and loaded as float32.

    Args:
        folder: the folder to write.
        network: the network, which is not changed.
        info: the values of brainai.json. Hashes, revision and `scope` are filled in.
        scope: the scope, if one was fitted.
    Raises:
        StorageError: the disk is full, or the parent folder cannot be written to.
    """
    folder = Path(folder)
    network = _portable(network)
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
    """Load a network in eval mode, and its info, from the folder of a BrainAI or timm model.

    Args:
        folder: the model folder.
        drop_path: rate of stochastic depth for further training; see `build_network`. It is ignored
            for third-party models.
    Raises:
        WeightsError: the folder or a file is missing, damaged, or of another kind or format.

    Example:
        >>> network, info = load_model("weights")
        >>> info.label_names
        ('No Tumor', 'Tumor')
    """
    folder = Path(folder)
    if is_timm_folder(folder):
        network, values = load_timm_folder(folder)
        name = values.pop("name")  # not hashed, because it is only the name of the folder
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
            f"{folder / INFO} does not describe a network. Copy the model folder again."
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
    """Load the scope, which says what may be judged, or return None if the folder has none.

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
    """Read and check brainai.json of a model folder.

    Raises:
        WeightsError: the file is missing, damaged or of another format version.
    """
    return _info_of(_read_values(Path(folder)))


def _read_values(folder: Path) -> dict:
    """Return the values of brainai.json. Errors are those of `read_model_info`."""
    path = folder / INFO
    try:
        values = unsealed(path.read_bytes())
        version = int(values["format_version"])
    except FileNotFoundError as error:
        raise WeightsError(
            f"{folder} is not a model folder, because it has no brainai.json. "
            "Name a folder that train.py wrote."
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{path} is damaged. Copy the model folder again.") from error
    if version != MODEL_FORMAT:
        advice = "Update brainai" if version > MODEL_FORMAT else "Train the model again"
        raise WeightsError(
            f"{folder} has format {version}, but this version reads format {MODEL_FORMAT}. "
            f"{advice}."
        )
    return values


def _info_of(values: dict) -> ModelInfo:
    names = {f.name for f in fields(ModelInfo)}
    known: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names
    }
    return ModelInfo(**known)


def is_whole(folder: str | Path) -> bool:
    """Return whether a folder holds all files of a BrainAI or timm model.

    Only config.json and brainai.json are opened, which say what the files are. An incomplete
    BrainAI folder differs from a timm folder by a key in its config.json.
    """
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
    """Raise WeightsError if a file of weights is missing, damaged or for another module.

    Only the header of the file is read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path.parent} has no {path.name}. Copy the model folder again."
        ) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged. Copy the model folder again.") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if found != wanted:
        raise WeightsError(
            f"{path} does not fit the network that {INFO} describes. Use files of the same model."
        )


def _check_whole(folder: Path, info: ModelInfo, values: dict) -> None:
    """Raise WeightsError if a file differs from the one that was written with these values."""
    if info.config_hash != hash_of(folder / CONFIG):
        raise WeightsError(f"{folder / CONFIG} is damaged. Copy the model folder again.")
    if info.revision != revision_of(folder, values):
        raise WeightsError(
            f"{folder}: {INFO} and the weights are not from the same model, or were changed. Copy "
            "the model folder again, or fit it again with `python -m brainai.training.finish`."
        )


def _portable(network: BrainNet) -> BrainNet:
    """Return a copy in half precision, on the CPU, in the memory layout that safetensors needs."""
    return copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).half()
