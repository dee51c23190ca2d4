"""Evaluate a model on one split of a data set.

python -m brainai.evaluation --model weights --data DATASET --split test [--out DIR]
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from brainai.command_line import run_command
from brainai.evaluation.baselines import score_baselines
from brainai.evaluation.neighbors import measure_together
from brainai.evaluation.options import Evaluate
from brainai.evaluation.phantoms import score_phantoms
from brainai.evaluation.report import build_report, other_points, write_report
from brainai.evaluation.report_file import read_report
from brainai.evaluation.scope_rates import measure_scope
from brainai.evaluation.score import (
    choose_device,
    describe,
    score_split,
    seen_channels,
    slice_loader,
)
from brainai.evaluation.text import scope_lines, shown_command, table
from brainai.evaluation.whole_scans import measure_scans
from brainai.model.fetch import fetch_model
from brainai.model.folder import load_model, load_scope
from brainai.phantom.template import load_template


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(Evaluate, run, arguments, "python -m brainai.evaluation")


def run(options: Evaluate, words: Sequence[str]) -> None:
    """Evaluate a model, with the command line written into the report."""
    evaluate(options, shown_command(*words))


def evaluate(options: Evaluate, command: str) -> dict:
    """Score the split, print the results, and write the report if `--out` is given.

    Args:
        command: command line for the report.
    Returns:
        The content of report.json; with `--scope-only`, its key `scope` alone.
    """
    modalities = tuple(options.modalities.lower().split("+"))
    seen_channels(modalities)  # wrong options are reported before anything is computed
    choose_device(options.device)
    if options.phantoms:
        load_template()
    weights = fetch_model(options.model)
    weights.tell()
    network, info = load_model(weights.folder)
    if weights.commit is not None:  # a model of the Hub is named by its id, not by its folder
        info = replace(info, name=options.model)
    scope, others = load_scope(weights.folder), [read_report(path) for path in options.beside]
    scope_rates = measure_scope(
        scope,
        options.data,
        options.split,
        image_size=info.image_size,
        folders=options.decoys,
    )
    if options.scope_only:
        print("\n".join(scope_lines(scope_rates)))
        return {"scope": scope_rates}
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
    results: dict[str, Any] = {
        "threshold": info.threshold,
        "about": about,
        "baselines": baselines,
        "phantoms": phantoms,
        "points": other_points(info),
        "others": others,
        "scope": scope_rates,
        "scans": measure_scans(scores, info, options.data),
        "in_scans": measure_together(scores, info, options.data),
    }
    if options.out is None:
        report = build_report(scores, **results)
    else:
        load_slice = slice_loader(options.data, info.image_size)
        report = write_report(options.out, scores, **results, load_slice=load_slice)
    print(table(report))
    missing = len(scores) - about["slices_with_all_modalities"]
    if missing:
        print(f"  {missing:,} slices lack a sequence of {options.modalities}: FLAIR replaced it")
    if options.out is not None:
        print(f"report: {options.out / 'report.md'}")
    return report


if __name__ == "__main__":
    sys.exit(main())
