"""Measure time and memory of the preparation of BraTS cases with three sequences.

    python -m benchmarks.prepare --root BraTS2021 [--cases 12] [--workers 2]

Each worker is a process on one core. Targets: 2.5 s per case and core, 1 GB per worker.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from joblib import cpu_count

from brainai.data.cases import Case
from brainai.data.dataset import PARTS
from brainai.data.parts import write_case
from brainai.data.sources import find_cases
from brainai.data.volumes import use_one_thread

SECONDS_TARGET = 2.5
MEGABYTES_TARGET = 1000


def measure(job: tuple[Case, Path]) -> tuple[float, float, float]:
    """Return wall seconds, processor seconds, and peak resident megabytes of the process."""
    case, out = job
    wall, processor = time.perf_counter(), time.process_time()
    write_case(case, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (1e6 if platform.system() == "Darwin" else 1e3)  # in bytes on macOS, else kB
    return time.perf_counter() - wall, time.process_time() - processor, megabytes


def run(root: Path, count: int, workers: int) -> dict[str, float | int]:
    """Prepare `count` cases into a temporary folder, and return the measurements."""
    cases = [
        case
        for case in find_cases("brats", root)
        if {"flair", "t1c", "t2", "seg"} <= {role for role, _ in case.files}
    ]
    cases = (cases * (count // max(len(cases), 1) + 1))[:count]
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        context.Pool(workers, initializer=use_one_thread) as pool,
    ):
        for name in ("images", "masks", PARTS):
            (Path(folder) / name).mkdir()
        start = time.perf_counter()
        results = pool.map(measure, [(case, Path(folder)) for case in cases], chunksize=1)
        elapsed = time.perf_counter() - start
    walls, processors, peaks = zip(*results, strict=True)
    return {
        "cases": len(cases),
        "workers": workers,
        "seconds_per_case_and_core": round(statistics.mean(walls), 2),
        "processor_seconds_per_case": round(statistics.mean(processors), 2),
        "cases_per_second": round(len(cases) / elapsed, 2),
        "peak_megabytes_per_worker": round(max(peaks)),
    }


def main() -> int:
    """Print the figures as JSON; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with BraTS cases")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--workers", type=int, default=cpu_count())
    given = parser.parse_args()
    figures = run(given.root, given.cases, given.workers)
    print(json.dumps(figures, indent=2))
    missed = (
        figures["processor_seconds_per_case"] > SECONDS_TARGET
        or figures["peak_megabytes_per_worker"] > MEGABYTES_TARGET
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
