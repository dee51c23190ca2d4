"""Is this an upright axial FLAIR slice of a brain at all, before anyone asks about tumor?

A small network of its own, on pictures of 128 × 128 pixels: what tells tumors apart hardly tells
FLAIR from T1c or up from down. Two questions, because they fail differently:

- which of `KINDS` it is most likely, learned with decoys of each (outlier exposure: Hendrycks et
  al. 2019, https://arxiv.org/abs/1812.04606);
- how far its features lie from those of training, by the Mahalanobis distance (Lee et al. 2018,
  https://arxiv.org/abs/1807.03888): for what resembles no decoy.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# What a slice may be, the one in scope first, and what is said of one that looks like it.
KINDS = {
    "axial FLAIR": "does not look like an axial FLAIR slice",
    "another sequence": "looks like T1 or T2, not like FLAIR",
    "turned": "looks upside down or turned",
    "another view": "looks like a sagittal or coronal slice",
    "no slice": "does not look like a slice of a brain MRI",
}
SIZE = 128  # pixels a side
WIDTHS = (16, 48, 96, 160)
LEAST_HEAD = 0.004  # of a picture: with less that is brighter than the background, none is judged
HEAD_LEVEL = 0.1  # of the gray window: what is brighter is head
# Noise: of the cells of 8 × 8 pixels that are bright so far, so many lie at the border; all differ
# by no more than this part of their mean, and the pixels of most by no less than that part. Brains
# differ more from cell to cell, or leave the border dark.
CELL, FILLED, BORDER_CELLS, EVEN, GRAIN = 8, 0.8, 12, 0.12, 0.03
# Of a scan so many slices are looked at, evenly spread. What one of them says, in log-odds, counts
# no more than this: the ends of a scan look strange, and tumor there must not be passed over.
SCAN_SLICES, MOST_SAID = 16, 4.0
TOO_LITTLE = "too little brain in the slice"


class Scope(nn.Module):
    """Logits of `KINDS`, and the distance from the slices of training.

    Its buffers are fitted after its weights (`brainai.training.scope`): `center [D]` and
    `whitening [D, D]` of the features of slices in scope, `margins [4]`, the least log-odds of
    "axial FLAIR" against each other kind, and `reach []`, the largest distance. Until they are
    fitted nothing is refused. `scan_limit []` is the least evidence of a whole scan.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise((1, *WIDTHS))):
            # The first layer sees fine detail, sulci above all, and halves the picture.
            kernel, stride = (5, 2) if number == 0 else (3, 1)
            blocks += [
                nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
        blocks += [nn.Conv2d(WIDTHS[-1], WIDTHS[-1], 4), nn.ReLU(inplace=True), nn.Flatten()]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(WIDTHS[-1], len(KINDS))
        self.register_buffer("center", torch.zeros(WIDTHS[-1]))
        self.register_buffer("whitening", torch.eye(WIDTHS[-1]))
        self.register_buffer("margins", torch.full((len(KINDS) - 1,), -torch.inf))
        self.register_buffer("reach", torch.tensor(torch.inf))
        self.register_buffer("scan_limit", torch.tensor(0.0))

    def forward(self, flair: Tensor) -> tuple[Tensor, Tensor]:
        """FLAIR `[N, 1, S, S]` float in [0, 1] → logits of `KINDS` `[N, 5]`, features `[N, D]`."""
        small = F.interpolate(flair, (SIZE, SIZE), mode="bilinear", antialias=True)
        features = self.body(small - 0.25)
        return self.head(features), features

    def measure(self, flair: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds `[N, 4]` of "axial FLAIR" against each other kind; distance `[N]`, root mean
        square over the features (about 1 for a slice of training)."""
        logits, features = self(flair)
        away = (features - self.center) @ self.whitening
        return logits[:, :1] - logits[:, 1:], away.square().mean(dim=1).sqrt()

    def judge(self, flair: Tensor) -> list[str | None]:
        """Of each slice what it looks like where it is refused, else None: `[N]`."""
        log_odds, distance = self.measure(flair)
        short = self.margins - log_odds
        elsewhere = torch.where(distance > self.reach, 0, -1)
        kinds = torch.where((short > 0).any(dim=1), short.argmax(dim=1) + 1, elsewhere)
        words = list(KINDS.values())
        return [None if kind < 0 else words[kind] for kind in kinds.tolist()]

    def evidence(self, flair: Tensor) -> tuple[Tensor, Tensor]:
        """That slices `[N, 1, S, S]` of a scan are axial FLAIR, `[]`, and of no other kind, `[4]`.

        The mean over the slices of the log-odds that each has to spare above the margins, against
        all kinds and each; a slice says at most `MOST_SAID`, and so much against a scan where it
        lies out of reach.
        """
        log_odds, distance = self.measure(flair)
        spare = (log_odds - self.margins).clamp(-MOST_SAID, MOST_SAID)
        least = torch.where(distance > self.reach, -MOST_SAID, spare.amin(dim=1))
        return least.mean(), spare.mean(dim=0)

    def judge_scan(self, flair: Tensor) -> str | None:
        """What the slices `[N, 1, S, S]` of a scan look like together where it is refused, else
        None."""
        whole, kinds = self.evidence(flair)
        if whole >= self.scan_limit:
            return None
        return list(KINDS.values())[0 if kinds.amin() > 0 else int(kinds.argmin()) + 1]


@torch.inference_mode()
def refusals(flair: Tensor, scope: Scope | None) -> list[str | None]:
    """Why each slice cannot be judged, in a few words, or None where it can: `[N]`.

    Args:
        flair: `[N, 1, S, S]` float in [0, 1].
        scope: None where it was not fitted; then only near-empty slices are refused.
    """
    reasons = [None] * len(flair) if scope is None else scope.judge(flair)
    little = shows_little(flair).tolist()
    return [TOO_LITTLE if few else reason for few, reason in zip(little, reasons, strict=True)]


@torch.inference_mode()
def refusal_of_scan(flair: Tensor, scope: Scope | None) -> str | None:
    """Why a scan cannot be judged, in a few words, or None where it can.

    Args:
        flair: some of its slices, `[N, 1, S, S]` float in [0, 1]. Those that show too little say
            nothing where most show more.
        scope: None where it was not fitted; then only scans of near-empty slices are refused.
    """
    little = shows_little(flair)
    if 2 * int(little.sum()) > len(flair):
        return TOO_LITTLE
    return None if scope is None else scope.judge_scan(flair[~little])


def scan_slices(planes: np.ndarray) -> Tensor:
    """The slices by which a scan is judged, float in [0, 1]: `[Z, S, S]` uint8 → `[N, 1, S, S]`.
    Evenly spread over those that show a head; the scan as it is where none does."""
    flair = torch.from_numpy(np.ascontiguousarray(planes))[:, None].float() / 255
    head = flair[~shows_little(flair)]
    flair = head if len(head) else flair
    return flair[spread_over(len(flair), SCAN_SLICES)]


def spread_over(count: int, most: int) -> np.ndarray:
    """The places of at most so many of a row of slices, evenly spread from first to last."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)


def shows_little(flair: Tensor) -> Tensor:
    """Where next to no head is seen, `[N, 1, S, S]` in [0, 1] → `[N]` bool: almost all is dark, or
    there is noise up to the border, as when the window has stretched that of the air."""
    small = F.interpolate(flair, (SIZE, SIZE), mode="bilinear", antialias=True)
    bright = (small > HEAD_LEVEL).float()
    cells, filled = F.avg_pool2d(small, CELL), F.avg_pool2d(bright, CELL) > FILLED
    count = filled.sum(dim=(1, 2, 3))
    mean = (cells * filled).sum(dim=(1, 2, 3)) / count.clamp(min=1)
    away = (cells - mean[:, None, None, None]).square() * filled
    spread = (away.sum(dim=(1, 2, 3)) / count.clamp(min=1)).sqrt()
    within = (F.avg_pool2d(small.square(), CELL) - cells.square()).clamp(min=0).sqrt()
    grainy = (filled & (within > GRAIN * cells)).sum(dim=(1, 2, 3))
    at_border = count - filled[:, :, 1:-1, 1:-1].sum(dim=(1, 2, 3))
    noise = (at_border >= BORDER_CELLS) & (spread < EVEN * mean) & (2 * grainy > count)
    return noise | ((flair > HEAD_LEVEL).float().mean(dim=(1, 2, 3)) < LEAST_HEAD)
