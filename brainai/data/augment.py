"""Turn batches of stored uint8 slices into network input in torch, with augmentation for training.

All random numbers of an epoch come from one table `[N, AUGMENT_COLUMNS]`, which is drawn from the
epoch's seed and has a row for each slice. The augmentation of a slice therefore does not depend on
the process, the batch or a restart.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from brainai.data.augmentation import Augmentation

NOISE_SIDE = 512  # side of the bank that noise is cut from
CONTROL = 4  # control values a side, of fields that vary slowly over the picture
HEAD_LEVEL = 20  # of 255: what is brighter is head
RIM = 1 / 32  # of the side: width of the rim that CarveMix takes along with a tumor
MOVE, DROP, GRAY, WARP, BIAS, CARVE_MIX = (  # columns of the table
    slice(0, 5),
    slice(5, 7),
    slice(7, 13),
    slice(13, 13 + 2 * CONTROL**2),
    slice(13 + 2 * CONTROL**2, 13 + 3 * CONTROL**2),
    slice(13 + 3 * CONTROL**2, 15 + 3 * CONTROL**2),
)
AUGMENT_COLUMNS = CARVE_MIX.stop


def random_table(count: int, seed: int, columns: int = AUGMENT_COLUMNS) -> Tensor:
    """Draw the random numbers of an epoch: `[count, columns]`, uniform in [0, 1)."""
    return torch.rand(count, columns, generator=torch.Generator().manual_seed(seed))


def to_input(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Normalize pictures `[N, 1 or 3, H, W]` to network input `[N, 3, H, W]`, channels-last.

    Args:
        images: uint8, or float in [0, 1]. A single channel is FLAIR and is used for all three.
        mean, std: of each channel, in [0, 1].
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    shape = (1, 3, 1, 1)
    center = torch.tensor(mean, device=images.device).view(shape)
    spread = torch.tensor(std, device=images.device).view(shape)
    images = (images - center) / spread
    return images.contiguous(memory_format=torch.channels_last)


def augment(planes: Tensor, random: Tensor, how: Augmentation) -> tuple[Tensor, Tensor]:
    """Augment pictures together with their masks.

    Args:
        planes: `[N, C + 1, H, W]` uint8 or float from 0 to 255, the mask last.
        random: the rows of `random_table` for these slices, `[N, AUGMENT_COLUMNS]`.
        how: the strength of the augmentation.
    Returns:
        Pictures `[N, C, H, W]` and masks `[N, 1, H, W]`, float32 in [0, 1].
    """
    moved = _move(planes.float() / 255, random, how)
    images, masks = moved[:, :-1], moved[:, -1:].clamp(0, 1)
    images = drop_modalities(images, random[:, DROP] < how.drop)
    images = images * _bias(random[:, BIAS], images.shape[-2:], how).to(images.device)
    return _change_gray(images, random[:, GRAY], how), masks


def carve_mix(planes: Tensor, labels: Tensor, donors: Tensor) -> tuple[Tensor, Tensor]:
    """Paste tumors of donor slices into other slices, or cover tumors with tissue of the donors.

    If the donor shows tumor, its tumor is pasted with a rim of its surroundings. If it shows none,
    its tissue covers the tumor of the slice. A patient's tumor thus appears in other brains, and a
    seam alone does not indicate a tumor. Only pixels where both slices show head are changed, and
    the donor is scaled to the brightness of the slice.

    The method follows CarveMix (Zhang et al. 2023, https://arxiv.org/abs/2108.06883), which only
    adds tumors.

    Args:
        planes, donors: `[N, C + 1, H, W]` uint8 or float from 0 to 255, the mask last.
        labels: `[N]` int64.
    Returns:
        New planes, float32, and labels. A single pixel of tumor makes a slice positive.
    """
    planes = planes.float()
    donors = donors.to(torch.float32, copy=True)  # its brightness is changed in place below
    donor_shows, slice_shows = (_shows_tumor(p)[:, None, None, None] for p in (donors, planes))
    tumor = torch.where(donor_shows, donors[:, -1:], torch.where(slice_shows, planes[:, -1:], 0.0))
    rim = max(1, round(RIM * planes.shape[-1]))
    heads = [_widen((p[:, :1] > HEAD_LEVEL).float(), rim) for p in (planes, donors)]
    # The mean over three pixels makes a soft seam.
    region = F.avg_pool2d(_widen(tumor / 255, rim) * heads[0] * heads[1], 3, stride=1, padding=1)
    brightness = [
        (p[:, :-1] * head).sum((2, 3), keepdim=True) / head.sum((2, 3), keepdim=True).clamp(min=1)
        for p, head in zip((planes, donors), heads, strict=True)
    ]
    donors[:, :-1] *= brightness[0] / brightness[1].clamp(min=1)
    # Not rounded: sums depend on the batch in their last digit, and rounding would enlarge that.
    mixed = torch.lerp(planes, donors, region).clamp(0, 255)
    # A slice whose tumor is too small to show in its mask keeps its label.
    keeps_label = labels.bool() & ~slice_shows.flatten()
    return mixed, (_shows_tumor(mixed) | keeps_label).long()


def _shows_tumor(planes: Tensor) -> Tensor:
    return (planes[:, -1] > 127).flatten(1).any(dim=1)


def _widen(region: Tensor, by: int) -> Tensor:
    return F.max_pool2d(region, 2 * by + 1, stride=1, padding=by)


def drop_modalities(images: Tensor, drop: Tensor) -> Tensor:
    """Replace T1c and T2 by FLAIR where `drop`, `[N, 2]` bool, is True. FLAIR always stays."""
    if images.shape[1] == 1:
        return images
    flair = images[:, :1]
    return torch.cat([flair, torch.where(drop[:, :, None, None], flair, images[:, 1:])], dim=1)


def _move(planes: Tensor, random: Tensor, how: Augmentation) -> Tensor:
    """Flip, rotate, scale, shift and warp each slice together with its mask."""
    signed = random[:, MOVE][:, 1:] * 2 - 1
    angle = signed[:, 0] * math.radians(how.rotation)
    zoom = 1 / (1 + signed[:, 1] * how.scale)
    mirror = torch.where(random[:, 0] < how.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift_x, shift_y = signed[:, 2] * how.shift * 2, signed[:, 3] * how.shift * 2
    rows = [
        torch.stack([cos * mirror, -sin, shift_x], 1),
        torch.stack([sin * mirror, cos, shift_y], 1),
    ]
    theta = torch.stack(rows, dim=1).to(planes.device)
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False)
    bend = _field(random[:, WARP].view(-1, 2, CONTROL, CONTROL), planes.shape[-2:])
    grid = grid + (bend * how.warp * 2).permute(0, 2, 3, 1).to(planes.device)
    return F.grid_sample(planes, grid, align_corners=False)


def _bias(random: Tensor, size: tuple[int, int], how: Augmentation) -> Tensor:
    """Return brightness that varies slowly over a slice, as near a receive coil, `[N, 1, H, W]`."""
    return torch.exp(_field(random.view(-1, 1, CONTROL, CONTROL), size) * how.bias)


def _field(random: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn control values `[N, C, k, k]`, uniform in [0, 1), into a smooth field `[N, C, H, W]`.

    The field lies between about -1 and 1.
    """
    height, width = size
    rows, columns = (_spread(side).to(random.device) for side in (height, width))
    return rows @ (random * 2 - 1) @ columns.T


@cache
def _spread(side: int) -> Tensor:
    """Return the matrix of bicubic interpolation from `CONTROL` values to `side`.

    Two small matrix products are much faster than interpolating every picture.
    """
    return F.interpolate(
        torch.eye(CONTROL)[None, None], size=(side, CONTROL), mode="bicubic", align_corners=True
    )[0, 0]


def _change_gray(images: Tensor, random: Tensor, how: Augmentation) -> Tensor:
    """Apply gamma, gain, blur and noise. Only the noise differs between sequences of a slice."""
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
    """Crop normal noise of standard deviation 1 at a random place for each slice."""
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
