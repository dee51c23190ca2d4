"""Measure the throughput of training, compared with the bare step of the same network.

    python benchmarks/train.py --data DATASET [--sizes 64 128 256] [--seconds 60]

For every size, two loops take turns: the one of `train.py` (reading, augmentation, forward,
backward, clipping, step, schedule), and forward, backward and step on a batch held in memory. The
output is images per second of both, their ratio (target: at least 0.85), and the peak memory of the
process (target at 256 pixels, batch 16: at most 4 GB).
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import torch
from accelerate import Accelerator

sys.path.insert(0, str(Path(__file__).parents[1]))

from brainai.training.__main__ import open_accelerator, open_network
from brainai.training.checkpoints import Progress
from brainai.training.config import Stage, TrainConfig
from brainai.training.stages import Fitting, augmented_batches, open_stage, train_step

BATCH_SIZES = {64: 64, 128: 32, 256: 16}
TURN = 4  # updates of a loop before the other takes its turn


def endless_batches(accelerator, fitting: Fitting, config: TrainConfig) -> Iterator[tuple]:
    """Yield the batches of one epoch after another, as in training."""
    for epoch in count():
        yield from augmented_batches(accelerator, fitting, config, Progress(0, epoch))


def open_training(data: Path, size: int) -> tuple[Accelerator, Fitting, TrainConfig]:
    """Prepare a stage of the recipe at a picture size, with random weights."""
    stage = Stage(size, epochs=1000, lr=1e-4, batch_size=BATCH_SIZES.get(size, 16))
    config = TrainConfig(data=data, out=Path("unused"), stages=(stage,), pretrained=False)
    accelerator = open_accelerator(config)
    fitting = open_stage(accelerator, open_network(config, accelerator), config, 0)
    fitting.network.train()
    return accelerator, fitting, config


def measure(data: Path, size: int, seconds: float) -> tuple[float, float]:
    """Return images per second of the loop and of the bare step."""
    accelerator, fitting, config = open_training(data, size)
    batches = endless_batches(accelerator, fitting, config)
    held = next(batches)

    def loop() -> None:
        for batch in islice(batches, TURN):
            train_step(accelerator, fitting, config, *batch)

    def bare() -> None:
        inputs, labels, masks, *_ = held
        for _ in range(TURN):
            output = fitting.network(inputs)
            loss = torch.nn.functional.cross_entropy(output.logits, labels)
            loss = loss + (output.mask_logits.sigmoid() - masks).square().mean()
            accelerator.backward(loss)
            fitting.optimizer.step()
            fitting.optimizer.zero_grad()

    spent = {loop: 0.0, bare: 0.0}
    turns = 0
    for turn in spent:
        turn()  # warm-up
    while sum(spent.values()) < seconds:
        for turn in spent:
            started = time.perf_counter()
            turn()
            if accelerator.device.type == "cuda":
                torch.cuda.synchronize()
            spent[turn] += time.perf_counter() - started
        turns += 1
    images = turns * TURN * config.stages[0].batch_size
    accelerator.free_memory(fitting.network, fitting.optimizer)
    return images / spent[loop], images / spent[bare]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--seconds", type=float, default=60, help="for each size")
    options = parser.parse_args()
    print("pixels  train.py  bare step  ratio   (images per second)")
    for size in options.sizes:
        loop, bare = measure(options.data, size, options.seconds)
        print(f"{size:6d}  {loop:8.1f}  {bare:9.1f}  {loop / bare:5.2f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory of the process: {peak:.2f} GB")


if __name__ == "__main__":
    main()
