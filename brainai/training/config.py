"""The training configuration: frozen dataclasses, presets, and the command line.

This module does not import torch, so that `--help` answers at once.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from brainai.data.augmentation import Augmentation
from brainai.errors import ConfigError

NON_RECIPE_FIELDS = (  # paths, and options that may change when a run is resumed
    "data", "out", "init_from", "pretrained_from", "resume", "find_lr", "log_with", "cpu",
    "scope_steps", "decoys", "push_to_hub", "public", "tag",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A stage of training: picture size, epochs, trainable parts, and learning rate."""

    image_size: int
    """Side of the square input, in pixels."""
    epochs: int
    """Passes over the train split."""
    lr: float
    """Peak learning rate of the head."""
    train: Literal["head", "all"] = "all"
    """`head` freezes the encoder and its batch norm."""
    lr_spread: float = 1.0
    """Learning rate of the head divided by that of the early encoder layers; late encoder layers
    get a rate between the two."""
    batch_size: int = 64
    """Slices per update, summed over all processes."""


@dataclass(frozen=True)
class TrainConfig:
    """The complete configuration of a run.

    Raises:
        ConfigError: a value is out of its range.
    """

    data: Path
    """Dataset folder written by `python -m brainai.data.prepare`."""
    out: Path
    """Run folder to write."""
    stages: tuple[Stage, ...]
    """Stages in order; each starts from the weights of the one before."""
    architecture: str = "resnet50"
    """timm architecture of the encoder."""
    pretrained: bool = True
    """Start from timm's ImageNet weights; --no-pretrained starts from random weights."""
    pretrained_from: Path | None = None
    """Read the ImageNet weights from here instead of the Hub: a folder with timm's
    model.safetensors, or a copy of a Hub cache."""
    init_from: str | None = None
    """Start from this model instead: a model folder, or owner/name@revision on the Hub."""
    decoder: bool = True
    """Train the mask decoder as well; --no-decoder trains the classifier alone."""
    mask_weight: float = 1.0
    """Weight of the mask loss relative to the class loss."""
    hard_weight: float = 1.0
    """Weight in the loss of slices that are easily misclassified: slices of people without a
    tumor (source tumor-free), and slices with a tumor of fewer than 200 pixels."""
    slices_per_case: int = 0
    """Largest number of slices per case in an epoch, drawn anew for each epoch; 0 takes all."""
    drop_path: float = 0.0
    """Probability of skipping the last block of the encoder; earlier blocks are skipped less
    often."""
    average: float = 0.0
    """Decay per update of the exponential moving average (EMA) of the weights. The EMA is what is
    validated and published; 0 uses the weights themselves."""
    weight_decay: float = 0.05
    """Weight decay of AdamW; biases and normalization layers have none."""
    warm_up: float = 0.25
    """Fraction of a stage during which the learning rate rises."""
    scope_steps: int = 2400
    """Updates of the small scope network, which decides what cannot be judged; 0 trains none."""
    decoys: tuple[Path, ...] = ()
    """Folders of head pictures and scans other than axial FLAIR (other sequences, planes and
    machines). The scope network learns to refuse them; one in four files is kept out of
    training."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """`auto` uses bfloat16 if the processor computes it fast."""
    cpu: bool = False
    """Use the CPU even if there is a GPU."""
    resume: bool = False
    """Continue from the last checkpoint of the run folder."""
    find_lr: bool = False
    """Plot loss against learning rate for the first stage, then stop."""
    log_with: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Trackers to use besides metrics.jsonl."""
    push_to_hub: str | None = None
    """Push the finished model to this repository, owner/name; a new repository is private."""
    public: bool = False
    """Make a new repository public."""
    tag: str | None = None
    """Tag of the pushed release; by default weights- followed by the revision."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How strongly training slices are changed."""

    def __post_init__(self) -> None:
        problems = [
            *(["--stages: expected at least one stage"] if not self.stages else []),
            *(
                f"stage {number}: expected an image size divisible by 32, found {s.image_size}"
                for number, s in enumerate(self.stages)
                if s.image_size < 32 or s.image_size % 32
            ),
            *(
                f"stage {number}: expected epochs of at least 1, a batch size of at least 2, a "
                f"positive lr and an lr spread of at least 1, found {s.epochs}, {s.batch_size}, "
                f"{s.lr} and {s.lr_spread}"
                for number, s in enumerate(self.stages)
                if s.epochs < 1 or s.batch_size < 2 or s.lr <= 0 or s.lr_spread < 1
            ),
        ]
        problems += [
            f"--{name.replace('_', '-')}: expected a number from 0 to below 1, found {value}"
            for name, value in (("drop_path", self.drop_path), ("average", self.average))
            if not 0 <= value < 1
        ]
        if self.hard_weight <= 0:
            problems.append(f"--hard-weight: expected a positive number, found {self.hard_weight}")
        if self.slices_per_case < 0:
            problems.append(
                f"--slices-per-case: expected 0 (all) or more, found {self.slices_per_case}"
            )
        if self.scope_steps < 0:
            problems.append(f"--scope-steps: expected 0 (none) or more, found {self.scope_steps}")
        if not 0 < self.warm_up < 1:
            problems.append(f"--warm-up: expected a number between 0 and 1, found {self.warm_up}")
        if problems:
            raise ConfigError("; ".join(problems) + ".")

    @property
    def image_size(self) -> int:
        """Picture size of the last stage, which the finished network uses."""
        return self.stages[-1].image_size

    def recipe(self) -> dict:
        """Return the values that decide the result of a run, without paths, as JSON types.

        Checkpoints keep them, and `--resume` compares them.
        """
        values = {k: v for k, v in asdict(self).items() if k not in NON_RECIPE_FIELDS}
        return json.loads(json.dumps(values))


