"""`python -m brainai.evaluation --model weights --data DATASET --split test [--out DIR]`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from brainai.command_line import run_command
from brainai.evaluation.baselines import score_baselines
from brainai.evaluation.options import Evaluate
from brainai.evaluation.phantoms import score_phantoms
from brainai.evaluation.report import build_report, other_points, read_report, write_report
from brainai.evaluation.scope_rates import measure_scope
from brainai.evaluation.score import describe, score_split, slice_loader
from brainai.evaluation.text import scope_lines, shown_command, table
from brainai.evaluation.whole_scans import measure_scans
from brainai.model.fetch import fetch_model
from brainai.model.folder import load_model, load_scope


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Evaluate, run, arguments, "python -m brainai.evaluation")


def run(options: Evaluate, words: Sequence[str]) -> None:
    """Score, print and write; the report keeps the command."""
    evaluate(options, shown_command(*words))


def evaluate(options: Evaluate, command: str) -> dict:
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
    measured: dict[str, Any] = {
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
