"""Put the report, charts and card of an evaluation into the folder of the evaluated model.

python -m brainai.evaluation --model MODEL --data DATASET --split test --out OUT
python -m brainai.hub.describe MODEL OUT
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from brainai.command_line import run_command
from brainai.data.files import write_folder, write_text
from brainai.errors import DataError
from brainai.evaluation.report_file import report_of
from brainai.hub.card import CHARTS, FIGURES, model_card
from brainai.model.folder import CARD, REPORT, read_model_info


def write_card(folder: Path, out: Path) -> None:
    """Put the report, charts and card of an evaluation into the folder of the evaluated model.

    Args:
        folder: the model folder.
        out: the folder that `write_report` wrote.
    Raises:
        DataError: there is no report, or it belongs to other weights.
    """
    info = read_model_info(folder)
    report = report_of(out / REPORT, info.revision)
    if report is None:
        raise DataError(
            f"{out / REPORT} is not a report of this version on the weights in {folder}, revision "
            f"{info.revision}: evaluate these."
        )
    drawn = [name for name in CHARTS if (out / FIGURES / name).is_file()]
    with write_folder(folder / FIGURES) as figures:
        for name in drawn:
            shutil.copy(out / FIGURES / name, figures)
    if not drawn:
        (folder / FIGURES).rmdir()
    write_text(folder / REPORT, (out / REPORT).read_text(encoding="utf-8"))
    write_text(folder / CARD, model_card(info, report, drawn))


@dataclass(frozen=True)
class Options:
    """Put the report, charts and card of an evaluation into a model folder."""

    model: tyro.conf.Positional[Path]
    """model folder"""
    out: tyro.conf.Positional[Path]
    """folder that the evaluation wrote"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after printing an error."""
    return run_command(Options, run, arguments, "python -m brainai.hub.describe")


def run(options: Options, _: Sequence[str]) -> None:
    """Write the card and print its path."""
    write_card(options.model, options.out)
    print(f"card: {options.model / CARD}")


if __name__ == "__main__":
    sys.exit(main())
