"""Scores and a small data set whose figures can be worked out by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainai.data.dataset import SliceRecord, write_records
from brainai.data.seals import sealed
from brainai.evaluation.metrics import SliceScores

SIDE = 32


def record(
    name: str, patient: str, label: int, pixels: int, split: str = "test", **other: object
) -> SliceRecord:
    values = {
        "file_name": name,
        "mask_file_name": "",
        "label": label,
        "patient_id": patient,
        "case_id": patient,
        "slice_index": 0,
        "slice_count": 1,
        "modalities": ("flair",),
        "source": "lgg",
        "site": "CS",
        "tumor_pixels": pixels,
        "pixel_area_mm2": 1.0,
        "split": split,
    }
    return SliceRecord(**(values | other))


@pytest.fixture
def make_record() -> Callable[..., SliceRecord]:
    """A record from name, patient, label and tumor pixels; other fields by keyword."""
    return record


@pytest.fixture
def make_scores() -> Callable[..., SliceScores]:
    """Scores from short lists; every slice is of patient "p" by default."""

    def make(label, probability, patient=None, **other) -> SliceScores:
        size = len(label)
        fields = {
            "file_name": [f"images/c/{i:03}.png" for i in range(size)],
            "patient_id": patient or ["p"] * size,
            "source": ["lgg"] * size,
            "site": ["CS"] * size,
            "label": label,
            "probability": probability,
            "tumor_pixels": [-1] * size,
            "uncalibrated": probability,
            "mask_tp": [-1] * size,
            "mask_fp": [-1] * size,
            "mask_fn": [-1] * size,
            "mask_hit": [-1] * size,
            "heat_hit": [-1] * size,
        }
        return SliceScores(**{name: np.array(v) for name, v in (fields | other).items()})

    return make


@pytest.fixture
def cohort(make_scores) -> SliceScores:
    """120 slices of 12 patients of two sources, well but not perfectly separable, with masks."""
    generator = np.random.default_rng(1)
    label = np.tile([0, 1], 60)
    ease = np.repeat(generator.normal(0, 0.6, 12), 10)
    score = 2.2 * (2 * label - 1) + ease + generator.normal(0, 1, 120)
    return make_scores(
        label,
        1 / (1 + np.exp(-score)),
        patient=[f"p{i // 10:02}" for i in range(120)],
        source=["lgg"] * 60 + ["brats"] * 60,
        mask_tp=label * 40,
        mask_fp=label * 10,
        mask_fn=label * 10,
    )


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Three test slices and one of train: bright squares of 8 × 8, and masks beside them.

    a: T1c and T2 are black, mask moved by half the square: 32 pixels shared, 32 and 32 alone.
    b: no tumor, yet the same square. c: tumor without an outline.
    """
    folder = tmp_path / "dataset"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[8:16, 8:16, 0] = 200
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:16, 12:20] = 255
    for name in "abcd":
        Image.fromarray(picture).save(folder / f"images/{name}.png")
    Image.fromarray(mask).save(folder / "masks/a.png")
    all_three = {"modalities": ("flair", "t1c", "t2")}
    records = [
        record("images/d.png", "train patient", 0, 0, split="train"),
        record("images/a.png", "A", 1, 64, mask_file_name="masks/a.png", **all_three),
        record("images/b.png", "B", 0, 0, site="DU"),
        record("images/c.png", "C", 1, -1, source="folders", site="-"),
    ]
    write_records(folder / "metadata.csv", records)
    info = {"format_version": 1, "content_hash": "0123456789abcdef" * 4}
    (folder / "dataset.json").write_text(json.dumps(sealed(info)))
    return folder
