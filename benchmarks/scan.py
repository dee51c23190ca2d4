"""Measure time and memory of the answer for a scan.

    python -m benchmarks.scan [--model weights] [--size 256] [--sequences 3] [--threads 2]

A simulated scan of 240 × 240 × 155 voxels, skull-stripped like BraTS, is judged in a separate
process. The time excludes loading the model, but the memory includes it. Targets at 256 pixels:
12 s on two cores, 1,200 MB.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

SECONDS_TARGET = 12.0
MEGABYTES_TARGET = 1200
SHAPE_MM = {"spacing_mm": (1.0, 1.0, 1.0), "fov_mm": 240.0, "range_mm": (-75.0, 80.0)}


def write_scan(folder: Path, sequences: int) -> list[Path]:
    """Write the first `sequences` of FLAIR, T1c and T2 of a simulated study."""
    # Imported here, so that the process that judges the scan does not load these modules.
    import numpy as np  # noqa: PLC0415

    from brainai.phantom.files import write_nifti  # noqa: PLC0415
    from brainai.phantom.study import simulate  # noqa: PLC0415

    study = simulate(0, **SHAPE_MM)
    paths = []
    for name in ("flair", "t1c", "t2")[:sequences]:
        paths.append(folder / f"{name}.nii.gz")
        write_nifti(paths[-1], np.rint(study.volumes[name]).astype(np.int16), study.spacing_mm)
    return paths


def judge(model: str, size: int, threads: int, scans: list[str]) -> dict[str, float | int]:
    """Return the seconds of an answer, and the peak memory of this process."""
    import torch  # noqa: PLC0415

    from brainai.inference.classifier import Classifier  # noqa: PLC0415

    torch.set_num_threads(threads)
    classifier = Classifier.load(model, device="cpu")
    classifier.info = replace(classifier.info, image_size=size or classifier.info.image_size)
    started, processor = time.perf_counter(), time.process_time()
    answer = classifier.predict_scan(*scans)
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "pixels": classifier.info.image_size,
        "voxels": list(answer.grid.shape),
        "slices_judged": sum(label != "" for label in answer.slice_labels),
        "sequences": len(scans),
        "threads": threads,
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "peak_megabytes": round(peak / (1e6 if platform.system() == "Darwin" else 1e3)),
    }


def main() -> int:
    """Print the figures as JSON; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("--model", default="weights")
    parser.add_argument("--size", type=int, default=256, help="pixels; 0 takes the model's size")
    parser.add_argument("--sequences", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--scans", nargs="+", default=[], help="files to judge instead of a simulated scan"
    )
    given = parser.parse_args()
    if given.scans:
        print(json.dumps(judge(given.model, given.size, given.threads, given.scans), indent=2))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        scans = [str(path) for path in write_scan(Path(folder), given.sequences)]
        options = {"--model": given.model, "--size": given.size, "--threads": given.threads}
        command = [sys.executable, "-m", "benchmarks.scan", "--scans", *scans]
        command += [str(word) for option in options.items() for word in option]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures = json.loads(output)
    print(output, end="")
    missed = figures["seconds"] > SECONDS_TARGET or figures["peak_megabytes"] > MEGABYTES_TARGET
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
