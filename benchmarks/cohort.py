"""How many scans an hour a cohort gets, with one process and two, and what memory they take.

    python -m benchmarks.cohort [--model weights] [--scans 12] [--step-mm 5] [--many 0] [--write]

Simulated scans of 240 × 240 voxels of 1 mm, slices `--step-mm` apart over 155 mm. The rival is a
loop over `Classifier.predict_scan`. Rates count from the first scan that is done to the last, so
without the start of the programs. `--many 500` judges so many with two processes, and tells memory
and time on the way. `--write` puts the tables into docs/benchmarks.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.page import table, write_section
from brainai.inference.cohort.ledger import Ledger
from brainai.phantom import simulate
from brainai.phantom.files import write_nifti

DIFFERENT = 4  # simulated heads; further scans are the same files again
RATIO_TARGET = 1.6
LOOK_SECONDS = 2.0  # between looks at memory, which take the processor some milliseconds
LOOP = """
import sys, time
from pathlib import Path
from brainai.inference.classifier import Classifier

classifier, out = Classifier.load(sys.argv[2], device="cpu"), Path(sys.argv[3])
for path in sorted(Path(sys.argv[1]).rglob("*_FLAIR.nii.gz")):
    classifier.predict_scan(path)
    (out / path.name).touch()
"""
ONE = [sys.executable, "-m", "brainai.inference.cohort"]
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TWO = [sys.executable, *LAUNCH, *ONE[1:]]


@dataclass(frozen=True)
class Sample:
    """What was seen once while scans were judged: seconds since the start, memory of all processes
    together."""

    done: int
    seconds: float
    megabytes: float


def write_scans(root: Path, count: int, step_mm: float) -> None:
    """A BIDS data set of simulated scans."""
    made: list[Path] = []
    for number in range(count):
        path = root / f"sub-{number:05d}" / "anat" / f"sub-{number:05d}_FLAIR.nii.gz"
        path.parent.mkdir(parents=True)
        if number < DIFFERENT:
            spacing = (1.0, 1.0, step_mm)
            study = simulate(number, spacing_mm=spacing, fov_mm=240.0, range_mm=(-75.0, 80.0))
            voxels = np.rint(study.volumes["flair"]).astype(np.int16)
            write_nifti(path, voxels, study.spacing_mm)
            made.append(path)
        else:
            os.link(made[number % DIFFERENT], path)


def follow(command: list[str], environment: dict[str, str], out: Path) -> list[Sample]:
    """Run a command, and look after it until it ends."""
    samples, ledger, started = [], Ledger(out), time.perf_counter()
    looked, taken = -LOOK_SECONDS, 0.0
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) as work:
        while work.poll() is None:
            done = ledger.count(1) or sum(1 for _ in out.glob("*_FLAIR.nii.gz"))
            seconds = time.perf_counter() - started
            if seconds - looked >= LOOK_SECONDS:
                looked, taken = seconds, memory(work.pid)
            samples.append(Sample(done, seconds, taken))
            time.sleep(0.05)
    if work.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with status {work.returncode}")
    return samples


def memory(process: int) -> float:
    """Megabytes of a process and all below it; what they share counts once (Linux)."""
    try:
        share = Path(f"/proc/{process}/smaps_rollup").read_text().split("Pss:")[1].split()[0]
        below = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (OSError, IndexError):
        return 0.0
    return int(share) / 1000 + sum(memory(int(child)) for child in below)


def rate(samples: list[Sample]) -> float:
    """Scans a second, from the first that was done to the last."""
    first = next(sample for sample in samples if sample.done)
    last = next(sample for sample in samples if sample.done == samples[-1].done)
    return (last.done - first.done) / (last.seconds - first.seconds)


def compare(root: Path, model: str) -> tuple[str, float]:
    """The table of rates, and how many times faster two processes are than one of one thread."""
    ways = {
        "a loop over `predict_scan`, all cores": (None, {}),
        "one process, one thread": (ONE, {"LOKY_MAX_CPU_COUNT": "1"}),
        "one process, all cores": (ONE, {}),
        "two processes": (TWO, {"GLOO_SOCKET_IFNAME": "lo"}),
    }
    rates, peaks = {}, {}
    for name, (start, environment) in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            if start is None:
                command = [sys.executable, "-c", LOOP, str(root), model, folder]
            else:
                command = [*start, "--scans", str(root), "--out", folder, "--model", model, "--cpu"]
            samples = follow(command, environment, Path(folder))
        rates[name], peaks[name] = rate(samples), max(sample.megabytes for sample in samples)
    alone = rates["one process, one thread"]
    rows = [
        (name, f"{3600 * found:,.0f}", f"{found / alone:.2f}", f"{peaks[name]:,.0f}")
        for name, found in rates.items()
    ]
    head = ("way", "scans an hour", "times one process of one thread", "MB at most, together")
    return table(head, rows), rates["two processes"] / alone


def grow(root: Path, model: str, count: int) -> str:
    """The table of time and memory on the way through many scans."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*TWO, "--scans", str(root), "--out", folder, "--model", model, "--cpu"]
        samples = follow(command, {"GLOO_SOCKET_IFNAME": "lo"}, Path(folder))
    edges = [1, *(count * tenth // 10 for tenth in range(1, 11))]
    # Where each part of the way ends among the samples.
    ends = [next(i for i, one in enumerate(samples) if one.done >= edge) for edge in edges]
    rows = []
    for (first, last), (begin, end) in zip(pairwise(edges), pairwise(ends), strict=True):
        part = samples[begin : end + 1]
        per_scan = (part[-1].seconds - part[0].seconds) / (last - first)
        mean = sum(sample.megabytes for sample in part) / len(part)
        rows.append((f"{first} to {last}", f"{per_scan:.2f}", f"{mean:,.0f}"))
    return table(("scans", "seconds a scan", "MB on average, together"), rows)


def main() -> int:
    """Print the tables; 1 where the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cohort", description=__doc__)
    parser.add_argument("--model", default="weights")
    parser.add_argument("--scans", type=int, default=12, help="to compare with; 0 for none")
    parser.add_argument("--many", type=int, default=0, help="to follow memory over")
    parser.add_argument("--step-mm", type=float, default=5.0)
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    given = parser.parse_args()
    command = " ".join(["python -m benchmarks.cohort", *sys.argv[1:]])
    ratio = None
    for name, count in (("cohort", given.scans), ("many scans", given.many)):
        if not count:
            continue
        with tempfile.TemporaryDirectory() as folder:
            write_scans(Path(folder), count, given.step_mm)
            if name == "cohort":
                found, ratio = compare(Path(folder), given.model)
            else:
                found = grow(Path(folder), given.model, count)
        print(found, end="\n\n", flush=True)
        if given.write:
            write_section(name, command, [found])
    return int(ratio is not None and ratio < RATIO_TARGET)


if __name__ == "__main__":
    sys.exit(main())
