"""The report in words: report.md for people, and the lines that a command line prints."""

import shlex
from pathlib import Path

from brainai.evaluation.intervals import FIGURE_NAMES, LEVEL
from brainai.evaluation.sections import (
    GROUP_FIGURES,
    POINT_NAMES,
    SHORT_NAMES,
    baseline_section,
    calibration_section,
    figure_table,
    group_table,
    hit_section,
    how_section,
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
    "sizes.png": "Sensitivity by size of tumor",
    "mask_dice.png": "Masks, patient by patient",
    "top_losses.png": "Top losses",
    "learning_curves.png": "Learning curves",
}


def shown_command(*words: str) -> str:
    """A command as reports and cards show it: places elsewhere on a machine by their last name."""
    shown = []
    for word in words:
        option, equals, value = word.rpartition("=")
        place = Path(value).expanduser()
        away = place.is_absolute() or place.parts[:1] == ("..",)
        shown.append(f"{option}{equals}{place.name if away else value}")
    return shlex.join(shown)


def table(report: dict) -> str:
    """The figures of all slices as lines of text, for the command line."""
    lines = [
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} with tumor; "
        f"tumor from probability {report['threshold']:.3f} on"
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
    for group, of in report.get("scans", {}).get("groups", {}).items():
        lines.append(f"  {scan_line(of)}" + ("" if group == "all" else f" ({group})"))
    for other in report["others"]:
        plain = (
            f"{SHORT_NAMES[name]} {number(other['figures'][name]['value'])}"
            for name in GROUP_FIGURES
        )
        lines.append(f"  another training on {other['about']['sites']}: " + ", ".join(plain))
    for name, groups in report["baselines"].items():
        values = ", ".join(
            f"{group} {number(of['auroc']['value'])}" for group, of in groups.items()
        )
        lines.append(f"  AUROC of {name} alone: {values}")
    for name, figure in report["hits"].items():
        lines.append(f"  strongest pixel of the {name} lies in the tumor: {with_interval(figure)}")
    for kind, figure in report["phantoms"].items():
        people = f"{figure['n_patients']} simulated people, {kind}"
        lines.append(f"  specificity ({people}): {with_interval(figure)}")
    for name, found in report["points"].items():
        values = ", ".join(
            f"{SHORT_NAMES[key]} {number(found['all'][key]['value'])}" for key in POINT_NAMES
        )
        lines.append(f"  from {found['threshold']:.3f} on ({name}): {values}")
    return "\n".join([*lines, *scope_lines(report["scope"])])


def scope_lines(scope: dict[str, dict[str, dict]]) -> list[str]:
    """What is refused (`scope_rates.measure_scope`), for the terminal."""
    lines = []
    for title, groups in scope.items():
        lines.append(f"  refused, {title}:")
        lines += [
            f"    {group:<52} {number(figure['value'])} of {figure['n_slices']:,}"
            for group, figure in groups.items()
        ]
    return lines


def markdown(report: dict, figure_files: list[str]) -> str:
    """report.md."""
    counts = report["all"]["counts"]
    parts = [
        "# Evaluation",
        "\n".join(f"- {key}: `{value}`" for key, value in report["about"].items()),
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} slices with tumor. A slice is called tumor from "
        f"probability {report['threshold']:.3f} on: {operating_point(report)}.",
        shared_patients(report),
        figure_table(report["all"]["figures"]),
        f"Slices: {counts['tp']:,} tumor found, {counts['fn']:,} missed, "
        f"{counts['tn']:,} tumor-free left alone, {counts['fp']:,} called tumor wrongly. "
        f"Average precision {number(report['average_precision'])}.",
        *(
            f"## By {key}\n\n{group_table(report[key])}"
            for key in ("source", "site")
            if len(report[key]) > 1
        ),
        other_section(report),
        point_section(report),
        scan_section(report),
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
