"""The report as text: report.md, and the lines that the command line prints."""

import shlex
from pathlib import Path

from brainai.evaluation.names import FIGURE_NAMES, LEVEL
from brainai.evaluation.sections import (
    GROUP_FIGURES,
    POINT_NAMES,
    SHORT_NAMES,
    WAYS,
    baseline_section,
    calibration_section,
    figure_table,
    group_table,
    hit_section,
    how_section,
    neighbor_section,
    number,
    operating_point,
    other_section,
    phantom_section,
    point_section,
    scan_line,
    scan_section,
    scope_section,
    shared_patients,
    size_section,
    with_interval,
)

FIGURE_FILES = {
    "confusion.png": "Confusion matrix",
    "roc_pr.png": "ROC and precision–recall curves",
    "reliability.png": "Reliability",
    "sizes.png": "Sensitivity by tumor size",
    "mask_dice.png": "Mask Dice of each patient",
    "top_losses.png": "Top losses",
    "learning_curves.png": "Learning curves",
}


def shown_command(*words: str) -> str:
    """Return a command for reports and cards, in which paths outside the working folder are
    reduced to their last part.

    >>> shown_command("brainai", "train", "--data", "/home/me/data sets/lgg", "--out", "runs/1")
    'brainai train --data lgg --out runs/1'
    """
    shown = []
    for word in words:
        option, equals, value = word.rpartition("=")
        path = Path(value).expanduser()
        outside = path.is_absolute() or path.parts[:1] == ("..",)
        shown.append(f"{option}{equals}{path.name if outside else value}")
    return shlex.join(shown)


def table(report: dict) -> str:
    """Return the metrics as lines of text, for the command line."""
    lines = [
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} with tumor; "
        f"threshold: probability {report['threshold']:.3f}"
    ]
    for name, title in FIGURE_NAMES.items():
        figure = report["all"]["figures"][name]
        if figure["n_slices"]:
            low, high = number(figure["low"]), number(figure["high"])
            lines.append(f"  {title:<32} {number(figure['value'])}   {LEVEL} % {low} to {high}")
    for key in ("source", "site"):
        for group, summary in report[key].items():
            plain = (
                f"{SHORT_NAMES[name]} {number(summary['figures'][name]['value'])}"
                for name in GROUP_FIGURES
            )
            patients = summary["figures"]["dice"]["n_patients"]
            lines.append(f"  {key} {group} ({patients} patients): " + ", ".join(plain))
    if report["in_scans"]:
        for way, title in WAYS.items():
            figures = report["in_scans"][way]["all"]["figures"]
            plain = (
                f"{SHORT_NAMES[name]} {number(figures[name]['value'])}"
                for name in ("auroc", *POINT_NAMES)
            )
            lines.append(f"  slices of scans, judged {title}: " + ", ".join(plain))
    for name, group in report["scans"].get("groups", {}).items():
        lines.append(f"  {scan_line(group)}" + ("" if name == "all" else f" ({name})"))
    for other in report["others"]:
        plain = (
            f"{SHORT_NAMES[name]} {number(other['figures'][name]['value'])}"
            for name in GROUP_FIGURES
        )
        lines.append(f"  another training on {other['about']['sites']}: " + ", ".join(plain))
    for name, groups in report["baselines"].items():
        values = ", ".join(
            f"{group} {number(figures['auroc']['value'])}" for group, figures in groups.items()
        )
        lines.append(f"  AUROC of {name} alone: {values}")
    for name, figure in report["hits"].items():
        lines.append(f"  strongest pixel of the {name} lies in the tumor: {with_interval(figure)}")
    for kind, figure in report["phantoms"].items():
        people = f"{figure['n_patients']} simulated people, {kind}"
        lines.append(f"  specificity ({people}): {with_interval(figure)}")
    for name, point in report["points"].items():
        values = ", ".join(
            f"{SHORT_NAMES[key]} {number(point['all'][key]['value'])}" for key in POINT_NAMES
        )
        lines.append(f"  threshold {point['threshold']:.3f} ({name}): {values}")
    return "\n".join([*lines, *scope_lines(report["scope"])])


def scope_lines(scope: dict[str, dict[str, dict]]) -> list[str]:
    """Return the fractions of refused pictures (`scope_rates.measure_scope`), for the terminal."""
    lines = []
    for title, groups in scope.items():
        lines.append(f"  refused, {title}:")
        lines += [
            f"    {group:<52} {number(figure['value'])} of {figure['n_slices']:,}"
            for group, figure in groups.items()
        ]
    return lines


def markdown(report: dict, figure_files: list[str]) -> str:
    """Return the content of report.md."""
    counts = report["all"]["counts"]
    parts = [
        "# Evaluation",
        "\n".join(f"- {key}: `{value}`" for key, value in report["about"].items()),
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} slices with tumor. A slice is labeled “Tumor” if its "
        f"probability is at least {report['threshold']:.3f}. Operating point: "
        f"{operating_point(report)}.",
        shared_patients(report),
        figure_table(report["all"]["figures"]),
        f"Slices: {counts['tp']:,} true positive, {counts['fn']:,} false negative, "
        f"{counts['tn']:,} true negative, {counts['fp']:,} false positive. "
        f"Average precision {number(report['average_precision'])}.",
        *(
            f"## By {key}\n\n{group_table(report[key])}"
            for key in ("source", "site")
            if len(report[key]) > 1
        ),
        other_section(report),
        point_section(report),
        scan_section(report),
        neighbor_section(report),
        scope_section(report),
        baseline_section(report),
        calibration_section(report),
        size_section(report),
        hit_section(report),
        phantom_section(report),
        how_section(report),
        *(
            f"## {FIGURE_FILES[name]}\n\n![{FIGURE_FILES[name]}](figures/{name})"
            for name in figure_files
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
