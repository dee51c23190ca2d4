"""The recipe as data: frozen dataclasses, presets, the command line. No torch, so that `--help`
answers at once."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from brainai.data.augmentation import Augmentation
from brainai.errors import ConfigError

BESIDE_THE_RECIPE = (  # places, and what may differ from one start of a run to the next
    "data", "out", "init_from", "pretrained_from", "resume", "find_lr", "log_with", "cpu",
    "scope_steps", "decoys", "push_to_hub", "public", "tag",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One leg of training: a picture size, what trains, and how fast."""

    image_size: int
    """Side of the square input, pixels."""
    epochs: int
    """Passes over the train split."""
    lr: float
    """Peak learning rate of the head."""
    train: Literal["head", "all"] = "all"
    """`head` keeps the body and its batch norm frozen."""
    lr_spread: float = 1.0
    """Head rate divided by early-body rate; the late body lies between them."""
    batch_size: int = 64
    """Slices per update, over all processes together."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes."""

    data: Path
    """Dataset folder, from `python -m brainai.data.prepare`."""
    out: Path
    """Run folder to write."""
    stages: tuple[Stage, ...]
    """Stages in their order; weights are carried over."""
    architecture: str = "resnet50"
    """timm architecture of the body."""
    pretrained: bool = True
    """Start from timm's ImageNet weights; --no-pretrained starts from scratch."""
    pretrained_from: Path | None = None
    """Take the ImageNet weights from here instead of the Hub: a folder with timm's
    model.safetensors, or a Hub cache that was carried along."""
    init_from: str | None = None
    """Start from this model instead: a folder, or owner/name@revision on the Hub."""
    decoder: bool = True
    """Train the mask decoder as well; --no-decoder trains the plain classifier."""
    mask_weight: float = 1.0
    """Weight of the mask loss beside the class loss."""
    hard_weight: float = 1.0
    """Weight in the loss of slices that are easily judged wrongly: those of people without a
    tumor (source tumor-free), and those with a tumor of under 200 pixels."""
    slices_per_case: int = 0
    """At most so many slices of a case in an epoch, drawn anew for each; 0 takes all."""
    drop_path: float = 0.0
    """Probability with which the body's last block is skipped; earlier ones less often."""
    average: float = 0.0
    """Decay per update of a running average of the weights, which then answers; 0 keeps none."""
    weight_decay: float = 0.05
    """Decay of AdamW; biases and norms have none."""
    warm_up: float = 0.25
    """Part of a stage in which the learning rate rises."""
    scope_steps: int = 2400
    """Updates of the small network that says what cannot be judged; 0 trains none."""
    decoys: tuple[Path, ...] = ()
    """Folders of pictures and scans of heads that are no axial FLAIR slices (other sequences,
    planes and machines), for that network to refuse; one of four files trains nothing."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """`auto` takes bfloat16 where the processor has it."""
    cpu: bool = False
    """Stay on the CPU even if there is a GPU."""
    resume: bool = False
    """Go on from the run folder's last checkpoint."""
    find_lr: bool = False
    """Only draw loss against learning rate for the first stage, then stop."""
    log_with: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Trackers beside the JSON lines."""
    push_to_hub: str | None = None
    """When all is done, push the model to this repository, owner/name, private if it is new."""
    public: bool = False
    """Make a new repository public."""
    tag: str | None = None
    """Name of the release pushed; by default weights- and their revision."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How far training slices are changed."""

    def __post_init__(self) -> None:
        problems = [
            *(["--stages: expected at least one stage"] if not self.stages else []),
            *(
                f"stage {number}: expected an image size that 32 divides, found {s.image_size}"
                for number, s in enumerate(self.stages)
                if s.image_size < 32 or s.image_size % 32
            ),
            *(
                f"stage {number}: epochs, batch size (at least 2) and rate must be positive"
                for number, s in enumerate(self.stages)
                if s.epochs < 1 or s.batch_size < 2 or s.lr <= 0 or s.lr_spread < 1
            ),
        ]
        problems += [
            f"--{name.replace('_', '-')}: expected a part from 0 to below 1, found {value}"
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
            problems.append(f"--warm-up: expected a part between 0 and 1, found {self.warm_up}")
        if problems:
            raise ConfigError("; ".join(problems) + ".")

    @property
    def image_size(self) -> int:
        """The size at which the finished network answers: that of the last stage."""
        return self.stages[-1].image_size

    def recipe(self) -> dict:
        """What is written beside checkpoints and compared on resuming; paths of no machine."""
        values = {k: v for k, v in asdict(self).items() if k not in BESIDE_THE_RECIPE}
        return json.loads(json.dumps(values))


PRESETS: dict[str, dict] = {
    # From ImageNet weights: fastai's fine-tuning (head, then all with spread rates) per size.
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
    # Nothing to keep in a random body: all of it trains at once, mostly on small pictures.
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
    # On from a model folder (--init-from): what it learned at small sizes it knows.
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
    # The whole recipe in seconds, for a first look and for tests.
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
    """A configuration from the command line: the preset first, every field over it.

    Args:
        arguments: None takes those of the process.
        prog: how the command is called, for its help.
    Raises:
        ConfigError: an unknown preset, or values that cannot be trained with.
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
