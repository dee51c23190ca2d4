"""Judge a slice or a scan.

python -m brainai.inference --flair FILE [--t1c FILE] [--t2 FILE] [--out DIR]
"""

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
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(Predict, run, arguments, "python -m brainai.inference")


def run(options: Predict, _: Sequence[str]) -> None:
    """Print the answer."""
    print(answer(options))


def answer(options: Predict) -> str:
    """Judge the slice or scan, write the files of `--out`, and return the text to print.

    Raises:
        ConfigError: FLAIR is missing, or `--out` is given for a single slice.
    """
    if options.flair is None:
        raise ConfigError(
            "--flair is missing: FLAIR is required, the other sequences are optional."
        )
    sources = options.flair, options.t1c, options.t2
    scan = is_scan(options.flair)
    if options.out is not None and not scan:
        raise ConfigError("--out is only for scans: omit it for a single slice.")
    classifier = Classifier.load(options.model)
    if classifier.weights is not None:
        classifier.weights.tell()
    info = classifier.info
    prediction: Prediction | ScanPrediction
    files: list[Path] = []
    if scan:
        try:
            with tqdm(desc="slices", disable=None, leave=False) as bar:
                prediction = classifier.predict_scan(*sources, lambda *steps: _show(bar, *steps))
            files = _write(prediction, options.out)
        except OutOfScope as error:
            prediction = Prediction.refused(error.reason, info)
        mask = next((str(file) for file in files if file.name == MASK_FILE), None)
        form = scan_form(prediction, info, mask)
    else:
        prediction = classifier.predict(*sources)
        form = slice_form(prediction, info)
    if options.json:
        return json.dumps(form, indent=2)
    return "\n".join([*_lines(prediction), *(f"wrote {path}" for path in files), DISCLAIMER])


def _lines(prediction: Prediction | ScanPrediction) -> list[str]:
    if prediction.probability is None:
        return [f"{prediction.label}: {prediction.reason}"]
    verdict = (
        f"{prediction.label}: probability {prediction.probability:.3f}, "
        f"threshold {prediction.threshold:g}"
    )
    if isinstance(prediction, Prediction):
        return [verdict]
    judged = [label for label in prediction.slice_labels if label]
    lines = [verdict, f"{prediction.tumor_slices} of {len(judged)} judged slices show tumor"]
    if prediction.volume_ml is not None:
        lines.append(f"outlined volume: {prediction.volume_ml:.1f} mL")
    return [*lines, *prediction.notes]


def _write(prediction: ScanPrediction, out: Path | None) -> list[Path]:
    if out is None:
        return []
    files = [out / TABLE_FILE]
    prediction.write_csv(files[0])
    if prediction.mask is not None:
        files.append(out / MASK_FILE)
        prediction.save_mask(files[1])
    return files


def _show(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


if __name__ == "__main__":
    sys.exit(main())
