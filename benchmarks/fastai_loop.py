"""Train with fastai for some seconds, and print the images per second as JSON.

`benchmarks.against_fastai` runs this file with the Python of an environment that has fastai:

    PYTHON fastai_loop.py LEARNER DATASET SIZE BATCH SECONDS WARM_UP
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.vision.all import (
    Callback,
    CancelFitException,
    CategoryBlock,
    ColReader,
    DataBlock,
    ImageBlock,
    MaskBlock,
    PILMask,
    RandomSplitter,
    Resize,
    aug_transforms,
    resnet50,
    unet_learner,
    vision_learner,
)
from PIL import Image


class Clock(Callback):
    """Count images after the first updates, and end the training when the time is up."""

    def __init__(self, warm_up: int, seconds: float):
        super().__init__()
        self.warm_up, self.seconds = warm_up, seconds
        self.images, self.spent, self.started = 0, 0.0, 0.0

    def after_batch(self) -> None:
        if not self.training:
            return
        self.warm_up -= 1
        if self.warm_up == 0:
            self.started = time.perf_counter()
        elif self.warm_up < 0:
            self.images += len(self.xb[0])
            self.spent = time.perf_counter() - self.started
            if self.spent > self.seconds:
                raise CancelFitException


def read_slices(data: Path, learner: str) -> pd.DataFrame:
    """Return the slices of `train`; for outlines, those that have one."""
    slices = pd.read_csv(data / "metadata.csv", dtype=str, keep_default_na=False)
    slices = slices[slices.split == "train"]
    return slices if learner == "vision_learner" else slices[slices.mask_file_name != ""]


def open_mask(path: Path) -> PILMask:
    """Return a stored mask, 0 to 255, with the classes 0 and 1."""
    return PILMask.create((np.asarray(Image.open(path)) > 127).astype(np.uint8))


def main() -> None:
    """Train until the time is up."""
    learner, data, size, batch, seconds, warm_up = sys.argv[1:]
    folder = Path(data)
    labels = learner == "vision_learner"
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock if labels else MaskBlock(codes=["none", "tumor"])),
        get_x=ColReader("file_name", pref=folder),
        get_y=ColReader("label")
        if labels
        else lambda row: open_mask(folder / row["mask_file_name"]),
        splitter=RandomSplitter(0.01, seed=0),
        item_tfms=Resize(int(size)),
        batch_tfms=aug_transforms(),
    )
    loaders = block.dataloaders(read_slices(folder, learner), bs=int(batch))
    build = vision_learner if labels else unet_learner
    learn = build(loaders, resnet50, pretrained=False)
    clock = Clock(int(warm_up), float(seconds))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1000, cbs=clock)
    print(json.dumps(clock.images / clock.spent))


if __name__ == "__main__":
    main()
