"""The strength of the augmentation, which `brainai.data.augment` applies."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """The strength of the augmentation of training slices. With zeros nothing changes."""

    flip: float = 0.5
    """Probability of a left-right flip."""
    rotation: float = 15.0
    """Largest rotation, degrees."""
    scale: float = 0.15
    """Largest relative change of size."""
    shift: float = 0.08
    """Largest shift, relative to the side."""
    warp: float = 0.03
    """Largest local displacement, relative to the side."""
    gamma: float = 0.45
    """Largest change of the logarithm of gamma."""
    gain: float = 0.2
    """Largest relative change of brightness."""
    bias: float = 0.3
    """Largest change of the logarithm of brightness from place to place."""
    noise: float = 0.05
    """Largest standard deviation of added noise, for gray levels in [0, 1]."""
    blur: float = 0.2
    """Probability of a 3×3 blur."""
    drop: float = 0.5
    """Probability that T1c and T2 are each replaced by FLAIR."""
    lend: float = 0.4
    """Probability of CarveMix: a tumor is copied from another slice, or covered by its tissue."""