PRESETS: dict[str, dict] = {
    # From ImageNet weights, as fastai fine-tunes: for each size first the head alone, then all
    # layers with lower rates for earlier ones.
    "default": {
        "stages": (
            Stage(64, epochs=1, lr=2e-3, train="head", batch_size=128),
            Stage(64, epochs=6, lr=1e-3, lr_spread=30, batch_size=128),
            Stage(128, epochs=1, lr=1e-3, train="head", batch_size=64),
            Stage(128, epochs=5, lr=5e-4, lr_spread=30, batch_size=64),
            Stage(256, epochs=1, lr=5e-4, train="head", batch_size=32),
            Stage(256, epochs=4, lr=2e-4, lr_spread=30, batch_size=32),
        )
    },
    # A random encoder has nothing to preserve: all layers train at once, mostly on small pictures.
    "scratch": {
        "pretrained": False,
        "drop_path": 0.1,
        "average": 0.995,
        "slices_per_case": 80,
        "augmentation": Augmentation(drop=0.7),
        "stages": (
            Stage(64, epochs=16, lr=1e-3, batch_size=64),
            Stage(128, epochs=40, lr=6e-4, batch_size=32),
            Stage(256, epochs=7, lr=3e-4, batch_size=16),
        ),
    },
    # Continue from a model folder (--init-from), which has already learned at small sizes.
    "further": {
        "pretrained": False,
        "drop_path": 0.1,
        "average": 0.995,
        "slices_per_case": 80,
        "augmentation": Augmentation(drop=0.7),
        "stages": (
            Stage(128, epochs=13, lr=6e-4, batch_size=32),
            Stage(256, epochs=7, lr=3e-4, batch_size=16),
        ),
    },
    # All steps in seconds, for a first try and for tests.
    "smoke": {
        "pretrained": False,
        "architecture": "test_resnet",
        "scope_steps": 30,
        "stages": (
            Stage(32, epochs=1, lr=3e-3, train="head", batch_size=16),
            Stage(32, epochs=4, lr=3e-3, lr_spread=3, batch_size=16),
            Stage(64, epochs=4, lr=2e-3, lr_spread=3, batch_size=16),
        ),
    },
}


def parse_config(
    arguments: Sequence[str] | None = None, prog: str = "accelerate launch train.py"
) -> TrainConfig:
    """Return the configuration that the command line gives: the preset, changed by the options.

    Args:
        arguments: words after the command; None takes those of the process.
        prog: name of the command in its help.
    Raises:
        ConfigError: the preset is unknown, or a value is out of its range.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", nargs="?", default="default", const="")
    chosen, others = first.parse_known_args(arguments)
    preset = chosen.preset
    if preset not in PRESETS:
        raise ConfigError(f"--preset: expected one of {', '.join(PRESETS)}, found {preset!r}.")
    values = {"data": tyro.MISSING, "out": tyro.MISSING} | PRESETS[preset]
    return tyro.cli(
        TrainConfig,
        args=others,
        prog=prog,
        default=TrainConfig(**values),
        description=f"--preset {{{','.join(PRESETS)}}} sets the options below (now: {preset}).",
    )
