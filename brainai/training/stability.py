"""How far the numbers that are fitted to `valid` move without one patient, and without one source.

    python -m brainai.training.stability --model weights --data DATASET

prints a table in Markdown. A number that moves as far as it matters leans on too few patients.
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
from brainai.evaluation.valid import ValidScores, fit, voters
from brainai.evaluation.whole_scans import Verdict
from brainai.model.fetch import fetch_model
from brainai.model.folder import load_model, load_scope
from brainai.model.scope import KINDS, Scope
from brainai.training.scope_limits import find_limits, measure, valid_planes

Numbers = dict[str, float]
Fit = Callable[[np.ndarray], Numbers]  # to some slices, from a boolean array `[N]`


def leave_one_out(
    fitted: Fit, owners: Iterable[str], out: Iterable[str] | None = None
) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each fitted number without the slices of one owner.

    Args:
        owners: the patient or the source of each slice, `[N]`.
        out: those who are left out in turn; None is everybody.
    """
    owners = np.asarray(list(owners))
    without = [fitted(owners != one) for one in (np.unique(owners) if out is None else out)]
    return {
        name: tuple(float(edge([one[name] for one in without])) for edge in (np.min, np.max))
        for name in (without[0] if without else ())
    }


def answer_numbers(
    valid: ValidScores, records: Sequence[SliceRecord], data: Path, image_size: int
) -> Numbers:
    """What makes a label and an outline, fitted to these slices, and the verdict on a scan; NaN
    where there are no scans to fit that to."""
    found = fit(valid)
    of_class, of_mask, constant = found.score_weights
    verdict = fit_scans(valid, found, records, data, image_size)
    verdict = verdict or Verdict((math.nan,) * 3, math.nan)
    return {
        "mask shift": found.mask_shift,
        "weight of the class score": of_class,
        "weight of the mask score": of_mask,
        "constant": constant,
        "threshold": found.thresholds.operating,
        "sensitive point": found.thresholds.sensitive,
        "Youden point": found.thresholds.youden,
        "scans: weight of the peak": verdict.scan_weights[0],
        "scans: weight of what is outlined": verdict.scan_weights[1],
        "scans: constant": verdict.scan_weights[2],
        "scans: threshold": verdict.scan_threshold,
    }


def scope_fit(scope: Scope, data: Path) -> tuple[Fit, list[SliceRecord]]:
    """The limits of a scope as a function of the slices they are fitted to, and these slices."""
    planes, records = valid_planes(data)
    log_odds, distance = measure(scope, planes)

    def fitted(chosen: np.ndarray) -> Numbers:
        own = torch.from_numpy(chosen)
        margins, reach = find_limits(
            log_odds[own], distance[own], [records[n] for n in np.flatnonzero(chosen)]
        )
        names = [f"least log-odds against {kind!r}" for kind in list(KINDS)[1:]]
        return dict(zip(names, margins.tolist(), strict=True)) | {"largest distance": float(reach)}

    return fitted, records


def rows_of(fitted: Fit, records: Sequence[SliceRecord]) -> Iterator[str]:
    """A line of the table for each number that all of `valid`, and all but one patient, give.

    The sources count that leave both classes to the others.
    """
    whole = fitted(np.ones(len(records), bool))
    of_patients = leave_one_out(fitted, [record.patient_id for record in records])
    source, label = (np.array([getattr(r, name) for r in records]) for name in ("source", "label"))
    out = [one for one in np.unique(source) if len(set(label[source != one])) == 2]
    of_sources = leave_one_out(fitted, source, out)
    for name, value in whole.items():
        if not np.isnan([value, *of_patients[name]]).any():
            spans = [_span(of_patients[name]), _span(of_sources.get(name, (math.nan,) * 2))]
            yield f"| {name} | {value:.3g} | {' | '.join(spans)} |"


def _span(edges: tuple[float, float]) -> str:
    return "n/a" if math.isnan(edges[0]) else f"{edges[0]:.3g} to {edges[1]:.3g}"


def stability(model: str, data: Path) -> str:
    """The table of a model and a dataset folder.

    Raises:
        DataError: no data set, or `valid` has fewer than two patients of a class.
        WeightsError: the model cannot be loaded.
    """
    weights = fetch_model(model)
    weights.tell()
    network, info = load_model(weights.folder)
    valid = score_valid(network, info, data)
    of_class = [len(np.unique(valid.patient[valid.label == label])) for label in (0, 1)]
    if min(of_class) < 2:
        raise DataError(
            f"{data}: expected two patients or more in valid with slices of each class, found "
            f"{of_class[0]} without tumor and {of_class[1]} with. Prepare more patients."
        )
    records = read_records(data)
    records = [records[row] for row in voters(records)]

    def fitted(chosen: np.ndarray) -> Numbers:
        own = [records[row] for row in np.flatnonzero(chosen)]
        return answer_numbers(valid.take(chosen), own, data, info.image_size)

    lines = [
        f"| fitted to {len(np.unique(valid.patient))} patients of `valid` | all "
        "| without one patient | without one source |",
        "|---|---|---|---|",
        *rows_of(fitted, records),
    ]
    scope = load_scope(weights.folder)
    if scope is not None:
        lines += rows_of(*scope_fit(scope, data))
    return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """How far the fitted numbers move without one patient or source of `valid`."""

    data: Path
    """dataset folder"""
    model: str = "weights"
    """model folder or owner/name@revision on the Hub"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Options, run, arguments, "python -m brainai.training.stability")


def run(options: Options, _: Sequence[str]) -> None:
    """Print the tables."""
    print(stability(options.model, options.data))


if __name__ == "__main__":
    sys.exit(main())
