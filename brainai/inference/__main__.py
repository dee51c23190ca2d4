"""`python -m brainai.inference --flair FILE [--t1c FILE] [--t2 FILE] [--out DIR]`: judge a slice,
or a scan."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from brainai import DISCLAIMER
from brainai.command_line import run_command
from brainai.data.scans import is_scan
from brainai.errors import ConfigError, OutOfScope
from brainai.inference.classifier import Classifier, Prediction
from brainai.inference.forms import scan_form, slice_form
from brainai.inference.options import Predict
from brainai.inference.scan import ScanPrediction

MASK_FILE, TABLE_FILE = "mask.nii.gz", "slices.csv"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Predict, run, arguments, "python -m brainai.inference")


def run(options: Predict, _: Sequence[str]) -> None:
    """Print the answer."""
    print(answer(options))


def answer(options: Predict) -> str:
    """What is printed, after the files of `--out` are written."""
    if options.flair is None:
        raise ConfigError("--flair is missing: bring FLAIR, the other sequences only add to it.")
    sources = {"flair": options.flair, "t1c": options.t1c, "t2": options.t2}
    scan = is_scan(options.flair)
    if options.out is not None and not scan:
        raise ConfigError("--out is for scans: leave it out for a picture of one slice.")
    classifier = Classifier.load(options.model)
    classifier.weights.tell()
    if scan:
        try:
            with tqdm(desc="slices", disable=None, leave=False) as bar:
                found = classifier.predict_scan(**sources, progress=lambda *at: _show(bar, *at))
            files = _write(found, options.out)
        except OutOfScope as error:
            found, files = Prediction.refused(error.reason, classifier.info), []
    else:
        found, files = classifier.predict(**sources), []
    if options.json:
        mask = next((str(file) for file in files if file.name == MASK_FILE), None)
        form = (
            scan_form(found, classifier.info, mask) if scan else slice_form(found, classifier.info)
        )
        return json.dumps(form, indent=2)
    return "\n".join([*_lines(found), *(f"wrote {path}" for path in files), DISCLAIMER])


def _lines(found: Prediction | ScanPrediction) -> list[str]:
    if found.probability is None:
        return [f"{found.label}: {found.reason}"]
    verdict = f"{found.label}: probability {found.probability:.3f}, threshold {found.threshold:g}"
    if isinstance(found, Prediction):
        return [verdict]
    judged = [label for label in found.slice_labels if label]
    tumor = int((found.slices >= found.slice_threshold).sum())  # NaN, not judged, is no tumor
    lines = [verdict, f"{tumor} of {len(judged)} slices judged show tumor"]
    if found.volume_ml is not None:
        lines.append(f"outlined: {found.volume_ml:.1f} mL")
    return [*lines, *found.notes]


def _write(found: ScanPrediction, out: Path | None) -> list[Path]:
    if out is None:
        return []
    files = [out / TABLE_FILE]
    found.write_csv(files[0])
    if found.mask is not None:
        files.append(out / MASK_FILE)
        found.save_mask(files[1])
    return files


def _show(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


if __name__ == "__main__":
    sys.exit(main())
