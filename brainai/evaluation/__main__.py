"""`python -m brainai.evaluation --model weights --data DATASET --split test [--out DIR]`."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from brainai.console import print_anywhere
from brainai.data.dataset import MODALITIES, SPLITS
from brainai.errors import BrainAIError
from brainai.evaluation.baselines import score_baselines
from brainai.evaluation.phantoms import score_phantoms
from brainai.evaluation.report import build_report, other_points, read_report, write_report
from brainai.evaluation.scope_rates import measure_scope
from brainai.evaluation.score import describe, score_split, slice_loader
from brainai.evaluation.text import scope_lines, shown_command, table
from brainai.evaluation.whole_scans import measure_scans
from brainai.model.fetch import fetch_model
from brainai.model.folder import load_model, load_scope


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to mend."""
    print_anywhere()
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    try:
        evaluate(options, shown_command("python", "-m", "brainai.evaluation", *arguments))
    except BrainAIError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    options = argparse.ArgumentParser(
        prog="python -m brainai.evaluation",
        description="Score a model on one split of a prepared data set.",
    )
    options.add_argument(
        "--model",
        default="weights",
        help="model folder or Hub id (owner/name@revision), ours or that of a timm classifier "
        "of two classes (default: weights)",
    )
    options.add_argument("--data", type=Path, required=True, help="dataset folder")
    options.add_argument("--split", default="test", help=f"{', '.join(SPLITS)} (default: test)")
    options.add_argument("--out", type=Path, help="folder for report.json, report.md and figures")
    options.add_argument(
        "--modalities",
        default=MODALITIES[0],
        help="sequences the network may see, such as flair+t1c+t2 (default: flair)",
    )
    options.add_argument(
        "--batch-size", type=_positive, default=16, help="slices at a time (default: 16)"
    )
    options.add_argument(
        "--phantoms",
        type=_positive,
        default=0,
        metavar="N",
        help="also measure specificity on N simulated people without a tumour, with white-matter "
        "spots, and with plaques (about 10 s each; default: none)",
    )
    options.add_argument(
        "--decoys",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="also measure how many pictures and scans of heads that are no axial FLAIR slices are "
        "refused; one of four files is kept out of any training",
    )
    options.add_argument(
        "--scope-only",
        action="store_true",
        help="only say what is refused; score nothing, and write nothing",
    )
    options.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="REPORT",
        help="report.json of other trainings to stand beside, such as those that left out a site",
    )
    options.add_argument("--device", help="such as cpu or cuda (default: the GPU if there is one)")
    return options


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {value}")
    return value


def evaluate(options: argparse.Namespace, command: str) -> dict:
    """Load, score, print and write; the content of report.json, of `--scope-only` its own part."""
    weights = fetch_model(options.model)
    weights.tell()
    network, info = load_model(weights.folder)
    if weights.commit is not None:  # of the Hub: its folder has no name of its own
        info = replace(info, name=options.model)
    scope, others = load_scope(weights.folder), [read_report(path) for path in options.beside]
    refused = measure_scope(
        scope,
        options.data,
        options.split,
        image_size=info.image_size,
        folders=options.decoys,
    )
    if options.scope_only:
        print("\n".join(scope_lines(refused)))
        return {"scope": refused}
    modalities = tuple(options.modalities.lower().split("+"))
    scores = score_split(
        network,
        info,
        options.data,
        options.split,
        modalities=modalities,
        batch_size=options.batch_size,
        device=options.device,
    )
    about = describe(info, options.data, options.split, modalities) | {"command": command}
    baselines = score_baselines(options.data, options.split, info.image_size)
    phantoms = {}
    if options.phantoms:
        phantoms = score_phantoms(network, info, options.phantoms, device=options.device)
    measured = {
        "threshold": info.threshold,
        "about": about,
        "baselines": baselines,
        "phantoms": phantoms,
        "points": other_points(info),
        "others": others,
        "scope": refused,
        "scans": measure_scans(scores, info, options.data),
    }
    if options.out is None:
        report = build_report(scores, **measured)
    else:
        load_slice = slice_loader(options.data, info.image_size)
        report = write_report(options.out, scores, **measured, load_slice=load_slice)
    print(table(report))
    missing = len(scores) - about["slices_with_all_modalities"]
    if missing:
        print(
            f"  {missing:,} slices lack a sequence of {options.modalities}: FLAIR stood in for it"
        )
    if options.out is not None:
        print(f"report: {options.out / 'report.md'}")
    return report


if __name__ == "__main__":
    sys.exit(main())
