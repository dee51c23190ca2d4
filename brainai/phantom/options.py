"""The options of `brainai phantom`."""

from dataclasses import dataclass
from pathlib import Path

from brainai.errors import ConfigError


@dataclass(frozen=True)
class Phantoms:
    """Write simulated studies (--out), examples of the demo (--examples) or heads (--decoys)."""

    out: Path | None = None
    """folder for simulated studies, with the file names of BraTS 2021"""
    examples: Path | None = None
    """folder for the examples of the demo"""
    decoys: Path | None = None
    """folder for scans of heads in T1, T2 and proton density"""
    count: int = 8
    """number of studies"""
    seed: int = 0
    """the same seed gives the same studies"""
    spacing: tuple[float, float, float] = (1.0, 1.0, 4.0)
    """distance of voxels along x, y and z, mm"""

    def __post_init__(self) -> None:
        given = sum(folder is not None for folder in (self.out, self.examples, self.decoys))
        if given != 1:
            raise ConfigError(
                f"--out, --examples and --decoys: expected exactly one of them, found {given}."
            )
