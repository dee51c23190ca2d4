"""Compare the throughput of training with that of fastai, on the same slices, sizes and batches.

    python3.11 -m venv FASTAI && FASTAI/bin/pip install fastai
    python -m benchmarks.against_fastai --data DATASET --fastai FASTAI/bin/python [--write]

All networks have a ResNet50 body with random weights, and all their layers are trained. fastai's
`vision_learner` learns labels and its `unet_learner` outlines; BrainAI learns both at once. Each
reads its pictures, augments them by its own defaults, and updates the weights until the time is up.
The clock starts after the first updates, and therefore after BrainAI has decoded all slices, which
it does once. `--write` writes the table into docs/benchmarks.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

from benchmarks.page import table, write_section
from benchmarks.train import BATCH_SIZES, endless_batches, open_training
from brainai.training.stages import train_step

WARM_UP = 3  # updates before the clock starts
ROUNDS = 2
LEARNERS = {"vision_learner": "label", "unet_learner": "outline"}
RIVAL = Path(__file__).with_name("fastai_loop.py")


def own_rate(data: Path, size: int, seconds: float) -> float:
    """Return the images per second of the loop of `train.py`."""
    accelerator, fitting, config = open_training(data, size)
    batches = endless_batches(accelerator, fitting, config)
    for batch in islice(batches, WARM_UP):
        train_step(accelerator, fitting, config, *batch)
    images, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        batch = next(batches)
        train_step(accelerator, fitting, config, *batch)
        images += len(batch[0])
    accelerator.free_memory(fitting.network, fitting.optimizer)
    return images / spent


def fastai_rate(python: Path, learner: str, data: Path, size: int, seconds: float) -> float:
    """Return the images per second of a learner of fastai, in its own environment."""
    given = [learner, data, size, BATCH_SIZES[size], seconds, WARM_UP]
    command = [python, RIVAL, *map(str, given)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against_fastai", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fastai", type=Path, required=True, help="Python that has fastai")
    parser.add_argument(
        "--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS), help="those of fastai"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=BATCH_SIZES, default=list(BATCH_SIZES)
    )
    parser.add_argument("--seconds", type=float, default=40, help="for each measurement")
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    given = parser.parse_args()
    rows = []
    for size in given.sizes:
        rates: dict[str, list[float]] = {name: [] for name in ("own", *given.learners)}
        for _ in range(ROUNDS):
            rates["own"].append(own_rate(given.data, size, given.seconds))
            for name in given.learners:
                rate = fastai_rate(given.fastai, name, given.data, size, given.seconds)
                rates[name].append(rate)
        shown = [
            f"{statistics.mean(each):.1f} ({', '.join(f'{rate:.1f}' for rate in each)})"
            for each in rates.values()
        ]
        rows.append((size, BATCH_SIZES[size], *shown))
        print(*rows[-1], flush=True)
    rivals = [f"fastai `{name}`: {LEARNERS[name]}" for name in given.learners]
    head = ("pixels", "batch", "BrainAI: label and outline", *rivals)
    text = table(head, rows)
    print(text)
    if given.write:
        learners = " ".join(given.learners)
        command = "python -m benchmarks.against_fastai --data DATASET --fastai PYTHON"
        command += f" --learners {learners} --seconds {given.seconds:g} --write"
        write_section("fastai", command, [text])
    return 0


if __name__ == "__main__":
    sys.exit(main())
