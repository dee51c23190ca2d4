"""A data set small enough to learn in seconds: gray ellipses, half of them with a bright disc."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from brainai.data.dataset import SliceRecord, write_records
from brainai.data.seals import sealed

SIDE = 48
PATIENTS = {"train": 6, "valid": 3, "test": 3}
SLICES = 8


def draw_slice(random: np.random.Generator, tumor: bool) -> tuple[np.ndarray, np.ndarray]:
    """A gray ellipse in the dark, with or without a bright disc: `[48, 48]` uint8 and mask."""
    y, x = np.mgrid[:SIDE, :SIDE]
    brain = ((y - 24) / 20) ** 2 + ((x - 24) / 16) ** 2 < 1
    pixels = np.where(brain, 100, 0) + random.integers(0, 20, (SIDE, SIDE))
    mask = np.zeros((SIDE, SIDE), bool)
    if tumor:
        top, left = random.integers(16, 32, 2)
        mask = (y - top) ** 2 + (x - left) ** 2 < 30
        pixels = np.where(mask, 220, pixels)
    return pixels.astype(np.uint8), mask


def write_dataset(folder: Path) -> Path:
    """A dataset folder of 12 patients with 8 slices each, every second one with a tumor."""
    random = np.random.default_rng(0)
    records = []
    for split, count in PATIENTS.items():
        for number in range(count):
            case = f"{split}{number}"
            for kind in ("images", "masks"):
                (folder / kind / case).mkdir(parents=True)
            for index in range(SLICES):
                pixels, mask = draw_slice(random, tumor=index % 2 == 1)
                image, outline = f"images/{case}/{index}.png", f"masks/{case}/{index}.png"
                Image.fromarray(pixels).save(folder / image)
                if mask.any():
                    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / outline)
                records.append(
                    SliceRecord(
                        file_name=image,
                        mask_file_name=outline if mask.any() else "",
                        label=int(mask.any()),
                        patient_id=case,
                        case_id=case,
                        slice_index=index,
                        slice_count=SLICES,
                        modalities=("flair",),
                        source="toy",
                        site="here",
                        tumor_pixels=int(mask.sum()),
                        pixel_area_mm2=1.0,
                        split=split,
                    )
                )
    write_records(folder / "metadata.csv", records)
    info = {"format_version": 1, "content_hash": "0" * 64}
    (folder / "dataset.json").write_text(json.dumps(sealed(info)))
    return folder
