"""The options of `brainai phantom`."""

from dataclasses import dataclass
from pathlib import Path

from brainai.errors import ConfigError


@dataclass(frozen=True)
class Phantoms:
    """Write simulated studies (--out), the demo's examples (--examples) or heads (--decoys)."""

    out: Path | None = None
    """write studies into this folder, as BraTS 2021 does"""
    examples: Path | None = None
    """write the examples of the demo here"""
    decoys: Path | None = None
    """write heads in T1, T2 and proton density here, as scans"""
    count: int = 8
    """how many studies"""
    seed: int = 0
    """same seed, same studies"""
    spacing: tuple[float, float, float] = (1.0, 1.0, 4.0)
    """distance of voxels along x, y and z, mm"""

    def __post_init__(self) -> None:
        given = sum(place is not None for place in (self.out, self.examples, self.decoys))
        if given != 1:
            raise ConfigError(f"--out, --examples, --decoys: expected one of them, found {given}.")
