"""Whole batches in torch: from stored uint8 to network input, with augmentation for training.

Every random number of an epoch comes from one table `[N, AUGMENT_COLUMNS]`, drawn from the epoch's
seed and indexed by slice: a slice is augmented alike whichever process, batch or restart meets it.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

NOISE_SIDE = 512  # side of the bank that noise is cut from
AUGMENT_COLUMNS = 13


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
    gamma: float = 0.35
    """Largest change of the logarithm of gamma."""
    gain: float = 0.2
    """Largest change of brightness, as a part of 1."""
    noise: float = 0.05
    """Largest standard deviation of added noise, of a range of 1."""
    blur: float = 0.2
    """Probability of a 3×3 blur."""
    drop: float = 0.5
    """Probability with which T1c and T2 are each replaced by FLAIR."""


def random_table(count: int, seed: int) -> Tensor:
    """The epoch's random numbers: `[count, AUGMENT_COLUMNS]` uniform in [0, 1)."""
    return torch.rand(count, AUGMENT_COLUMNS, generator=torch.Generator().manual_seed(seed))


def to_input(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Pictures `[N, 1 or 3, H, W]` → network input `[N, 3, H, W]`, normalised, channels-last.

    Args:
        images: uint8, or float in [0, 1]; one channel is FLAIR and stands in for all three.
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    shape = (1, 3, 1, 1)
    centre = torch.tensor(mean, device=images.device).view(shape)
    spread = torch.tensor(std, device=images.device).view(shape)
    images = (images - centre) / spread
    return images.contiguous(memory_format=torch.channels_last)


def augment(planes: Tensor, random: Tensor, how: Augmentation) -> tuple[Tensor, Tensor]:
    """Augmented pictures and masks.

    Args:
        planes: `[N, C + 1, H, W]` uint8, the mask last.
        random: rows of `random_table` for these slices, `[N, AUGMENT_COLUMNS]`.
    Returns:
        Pictures `[N, C, H, W]` and masks `[N, 1, H, W]`, float32 in [0, 1].
    """
    signed = random * 2 - 1
    moved = _move(planes.float() / 255, random[:, 0] < how.flip, signed[:, 1:5], how)
    images, masks = moved[:, :-1], moved[:, -1:]
    images = drop_modalities(images, random[:, 5:7] < how.drop)
    return _change_grey(images, random[:, 7:], how), masks


def drop_modalities(images: Tensor, drop: Tensor) -> Tensor:
    """Replace T1c and T2 by FLAIR where `drop` `[N, 2]` says so; FLAIR itself always stays."""
    if images.shape[1] == 1:
        return images
    flair = images[:, :1]
    return torch.cat([flair, torch.where(drop[:, :, None, None], flair, images[:, 1:])], dim=1)


def _move(planes: Tensor, flip: Tensor, signed: Tensor, how: Augmentation) -> Tensor:
    """One affine map per slice for picture and mask together: rotation, scale, shift, flip."""
    angle = signed[:, 0] * math.radians(how.rotation)
    zoom = 1 / (1 + signed[:, 1] * how.scale)
    mirror = torch.where(flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift_x, shift_y = signed[:, 2] * how.shift * 2, signed[:, 3] * how.shift * 2
    rows = [
        torch.stack([cos * mirror, -sin, shift_x], 1),
        torch.stack([sin * mirror, cos, shift_y], 1),
    ]
    theta = torch.stack(rows, dim=1).to(planes.device)
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False)
    return F.grid_sample(planes, grid, align_corners=False)


def _change_grey(images: Tensor, random: Tensor, how: Augmentation) -> Tensor:
    """Gamma, gain, blur and noise, the same for all sequences of a slice but for the noise."""
    random = random.to(images.device)
    column = random[:, :, None, None, None]
    gamma = torch.exp((column[:, 0] * 2 - 1) * how.gamma)
    gain = 1 + (column[:, 1] * 2 - 1) * how.gain
    images = images.clamp(1e-4, 1) ** gamma * gain
    blurred = random[:, 2] < how.blur
    images[blurred] = _blur(images[blurred])
    noise = _noise(images, random[:, 3:5]) * (column[:, 5] * how.noise)
    return (images + noise).clamp(0, 1)


def _blur(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)


def _noise(images: Tensor, offsets: Tensor) -> Tensor:
    """Normal noise of standard deviation 1, cut per slice from one bank at a random place."""
    _, channels, height, width = images.shape
    bank = _noise_bank().to(images.device)
    corner = (offsets * NOISE_SIDE).long()
    y = (corner[:, :1] + torch.arange(height, device=images.device)) % NOISE_SIDE
    x = (corner[:, 1:] + torch.arange(width, device=images.device)) % NOISE_SIDE
    planes = [bank[(y[:, :, None] + 97 * c) % NOISE_SIDE, x[:, None, :]] for c in range(channels)]
    return torch.stack(planes, dim=1)


@cache
def _noise_bank() -> Tensor:
    return torch.randn(NOISE_SIDE, NOISE_SIDE, generator=torch.Generator().manual_seed(0))
