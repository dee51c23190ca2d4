"""The options of `brainai evaluate`."""

from dataclasses import dataclass
from pathlib import Path

from brainai.data.dataset import MODALITIES
from brainai.errors import ConfigError


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a model on one split of a prepared data set."""

    data: Path
    """dataset folder"""
    model: str = "weights"
    """model folder or owner/name@revision on the Hub, of BrainAI or of any timm classifier with
    two classes"""
    split: str = "test"
    """train, valid or test"""
    out: Path | None = None
    """folder for report.json, report.md and figures"""
    modalities: str = MODALITIES[0]
    """sequences that the network may use, such as flair+t1c+t2"""
    batch_size: int = 16
    """slices per batch"""
    phantoms: int = 0
    """also measure specificity on this many simulated people without a tumor, each with no bright
    spots, with white-matter spots, and with plaques (about 10 s each)"""
    decoys: tuple[Path, ...] = ()
    """also measure how often head pictures and scans other than axial FLAIR in these folders are
    refused; one in four files is kept out of every training"""
    scope_only: bool = False
    """only print how often "Cannot judge" is the answer; score and write nothing"""
    beside: tuple[str, ...] = ()
    """report.json files of other trainings to add for comparison, such as those that left out a
    site"""
    device: str | None = None
    """device such as cpu or cuda; by default the GPU if there is one"""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size: expected at least 1, found {self.batch_size}.")
        if self.phantoms < 0:
            raise ConfigError(f"--phantoms: expected 0 (none) or more, found {self.phantoms}.")
