"""How far training slices are changed, as data; `brainai.data.augment` does it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """How far training slices are changed; zeros change nothing."""

    flip: float = 0.5
    """Probability of mirroring left and right."""
    rotation: float = 15.0
    """Largest rotation, degrees."""
    scale: float = 0.15
    """Largest change of size, as a part of 1."""
    shift: float = 0.08
    """Largest shift, as a part of the side."""
    warp: float = 0.03
    """Largest local displacement, as a part of the side."""
    gamma: float = 0.45
    """Largest change of the logarithm of gamma."""
    gain: float = 0.2
    """Largest change of brightness, as a part of 1."""
    bias: float = 0.3
    """Largest change of the logarithm of brightness from place to place."""
    noise: float = 0.05
    """Largest standard deviation of added noise, of a range of 1."""
    blur: float = 0.2
    """Probability of a 3×3 blur."""
    drop: float = 0.5
    """Probability with which T1c and T2 are each replaced by FLAIR."""
    lend: float = 0.4
    """Probability with which another slice lends its tumor, or covers one by its own tissue."""
