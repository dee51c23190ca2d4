"""The run folder: checkpoints that survive a kill, and the log of epochs.

    config.json                 the complete configuration
    metrics.jsonl               one line per epoch
    checkpoints/last.pt         everything that is needed to resume
    checkpoints/previous.pt     the checkpoint one epoch earlier, in case last.pt gets damaged
    checkpoints/best.safetensors   the weights that were best on `valid`
    figures/, report.json, report.md, model/   written at the end

Every file is written under a temporary name and then renamed, so that a kill leaves either the old
file or the new one. Checkpoints and weights carry a checksum. On resuming, metrics.jsonl is
rewritten from the checkpoint.
"""

import hashlib
import io
import json
import pickle
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from brainai.data.dataset import read_dataset_info
from brainai.data.files import null_for_nan, write_text, write_whole
from brainai.data.seals import CHECKSUM, SealedWriter, check_seal
from brainai.errors import ConfigError, WeightsError
from brainai.model.network import BrainNet
from brainai.training.config import TrainConfig

CHECKPOINT_FORMAT = 2  # of the content of a checkpoint, and of how a run resumes from it
LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.safetensors"


@dataclass(frozen=True)
class Progress:
    """The position of a run: the next epoch to train, and the best selection score so far."""

    stage: int = 0
    epoch: int = 0
    best: float = -1.0  # `Quality.selection` of the best weights


def identity(config: TrainConfig) -> dict:
    """Return what must not change when a run is resumed: the recipe and the data set's hash."""
    return config.recipe() | {"data set": read_dataset_info(config.data)["content_hash"]}


def save_checkpoint(config: TrainConfig, progress: Progress, state: dict) -> None:
    """Write checkpoints/last.pt, and keep the one before as previous.pt.

    Args:
        state: state dicts of network, optimizer and schedule, as `stages.state_of` returns them.
    Raises:
        StorageError: the disk is full, or the folder cannot be written to.
    """
    folder = config.out / "checkpoints"
    header = {
        "progress": asdict(progress),
        "identity": identity(config) | {"version": CHECKPOINT_FORMAT},
        "history": read_history(config.out),
    }
    content = io.BytesIO()  # torch hides the reason when it cannot write to a disk
    torch.save(header | state, content)
    with write_whole(folder / LAST, older=folder / PREVIOUS) as file:
        writer = SealedWriter(file)
        writer.write(content.getbuffer())
        writer.close()


def check_unused(run: Path) -> None:
    """Check that a new run would not overwrite the checkpoints of another.

    Raises:
        ConfigError: the run folder holds checkpoints.
    """
    if any((run / "checkpoints" / name).exists() for name in (LAST, PREVIOUS)):
        raise ConfigError(
            f"{run} already holds a run: add --resume to go on from its last checkpoint, or choose "
            "another --out."
        )


def load_checkpoint(
    config: TrainConfig, warn: Callable[[str], None] = print
) -> tuple[Progress, dict] | None:
    """Return the last intact checkpoint, or None if the run has not finished an epoch.

    Stages that have not begun may be changed or left out.

    Args:
        warn: called with a message if last.pt cannot be used and previous.pt is used instead.
    Returns:
        The progress of the run, and the state dicts given to `save_checkpoint`.
    Raises:
        ConfigError: the checkpoint belongs to another configuration or data set.
        WeightsError: both checkpoints, or the best weights that belong to them, are damaged.
    """
    saved = _read_newest(config.out / "checkpoints", warn)
    if saved is None:
        return None
    position, saved_identity = saved.pop("progress"), saved.pop("identity")
    if saved_identity.pop("version") != CHECKPOINT_FORMAT:
        raise ConfigError(
            f"{config.out} was trained by another version of train.py: resume with that version, "
            "or choose another --out."
        )
    begun = position["stage"] + (position["epoch"] > 0)
    now, before = (
        values | {"stages": values["stages"][:begun]}
        for values in (identity(config), saved_identity)
    )
    changed = sorted(k for k in now | before if now.get(k) != before.get(k))
    if changed:
        raise ConfigError(
            f"{config.out} was trained with another {', '.join(changed)}: "
            "resume with the same options, or choose another --out."
        )
    progress = Progress(**position)
    if progress.best >= 0 or progress.stage >= len(config.stages):
        _read_best(config.out)
    return progress, saved


