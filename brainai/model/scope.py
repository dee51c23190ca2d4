"""Decide whether a picture is in scope: an upright axial FLAIR slice of a brain.

This is a separate small network on pictures of 128 × 128 pixels, because features that detect
tumors hardly tell FLAIR from T1c or up from down. It combines two criteria that fail differently:

- which of `KINDS` the picture most likely is, learned with decoys of each kind (outlier exposure:
  Hendrycks et al. 2019, https://arxiv.org/abs/1812.04606);
- the Mahalanobis distance of its features from those of training (Lee et al. 2018,
  https://arxiv.org/abs/1807.03888), for pictures that resemble no decoy.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The kinds of pictures, the one in scope first, each with the reason for a refusal.
KINDS = {
    "axial FLAIR": "does not look like an axial FLAIR slice",
    "another sequence": "looks like T1 or T2, not like FLAIR",
    "turned": "looks upside down or turned",
    "another view": "looks like a sagittal or coronal slice",
    "no slice": "does not look like a slice of a brain MRI",
}
SIZE = 128  # pixels a side
WIDTHS = (16, 48, 96, 160)
LEAST_HEAD = 0.004  # share of a picture; with less of the head, a slice is not judged
HEAD_LEVEL = 0.1  # of the gray window; brighter pixels belong to the head
# A slice is noise if at least BORDER_CELLS of its bright cells are at the border, the bright cells
# have a relative standard deviation below EVEN, and most of them have a relative standard deviation
# of their pixels above GRAIN. A cell has CELL × CELL pixels and is bright if a share above FILLED
# of them is. In brains cells differ more, or the border is dark.
CELL, FILLED, BORDER_CELLS, EVEN, GRAIN = 8, 0.8, 12, 0.12, 0.03
# A scan is judged by SCAN_SLICES evenly spread slices. The log-odds of each are limited to
# MAX_LOG_ODDS, because the ends of a scan look unusual, and a tumor there must not be missed.
SCAN_SLICES, MAX_LOG_ODDS = 16, 4.0
TOO_LITTLE = "too little brain in the slice"


class Scope(nn.Module):
    """Logits of `KINDS`, and the distance from the slices of training.

    The buffers are fitted after the weights (`brainai.training.scope`). Until then nothing is
    refused.

    Buffers:
        center, whitening: `[D]` and `[D, D]`, of the features of slices in scope.
        margins: `[4]`, the least log-odds of "axial FLAIR" against each other kind.
        reach: `[]`, the largest distance.
        scan_limit: `[]`, the least evidence of a whole scan.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise((1, *WIDTHS))):
            # The first layer sees fine detail, mainly sulci, and halves the picture.
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
        """Return logits of `KINDS`, `[N, 5]`, and features, `[N, D]`.

        Args:
            flair: `[N, 1, S, S]` float in [0, 1].
        """
        small = F.interpolate(flair, (SIZE, SIZE), mode="bilinear", antialias=True)
        features = self.body(small - 0.25)
        return self.head(features), features

    def measure(self, flair: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-odds of "axial FLAIR" against each other kind, `[N, 4]`, and distances, `[N]`.

        A distance is the root mean square over the features, about 1 for slices of training.
        """
        logits, features = self(flair)
        whitened = (features - self.center) @ self.whitening
        return logits[:, :1] - logits[:, 1:], whitened.square().mean(dim=1).sqrt()

    def judge(self, flair: Tensor) -> list[str | None]:
        """Return for each of N slices the reason why it is refused, or None."""
        log_odds, distance = self.measure(flair)
        missing = self.margins - log_odds
        too_far = torch.where(distance > self.reach, 0, -1)
        kinds = torch.where((missing > 0).any(dim=1), missing.argmax(dim=1) + 1, too_far)
        reasons = list(KINDS.values())
        return [None if kind < 0 else reasons[kind] for kind in kinds.tolist()]

    def evidence(self, flair: Tensor) -> tuple[Tensor, Tensor]:
        """Return the evidence that a scan is axial FLAIR against all other kinds and against each.

        Evidence is the mean over the slices of the log-odds above the margins, which are limited to
        ±`MAX_LOG_ODDS` per slice. A slice beyond `reach` counts `-MAX_LOG_ODDS`.

        Args:
            flair: slices of the scan, `[N, 1, S, S]` float in [0, 1].
        Returns:
            Evidence against all other kinds together, `[]`, and against each of them, `[4]`.
        """
        log_odds, distance = self.measure(flair)
        above = (log_odds - self.margins).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
        least = torch.where(distance > self.reach, -MAX_LOG_ODDS, above.amin(dim=1))
        return least.mean(), above.mean(dim=0)

    def judge_scan(self, flair: Tensor) -> str | None:
        """Return the reason why the scan of slices `[N, 1, S, S]` is refused, or None."""
        whole, kinds = self.evidence(flair)
        if whole >= self.scan_limit:
            return None
        return list(KINDS.values())[0 if kinds.amin() > 0 else int(kinds.argmin()) + 1]


@torch.inference_mode()
def refusals(flair: Tensor, scope: Scope | None) -> list[str | None]:
    """Return for each of N slices a few words on why it cannot be judged, or None if it can.

    Args:
        flair: `[N, 1, S, S]` float in [0, 1].
        scope: None if no scope was fitted; then only nearly empty slices are refused.
    """
    reasons = [None] * len(flair) if scope is None else scope.judge(flair)
    little = shows_little(flair).tolist()
    return [TOO_LITTLE if few else reason for few, reason in zip(little, reasons, strict=True)]


@torch.inference_mode()
def refusal_of_scan(flair: Tensor, scope: Scope | None) -> str | None:
    """Return a few words on why a scan cannot be judged, or None if it can.

    Args:
        flair: some of its slices, `[N, 1, S, S]` float in [0, 1]. Slices that show too little are
            ignored unless they are the majority.
        scope: None if no scope was fitted; then only scans of nearly empty slices are refused.
    """
    little = shows_little(flair)
    if 2 * int(little.sum()) > len(flair):
        return TOO_LITTLE
    return None if scope is None else scope.judge_scan(flair[~little])


def scan_slices(planes: np.ndarray) -> Tensor:
    """Choose the slices by which a scan is judged: `[Z, S, S]` uint8 → `[N, 1, S, S]` float.

    They are evenly spread over the slices that show a head, or over all slices if none does. The
    result is in [0, 1].
    """
    flair = torch.from_numpy(np.ascontiguousarray(planes))[:, None].float() / 255
    head = flair[~shows_little(flair)]
    flair = head if len(head) else flair
    return flair[spread_over(len(flair), SCAN_SLICES)]


def spread_over(count: int, most: int) -> np.ndarray:
    """Return at most `most` indices, evenly spread from 0 to `count - 1`."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)


def shows_little(flair: Tensor) -> Tensor:
    """Return whether slices `[N, 1, S, S]` in [0, 1] show next to nothing of a head, `[N]` bool.

    Almost all of such a slice is dark, or noise reaches up to the border, as when the window has
    stretched the noise of air.
    """
    small = F.interpolate(flair, (SIZE, SIZE), mode="bilinear", antialias=True)
    bright = (small > HEAD_LEVEL).float()
    cells, filled = F.avg_pool2d(small, CELL), F.avg_pool2d(bright, CELL) > FILLED
    count = filled.sum(dim=(1, 2, 3))
    mean = (cells * filled).sum(dim=(1, 2, 3)) / count.clamp(min=1)
    squares = (cells - mean[:, None, None, None]).square() * filled
    spread = (squares.sum(dim=(1, 2, 3)) / count.clamp(min=1)).sqrt()
    cell_spread = (F.avg_pool2d(small.square(), CELL) - cells.square()).clamp(min=0).sqrt()
    grainy = (filled & (cell_spread > GRAIN * cells)).sum(dim=(1, 2, 3))
    at_border = count - filled[:, :, 1:-1, 1:-1].sum(dim=(1, 2, 3))
    noise = (at_border >= BORDER_CELLS) & (spread < EVEN * mean) & (2 * grainy > count)
    return noise | ((flair > HEAD_LEVEL).float().mean(dim=(1, 2, 3)) < LEAST_HEAD)
