"""Answers known in advance, for tests of how the page shows them."""

from collections.abc import Iterator

import numpy as np

from brainai.data.volumes import Volume
from brainai.inference.classifier import Prediction
from brainai.inference.scan import ScanPrediction, ScanProgress

PROBABILITIES = [0.02, 0.05, 0.1, 0.3, 0.9, 0.97, 0.8, 0.4, 0.2, 0.05]
TUMOR_SLICES = {4: 4, 5: 8, 6: 6}  # index of a slice → side of its square mask, in pixels


def known_slice(**_: object) -> Prediction:
    """Tumor, 90 %, on every pixel of a slice of 96 × 80."""
    everywhere = np.ones((96, 80), bool)
    return Prediction("Tumor", 0.9, 0.5, everywhere, everywhere.astype(np.float32))


def known_answer(flair: Volume) -> ScanPrediction:
    """Twelve slices of 2 × 2 × 5 mm: the ends not judged, tumor from 5 to 7, most of it in 6."""
    width, height, count = flair.voxels.shape
    assert (width, height, count, flair.spacing_mm) == (60, 75, 12, (2.0, 2.0, 5.0))
    mask = np.zeros((60, 75, 12), bool)
    for index, side in TUMOR_SLICES.items():
        mask[20 : 20 + side, 30 : 30 + side, index + 1] = True
    areas = mask.sum(axis=(0, 1)) * 0.04
    slices = np.array([np.nan, *PROBABILITIES, np.nan])
    labels = tuple("" if np.isnan(p) else "Tumor" if p >= 0.5 else "No Tumor" for p in slices)
    volume = float(areas.sum() * 0.5)
    return ScanPrediction(
        "Tumor",
        0.9,
        0.5,
        slices,
        0.5,
        labels,
        mask,
        volume,
        areas,
        flair.grid,
        ("FLAIR: a <note>.",),
    )


def known_scan(flair: Volume, **_: object) -> Iterator[ScanProgress | ScanPrediction]:
    yield ScanProgress(5, 10)
    yield known_answer(flair)