def _read_newest(folder: Path, warn: Callable[[str], None]) -> dict | None:
    """Return the content of last.pt, or of previous.pt if last.pt is damaged or missing."""
    for name in (LAST, PREVIOUS):
        saved = _read_checkpoint(folder / name)
        if saved is not None:
            if name == PREVIOUS:
                warn(f"{folder / LAST} is damaged or missing: the run goes on from {name}.")
            return saved
    if any((folder / name).exists() for name in (LAST, PREVIOUS)):
        raise WeightsError(
            f"Every checkpoint in {folder} is damaged. Copy {LAST} from a backup, or train from "
            "the beginning without --resume."
        )
    return None


def _read_checkpoint(path: Path) -> dict | None:
    """Return the content of a checkpoint file, or None if it is missing or damaged."""
    try:
        if not check_seal(path):
            return None
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return saved if {"progress", "identity", "network"} <= saved.keys() else None
    except (OSError, RuntimeError, ValueError, LookupError, EOFError, TypeError, AttributeError,
            pickle.UnpicklingError):  # fmt: skip
        return None


def save_best(run: Path, network: BrainNet) -> None:
    """Write checkpoints/best.safetensors, with a checksum in its metadata.

    Raises:
        StorageError: the disk is full, or the folder cannot be written to.
    """
    tensors = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
    with write_whole(run / "checkpoints" / BEST) as file:
        file.write(save(tensors, metadata={CHECKSUM: _checksum(tensors)}))


def load_best(run: Path, network: BrainNet) -> None:
    """Load the best weights of a run into the network.

    Raises:
        WeightsError: they are missing, damaged, or belong to another network.
    """
    tensors = _read_best(run)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(
            f"{run / 'checkpoints' / BEST} holds the weights of another network: copy this run's "
            "file from a backup, or train from the beginning without --resume."
        ) from error


def _read_best(run: Path) -> dict[str, Tensor]:
    """Return the tensors of best.safetensors after checking their checksum."""
    path = run / "checkpoints" / BEST
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(CHECKSUM)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError):
        tensors = None
    if tensors is None or expected != _checksum(tensors):
        raise WeightsError(
            f"{path} is damaged or missing: copy it from a backup, or train from the beginning "
            "without --resume."
        )
    return tensors


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def write_config(run: Path, config: dict) -> None:
    """Write config.json."""
    write_text(run / "config.json", json.dumps(config, indent=2, default=str) + "\n")


def read_history(run: Path) -> list[dict]:
    """Return the epochs of metrics.jsonl, oldest first, up to the first damaged line."""
    history = []
    try:
        for line in (run / "metrics.jsonl").read_bytes().splitlines():
            figures = json.loads(line)
            figures["stage"], figures["epoch"]
            history.append(figures)
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return history


def write_history(run: Path, history: list[dict]) -> None:
    """Write metrics.jsonl. Figures that are not defined, such as Dice without masks, are null."""
    lines = (json.dumps(null_for_nan(figures), allow_nan=False) + "\n" for figures in history)
    write_text(run / "metrics.jsonl", "".join(lines))


def log_epoch(run: Path, figures: dict) -> None:
    """Add an epoch to metrics.jsonl, replacing what a killed run wrote for it or later epochs."""
    epoch = (figures["stage"], figures["epoch"])
    kept = [line for line in read_history(run) if (line["stage"], line["epoch"]) < epoch]
    write_history(run, [*kept, figures])


def git_revision() -> str:
    """Return the Git revision of the code, or "" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
