"""Measure how much the numbers fitted to `valid` change without one patient, or without one source.

    python -m brainai.training.stability --model weights --data DATASET

prints a table in Markdown. A number that changes by a relevant amount depends on too few patients.
"""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from brainai.command_line import run_command
from brainai.data.dataset import SliceRecord, read_records
from brainai.errors import DataError
from brainai.evaluation.calibration import fit_scans, score_valid
from brainai.evaluation.neighbors import Together
from brainai.evaluation.valid import ValidScores, calibration_rows, fit
from brainai.evaluation.whole_scans import Verdict
from brainai.model.fetch import fetch_model
from brainai.model.folder import load_model, load_scope
from brainai.model.scope import KINDS, Scope
from brainai.training.scope_limits import find_limits, measure, valid_planes

Numbers = dict[str, float]
Fit = Callable[[np.ndarray], Numbers]  # fits to the slices of a boolean array `[N]`


def leave_one_out(
    fit_to: Fit, groups: Iterable[str], left_out: Iterable[str] | None = None
) -> dict[str, tuple[float, float]]:
    """Return the range of each fitted number when one group of slices at a time is left out.

    Args:
        fit_to: fits the numbers to the slices that a boolean array `[N]` selects.
        groups: the patient or the source of each slice, `[N]`.
        left_out: the groups to leave out in turn; None takes all.
    Returns:
        Smallest and largest value of each number.

    >>> leave_one_out(lambda chosen: {"slices": chosen.sum()}, ["a", "a", "b"])
    {'slices': (1.0, 2.0)}
    """
    groups = np.asarray(list(groups))
    left_out = np.unique(groups) if left_out is None else left_out
    fits = [fit_to(groups != group) for group in left_out]
    found = {name: [numbers[name] for numbers in fits] for name in (fits[0] if fits else ())}
    return {name: (float(np.min(of)), float(np.max(of))) for name, of in found.items()}


def answer_numbers(
    valid: ValidScores, records: Sequence[SliceRecord], data: Path, image_size: int
) -> Numbers:
    """Return the numbers behind labels, outlines and scan verdicts, fitted to these slices.

    Numbers that are fitted to scans are NaN if there are none to fit them to.
    """
    fitted = fit(valid)
    class_weight, mask_weight, constant = fitted.score_weights
    verdict, together = fit_scans(valid, fitted, records, data, image_size)
    verdict = verdict or Verdict((math.nan,) * 3, math.nan)
    together = together or Together((math.nan,) * 2, math.nan)
    return {
        "mask shift": fitted.mask_shift,
        "weight of the class score": class_weight,
        "weight of the mask score": mask_weight,
        "constant": constant,
        "threshold": fitted.thresholds.operating,
        "sensitive point": fitted.thresholds.sensitive,
        "Youden point": fitted.thresholds.youden,
        "scans: weight of the peak": verdict.scan_weights[0],
        "scans: weight of the outlined volume": verdict.scan_weights[1],
        "scans: constant": verdict.scan_weights[2],
        "scans: threshold": verdict.scan_threshold,
        "slices of scans: weight of the log-odds": together.neighbor_weights[0],
        "slices of scans: constant": together.neighbor_weights[1],
        "slices of scans: threshold": together.neighbor_threshold,
    }


def scope_fit(scope: Scope, data: Path) -> tuple[Fit, list[SliceRecord]]:
    """Return a function that fits the limits of a scope to given slices, and all those slices."""
    planes, records = valid_planes(data)
    log_odds, distance = measure(scope, planes)

    def fit_to(chosen: np.ndarray) -> Numbers:
        selected = torch.from_numpy(chosen)
        margins, reach = find_limits(
            log_odds[selected], distance[selected], [records[n] for n in np.flatnonzero(chosen)]
        )
        names = [f"least log-odds against {kind!r}" for kind in list(KINDS)[1:]]
        return dict(zip(names, margins.tolist(), strict=True)) | {"largest distance": float(reach)}

    return fit_to, records


def rows_of(fit_to: Fit, records: Sequence[SliceRecord]) -> Iterator[str]:
    """Yield a table row for each number that is defined, also without any one patient.

    Only those sources are left out without which both classes remain.
    """
    whole = fit_to(np.ones(len(records), bool))
    without_patient = leave_one_out(fit_to, [record.patient_id for record in records])
    source, label = (np.array([getattr(r, name) for r in records]) for name in ("source", "label"))
    left_out = [name for name in np.unique(source) if len(set(label[source != name])) == 2]
    without_source = leave_one_out(fit_to, source, left_out)
    for name, value in whole.items():
        if not np.isnan([value, *without_patient[name]]).any():
            ranges = [without_patient[name], without_source.get(name, (math.nan,) * 2)]
            yield f"| {name} | {value:.3g} | {' | '.join(map(_range_text, ranges))} |"


def _range_text(edges: tuple[float, float]) -> str:
    return "n/a" if math.isnan(edges[0]) else f"{edges[0]:.3g} to {edges[1]:.3g}"


def stability(model: str, data: Path) -> str:
    """Return the table for a model and a dataset folder, in Markdown.

    Raises:
        DataError: there is no data set, or `valid` has fewer than two patients of a class.
        WeightsError: the model cannot be loaded.
    """
    weights = fetch_model(model)
    weights.tell()
    network, info = load_model(weights.folder)
    valid = score_valid(network, info, data)
    patients = [len(np.unique(valid.patient[valid.label == label])) for label in (0, 1)]
    if min(patients) < 2:
        raise DataError(
            f"{data}: expected at least two patients in valid with slices of each class, found "
            f"{patients[0]} without tumor and {patients[1]} with. Prepare more patients."
        )
    records = read_records(data)
    records = [records[row] for row in calibration_rows(records)]

    def fit_to(chosen: np.ndarray) -> Numbers:
        selected = [records[row] for row in np.flatnonzero(chosen)]
        return answer_numbers(valid.take(chosen), selected, data, info.image_size)

    lines = [
        f"| fitted to {len(np.unique(valid.patient))} patients of `valid` | all "
        "| without one patient | without one source |",
        "|---|---|---|---|",
        *rows_of(fit_to, records),
    ]
    scope = load_scope(weights.folder)
    if scope is not None:
        lines += rows_of(*scope_fit(scope, data))
    return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """Measure how much the fitted numbers change without one patient or one source of `valid`."""

    data: Path
    """dataset folder"""
    model: str = "weights"
    """model folder or owner/name@revision on the Hub"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(Options, run, arguments, "python -m brainai.training.stability")


def run(options: Options, _: Sequence[str]) -> None:
    """Print the table."""
    print(stability(options.model, options.data))


if __name__ == "__main__":
    sys.exit(main())
