"""What comes after training: fit on `valid`, write the model folder, report on `test`.

For weights that are trained already, with data of one's own:

    python -m brainai.training.finish --model weights --data DATASET --out FOLDER

gives FOLDER/model with score weights, threshold and scope fitted anew, and the report beside it.
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
    history: list[dict] | None = None,
) -> Path:
    """Fit, write `out`/model, and report on `test` just what was written; the model folder.

    Args:
        scope: what may be judged at all, fitted already.
        command: that this is done for, as the report names it.
        history: one dict per epoch, for the learning curves.
    Raises:
        DataError: no data set, or an empty `valid` or `test`.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    network = network.half().float()  # as it will be stored
    info = calibrate(network, info, data)
    folder = out / "model"
    with write_folder(folder) as unfinished:  # it takes its place together with report and card
        write_model(unfinished, network, info, scope)
        published, info = load_model(unfinished)
        scores = score_split(published, info, data, "test")
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
        )
        write_card(unfinished, out)
    print(table(report))
    print(f"model folder: {folder}")
    return folder


def open_scope(
    model: str | Path, data: Path, steps: int | None, folders: Sequence[Path] = ()
) -> Scope | None:
    """A scope trained on a data set, and folders of decoys, with so many updates, none for 0, and
    for None the model's own with limits fitted to them."""
    if steps is not None:
        return train_scope(data, steps, folders=folders) if steps > 0 else None
    scope = load_scope(model)
    if scope is not None:
        set_limits(scope, data, folders)
    return scope


def busy(run: Path) -> str:
    """What a second process is told that would write to a run folder."""
    return f"Another training is writing to {run}: wait for its end, or give another --out."


def check_splits(data: Path) -> None:
    """Raises DataError where a split is empty: before minutes of fitting, not after."""
    missing = sorted(set(SPLITS) - {record.split for record in read_records(data)})
    if missing:
        raise DataError(
            f"{data}: expected patients in every split, found none in {', '.join(missing)}. "
            "Prepare more patients."
        )


@dataclass(frozen=True)
class Finish:
    """Fit score weights, threshold and scope of trained weights anew."""

    data: Path
    """dataset folder"""
    out: Path
    """folder for model/ and the report"""
    model: str = "weights"
    """model folder or owner/name@revision on the Hub"""
    scope_steps: int | None = None
    """train the scope anew on these data, with so many updates; 0 leaves it out; by default the
    model keeps its own, and only its limits are fitted"""
    decoys: tuple[Path, ...] = ()
    """pictures and scans of heads that are no axial FLAIR slices (other sequences, planes and
    machines), for the scope to refuse; one of four files trains nothing"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Finish, run, arguments, "python -m brainai.training.finish")


def run(options: Finish, words: Sequence[str]) -> None:
    """Fit, write and report; the report keeps the command."""
    weights = fetch_model(options.model)
    weights.tell()
    network, info = load_model(weights.folder)
    check_splits(options.data)
    scope = open_scope(weights.folder, options.data, options.scope_steps, options.decoys)
    with hold(options.out, busy(options.out)):
        finish(network, info, options.data, options.out, scope, command=shown_command(*words))


if __name__ == "__main__":
    sys.exit(main())
