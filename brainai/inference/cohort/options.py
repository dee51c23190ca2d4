"""The options of `brainai cohort`."""

from dataclasses import dataclass
from pathlib import Path

from brainai.errors import ConfigError


@dataclass(frozen=True)
class JudgeCohort:
    """Judge a cohort of scans. For research and teaching only."""

    scans: Path
    """a BIDS data set, a folder of NIfTI, MetaImage or DICOM studies, or a .csv of paths"""
    out: Path
    """folder for masks, tables and index.html; the same command continues where it stopped"""
    model: str = "weights"
    """model folder, or owner/name@revision on the Hub"""
    limit: int | None = None
    """judge only this many scans, the first by name"""
    ahead: int = 1
    """scans that each process reads ahead while it judges one; they are held in memory"""
    cpu: bool = False
    """use the CPU even if there is a GPU"""

    def __post_init__(self) -> None:
        if self.ahead < 1 or (self.limit is not None and self.limit < 1):
            raise ConfigError("--ahead and --limit: expected 1 or more.")
