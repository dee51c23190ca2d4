"""The steps after training: calibrate on `valid`, write the model folder, report on `test`.

To calibrate weights that are already trained on your own data:

    python -m brainai.training.finish --model weights --data DATASET --out FOLDER

This writes FOLDER/model with newly fitted score weights, threshold and scope, and a report in
FOLDER.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brainai.command_line import run_command
from brainai.data.dataset import SPLITS, read_records
from brainai.data.files import write_folder
from brainai.data.lock import hold
from brainai.errors import DataError
from brainai.evaluation.baselines import score_baselines
from brainai.evaluation.calibration import calibrate
from brainai.evaluation.neighbors import measure_together
from brainai.evaluation.report import other_points, write_report
from brainai.evaluation.scope_rates import measure_scope
from brainai.evaluation.score import describe, score_split, slice_loader
from brainai.evaluation.text import shown_command, table
from brainai.evaluation.whole_scans import measure_scans
from brainai.hub.describe import write_card
from brainai.model.fetch import fetch_model
from brainai.model.folder import ModelInfo, load_model, load_scope, write_model
from brainai.model.network import BrainNet
from brainai.model.scope import Scope
from brainai.training.scope import train_scope
from brainai.training.scope_limits import set_limits


def finish(
    network: BrainNet,
    info: ModelInfo,
    data: Path,
    out: Path,
    scope: Scope | None,
    *,
    command: str,
    device: str | None = None,
    history: list[dict] | None = None,
) -> Path:
    """Calibrate on `valid`, write `out`/model, and report on `test` with the weights written.

    Args:
        scope: the scope network with its limits fitted; None leaves it out.
        command: command line for the report.
        device: device to compute on; None takes the GPU if there is one.
        history: one dict per epoch, for the learning curves.
    Returns:
        The model folder.
    Raises:
        DataError: there is no data set, or `valid` or `test` is empty.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    network = network.half().float()  # the weights are stored in float16
    given, info = info, calibrate(network, info, data, device=device)
    if info is given:
        print("valid has slices of one label only: score weights and thresholds were not fitted.")
    folder = out / "model"
    with write_folder(folder) as unfinished:  # renamed only when report and card are complete
        write_model(unfinished, network, info, scope)
        published, info = load_model(unfinished)
        scores = score_split(published, info, data, "test", device=device)
        report = write_report(
            out,
            scores,
            threshold=info.threshold,
            about=describe(info, data, "test", ("flair",)) | {"command": command},
            load_slice=slice_loader(data, info.image_size),
            history=history,
            baselines=score_baselines(data, "test", info.image_size),
            points=other_points(info),
            scope=measure_scope(scope, data, "test", image_size=info.image_size) if scope else None,
            scans=measure_scans(scores, info, data),
            in_scans=measure_together(scores, info, data),
        )
        write_card(unfinished, out)
    print(table(report))
    print(f"model folder: {folder}")
    return folder


def open_scope(
    model: str | Path, data: Path, steps: int | None, folders: Sequence[Path] = ()
) -> Scope | None:
    """Return the scope for a model: a newly trained one, or its own with newly fitted limits.

    Args:
        steps: updates to train a new scope with; 0 returns None, and None keeps the model's own.
        folders: folders of decoys.
    """
    if steps is not None:
        return train_scope(data, steps, folders=folders) if steps > 0 else None
    scope = load_scope(model)
    if scope is not None:
        set_limits(scope, data, folders)
    return scope


def busy(run: Path) -> str:
    """Return the error message for a run folder that another training is writing to."""
    return f"Another training is writing to {run}: wait until it ends, or choose another --out."


def check_splits(data: Path) -> None:
    """Check that no split is empty, before minutes are spent on calibration.

    Raises:
        DataError: a split is empty.
    """
    missing = sorted(set(SPLITS) - {record.split for record in read_records(data)})
    if missing:
        raise DataError(
            f"{data}: expected patients in every split, found none in {', '.join(missing)}. "
            "Prepare more patients."
        )


@dataclass(frozen=True)
class Finish:
    """Fit score weights, threshold and scope of a trained model to a data set."""

    data: Path
    """dataset folder"""
    out: Path
    """folder for model/ and the report"""
    model: str = "weights"
    """model folder or owner/name@revision on the Hub"""
    scope_steps: int | None = None
    """updates to train a new scope with; 0 leaves the scope out; by default the model keeps its
    scope, and only the limits are fitted"""
    decoys: tuple[Path, ...] = ()
    """folders of head pictures and scans other than axial FLAIR (other sequences, planes and
    machines) for the scope to refuse; one in four files is kept out of training"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(Finish, run, arguments, "python -m brainai.training.finish")


def run(options: Finish, words: Sequence[str]) -> None:
    """Calibrate, write the model folder, and report."""
    weights = fetch_model(options.model)
    weights.tell()
    network, info = load_model(weights.folder)
    check_splits(options.data)
    scope = open_scope(weights.folder, options.data, options.scope_steps, options.decoys)
    with hold(options.out, busy(options.out)):
        finish(network, info, options.data, options.out, scope, command=shown_command(*words))


if __name__ == "__main__":
    sys.exit(main())
