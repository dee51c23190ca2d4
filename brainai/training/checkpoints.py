"""The run folder: checkpoints that outlive a kill, and the log of epochs.

    config.json                 the resolved configuration
    metrics.jsonl               one line per epoch
    checkpoints/last.pt         all that is needed to go on
    checkpoints/best.safetensors   the weights with the best AUROC on `valid`
    figures/, report.json, report.md, model/   written at the end

Every file is written aside and renamed: a kill leaves the old one or the new one.
"""

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from brainai.data.dataset import read_info
from brainai.errors import ConfigError
from brainai.model.network import BrainNet
from brainai.training.config import TrainConfig


@dataclass(frozen=True)
class Progress:
    """Where a run stands: the next epoch to train, and the best figure so far."""

    stage: int = 0
    epoch: int = 0
    best_auroc: float = -1.0


def identity(config: TrainConfig) -> dict:
    """What a run computes from: the recipe, and the content of the data set."""
    return config.recipe() | {"data set": read_info(config.data)["content_hash"]}


def save_checkpoint(config: TrainConfig, progress: Progress, state: dict) -> None:
    """Write checkpoints/last.pt; `state` holds state dicts of network, optimizer and schedule."""
    path = config.out / "checkpoints" / "last.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save({"progress": asdict(progress), "identity": identity(config)} | state, partial)
    os.replace(partial, path)


def load_checkpoint(config: TrainConfig) -> tuple[Progress, dict] | None:
    """The last checkpoint, or None where the run has not finished an epoch.

    Stages that have not begun may be asked for anew: longer, shorter, or none.

    Raises:
        ConfigError: it was made with another configuration or data set.
    """
    path = config.out / "checkpoints" / "last.pt"
    if not path.exists():
        return None
    saved = torch.load(path, map_location="cpu", weights_only=True)
    progress, found = Progress(**saved.pop("progress")), saved.pop("identity")
    begun = progress.stage + (progress.epoch > 0)
    asked, found = (
        whole | {"stages": whole["stages"][:begun]} for whole in (identity(config), found)
    )
    changed = sorted(k for k in asked | found if asked.get(k) != found.get(k))
    if changed:
        raise ConfigError(
            f"{config.out} was trained with another {', '.join(changed)}: "
            "resume with the same options, or choose another --out."
        )
    return progress, saved


def save_best(run: Path, network: BrainNet) -> None:
    """Write checkpoints/best.safetensors."""
    path = run / "checkpoints" / "best.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, partial)
    os.replace(partial, path)


def load_best(run: Path, network: BrainNet) -> None:
    """Put the best weights of a run into the network."""
    network.load_state_dict(load_file(run / "checkpoints" / "best.safetensors"))


def write_config(run: Path, config: dict) -> None:
    """Write config.json."""
    run.mkdir(parents=True, exist_ok=True)
    partial = run / ".config.json.partial"
    partial.write_text(json.dumps(config, indent=2, default=str) + "\n")
    os.replace(partial, run / "config.json")


def read_history(run: Path) -> list[dict]:
    """The epochs of metrics.jsonl, the oldest first; a half-written last line is left out."""
    path = run / "metrics.jsonl"
    history = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            history.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return history


def log_epoch(run: Path, figures: dict) -> None:
    """Add an epoch to metrics.jsonl, in the place of what a killed run wrote of it or after it."""
    here = (figures["stage"], figures["epoch"])
    kept = [line for line in read_history(run) if (line["stage"], line["epoch"]) < here]
    partial = run / ".metrics.jsonl.partial"
    partial.write_text("".join(json.dumps(line) + "\n" for line in [*kept, figures]))
    os.replace(partial, run / "metrics.jsonl")


def git_revision() -> str:
    """Revision of the code, or "" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
