"""Baselines that see no lesion."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainai.data.dataset import write_records
from brainai.data.seals import sealed
from brainai.data.store import open_store
from brainai.evaluation.baselines import features, score_baselines
from brainai.evaluation.metrics import auroc

SIDE = 32


@pytest.fixture
def write(tmp_path: Path, make_record):
    """A data set of pictures, and (split, label, index, count, source) of each."""

    def write_dataset(pictures: list[np.ndarray], rows: list[tuple]) -> Path:
        (tmp_path / "images").mkdir()
        records = []
        for number, (picture, row) in enumerate(zip(pictures, rows, strict=True)):
            split, label, index, count, source = row
            name = f"images/{number}.png"
            Image.fromarray(picture).save(tmp_path / name)
            records.append(
                make_record(
                    name, f"{split}{number}", label, label * 9, split=split,
                    slice_index=index, slice_count=count, source=source,
                )
            )  # fmt: skip
        write_records(tmp_path / "metadata.csv", records)
        info = {"format_version": 1, "content_hash": "ab" * 32}
        (tmp_path / "dataset.json").write_text(json.dumps(sealed(info)))
        return tmp_path

    return write_dataset


def half(level: int) -> np.ndarray:
    """Left half of one gray level, right half black."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[:, : SIDE // 2] = level
    return picture


def test_tumors_in_the_middle_are_found_by_position(write) -> None:
    rows = [
        (split, int(6 <= index < 14), index, 20, "lgg")
        for split in ("train", "test")
        for index in range(20)
    ]
    found = score_baselines(write([half(200)] * 40, rows), "test", SIDE)
    scores = found["position"]
    assert auroc(scores.label, scores.probability) == 1


def test_each_source_has_its_own_fit(write) -> None:
    """Tumors lie low in one source and high in the other: over both, position tells nothing."""
    rows = [
        (split, int((index < 5) == (source == "lgg")), index, 10, source)
        for split in ("train", "test")
        for source in ("lgg", "brats")
        for index in range(10)
    ]
    scores = score_baselines(write([half(200)] * 40, rows), "test", SIDE)["position"]
    assert auroc(scores.label, scores.probability) == 1


def test_one_class_in_train_gives_no_baseline(dataset: Path) -> None:
    assert score_baselines(dataset, "test", SIDE) == {}


def test_features_are_position_area_and_intensity(write) -> None:
    rows = [("train", 0, 3, 13, "lgg"), ("train", 1, 0, 1, "lgg")]
    store = open_store(write([half(200), np.zeros((SIDE, SIDE), np.uint8)], rows), SIDE)
    position, area, intensity = features(store, np.array([0, 1]))[0]
    assert (position, area) == (0.25, 0.5)
    assert intensity == pytest.approx(1, abs=0.01)  # windowed: its brightest is 1
    assert features(store, np.array([1])).tolist() == [[0, 0, 0]]
