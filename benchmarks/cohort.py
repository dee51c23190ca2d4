"""Measure scans per hour and memory of a cohort, with one process and with two.

    python -m benchmarks.cohort [--model weights] [--scans 12] [--step-mm 5] [--many 0] [--write]

The scans are simulated, with 240 × 240 voxels of 1 mm and slices `--step-mm` apart over 155 mm.
They are compared with a loop over `Classifier.predict_scan`. Rates are measured from the end of the
first scan to the end of the last, without the start of the programs. `--many 500` judges that many
scans with two processes and reports memory and time as they progress. `--write` writes the tables
into docs/benchmarks.md.
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
from brainai.phantom.files import write_nifti
from brainai.phantom.study import simulate

HEADS = 4  # simulated heads; further scans are copies
RATIO_TARGET = 1.6
MEMORY_SECONDS = 2.0  # between measurements of memory, which take some milliseconds
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
    """A measurement during the work: scans done, seconds since the start, and the total memory of
    all processes."""

    done: int
    seconds: float
    megabytes: float


def write_scans(root: Path, count: int, step_mm: float) -> None:
    """Write a BIDS data set of simulated scans."""
    made: list[Path] = []
    for number in range(count):
        path = root / f"sub-{number:05d}" / "anat" / f"sub-{number:05d}_FLAIR.nii.gz"
        path.parent.mkdir(parents=True)
        if number < HEADS:
            spacing = (1.0, 1.0, step_mm)
            study = simulate(number, spacing_mm=spacing, fov_mm=240.0, range_mm=(-75.0, 80.0))
            voxels = np.rint(study.volumes["flair"]).astype(np.int16)
            write_nifti(path, voxels, study.spacing_mm)
            made.append(path)
        else:
            os.link(made[number % HEADS], path)


def follow(command: list[str], environment: dict[str, str], out: Path) -> list[Sample]:
    """Run a command, and return measurements taken until it ends."""
    samples, ledger, started = [], Ledger(out), time.perf_counter()
    measured, megabytes = -MEMORY_SECONDS, 0.0
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) as work:
        while work.poll() is None:
            done = ledger.count(1) or sum(1 for _ in out.glob("*_FLAIR.nii.gz"))
            seconds = time.perf_counter() - started
            if seconds - measured >= MEMORY_SECONDS:
                measured, megabytes = seconds, memory(work.pid)
            samples.append(Sample(done, seconds, megabytes))
            time.sleep(0.05)
    if work.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with status {work.returncode}")
    return samples


def memory(process: int) -> float:
    """Return the megabytes of a process and its descendants; shared memory counts once (Linux)."""
    try:
        share = Path(f"/proc/{process}/smaps_rollup").read_text().split("Pss:")[1].split()[0]
        below = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (OSError, IndexError):
        return 0.0
    return int(share) / 1000 + sum(memory(int(child)) for child in below)


def rate(samples: list[Sample]) -> float:
    """Return scans per second, from the end of the first to the end of the last."""
    first = next(sample for sample in samples if sample.done)
    last = next(sample for sample in samples if sample.done == samples[-1].done)
    return (last.done - first.done) / (last.seconds - first.seconds)


def compare(root: Path, model: str) -> tuple[str, float]:
    """Return the table of rates, and the speed-up of two processes over one with one thread."""
    setups = {
        "a loop over `predict_scan`, all cores": (None, {}),
        "one process, one thread": (ONE, {"LOKY_MAX_CPU_COUNT": "1"}),
        "one process, all cores": (ONE, {}),
        "two processes": (TWO, {"GLOO_SOCKET_IFNAME": "lo"}),
    }
    rates, peaks = {}, {}
    for name, (start, environment) in setups.items():
        with tempfile.TemporaryDirectory() as folder:
            if start is None:
                command = [sys.executable, "-c", LOOP, str(root), model, folder]
            else:
                command = [*start, "--scans", str(root), "--out", folder, "--model", model, "--cpu"]
            samples = follow(command, environment, Path(folder))
        rates[name], peaks[name] = rate(samples), max(sample.megabytes for sample in samples)
    alone = rates["one process, one thread"]
    rows = [
        (name, f"{3600 * value:,.0f}", f"{value / alone:.2f}", f"{peaks[name]:,.0f}")
        for name, value in rates.items()
    ]
    head = ("setup", "scans per hour", "relative to one thread", "peak MB, all processes")
    return table(head, rows), rates["two processes"] / alone


def grow(root: Path, model: str, count: int) -> str:
    """Return the table of time and memory in the course of many scans."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*TWO, "--scans", str(root), "--out", folder, "--model", model, "--cpu"]
        samples = follow(command, {"GLOO_SOCKET_IFNAME": "lo"}, Path(folder))
    edges = [1, *(count * tenth // 10 for tenth in range(1, 11))]
    # Index of the first sample at each edge.
    ends = [next(i for i, sample in enumerate(samples) if sample.done >= edge) for edge in edges]
    rows = []
    for (first, last), (begin, end) in zip(pairwise(edges), pairwise(ends), strict=True):
        part = samples[begin : end + 1]
        per_scan = (part[-1].seconds - part[0].seconds) / (last - first)
        mean = sum(sample.megabytes for sample in part) / len(part)
        rows.append((f"{first} to {last}", f"{per_scan:.2f}", f"{mean:,.0f}"))
    return table(("scans", "seconds per scan", "mean MB, all processes"), rows)


def main() -> int:
    """Print the tables; return 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cohort", description=__doc__)
    parser.add_argument("--model", default="weights")
    parser.add_argument("--scans", type=int, default=12, help="scans to compare; 0 for none")
    parser.add_argument("--many", type=int, default=0, help="scans to measure memory over")
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
                text, ratio = compare(Path(folder), given.model)
            else:
                text = grow(Path(folder), given.model, count)
        print(text, end="\n\n", flush=True)
        if given.write:
            write_section(name, command, [text])
    return int(ratio is not None and ratio < RATIO_TARGET)


if __name__ == "__main__":
    sys.exit(main())
