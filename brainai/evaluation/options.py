"""The options of `brainai evaluate`."""

from dataclasses import dataclass
from pathlib import Path

from brainai.data.dataset import MODALITIES
from brainai.errors import ConfigError


@dataclass(frozen=True)
class Evaluate:
    """Score a model on one split of a prepared data set."""

    data: Path
    """dataset folder"""
    model: str = "weights"
    """model folder or Hub id (owner/name@revision), ours or that of a timm classifier of two
    classes"""
    split: str = "test"
    """train, valid or test"""
    out: Path | None = None
    """folder for report.json, report.md and figures"""
    modalities: str = MODALITIES[0]
    """sequences the network may see, such as flair+t1c+t2"""
    batch_size: int = 16
    """slices at a time"""
    phantoms: int = 0
    """also measure specificity on so many simulated people without a tumor, with white-matter
    spots, and with plaques (about 10 s each)"""
    decoys: tuple[Path, ...] = ()
    """also measure how many pictures and scans of heads that are no axial FLAIR slices are
    refused, in these folders; one of four files is kept out of any training"""
    scope_only: bool = False
    """only say what is refused; score nothing, and write nothing"""
    beside: tuple[str, ...] = ()
    """report.json of other trainings to stand beside, such as those that left out a site"""
    device: str | None = None
    """such as cpu or cuda; by default the GPU if there is one"""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size: expected at least 1, found {self.batch_size}.")
        if self.phantoms < 0:
            raise ConfigError(f"--phantoms: expected 0 (none) or more, found {self.phantoms}.")
