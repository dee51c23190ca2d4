"""The report in words: report.md for people, and the lines that a command line prints."""

import math

from brainai.evaluation.intervals import FIGURE_NAMES, LEVEL

GROUP_FIGURES = ("dice", "auroc", "sensitivity", "specificity", "mask_dice")
SHORT_NAMES = {
    "dice": "Dice (F1)",
    "auroc": "AUROC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Mask Dice",
}
FIGURE_FILES = {
    "confusion.png": "Confusion matrix",
    "roc_pr.png": "ROC and precision–recall curves",
    "reliability.png": "Reliability",
    "sizes.png": "Sensitivity by size of tumour",
    "mask_dice.png": "Masks, patient by patient",
    "top_losses.png": "Top losses",
    "learning_curves.png": "Learning curves",
}


def table(report: dict) -> str:
    """The figures of all slices as lines of text, for the command line."""
    lines = [
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} with tumour; "
        f"tumour from probability {report['threshold']:.3f} on"
    ]
    for name, title in FIGURE_NAMES.items():
        figure = report["all"]["figures"][name]
        if figure["n_slices"]:
            low, high = _number(figure["low"]), _number(figure["high"])
            lines.append(f"  {title:<32} {_number(figure['value'])}   {LEVEL} % {low} to {high}")
    for key in ("source", "site"):
        for group, summary in report[key].items():
            plain = (
                f"{SHORT_NAMES[name]} {_number(summary['figures'][name]['value'])}"
                for name in GROUP_FIGURES
            )
            patients = summary["figures"]["dice"]["n_patients"]
            lines.append(f"  {key} {group} ({patients} patients): " + ", ".join(plain))
    for name, groups in report["baselines"].items():
        values = (f"{group} {_number(of['auroc']['value'])}" for group, of in groups.items())
        lines.append(f"  AUROC of {name} alone: " + ", ".join(values))
    for name, figure in report["hits"].items():
        lines.append(
            f"  strongest pixel of the {name} lies in the tumour: {_with_interval(figure)}"
        )
    for kind, figure in report["phantoms"].items():
        people = f"{figure['n_patients']} simulated people, {kind}"
        lines.append(f"  specificity ({people}): {_with_interval(figure)}")
    return "\n".join(lines)


def markdown(report: dict, figure_files: list[str]) -> str:
    """report.md."""
    counts = report["all"]["counts"]
    parts = [
        "# Evaluation",
        "\n".join(f"- {key}: `{value}`" for key, value in report["about"].items()),
        f"{report['n_slices']:,} slices of {report['n_patients']:,} patients, "
        f"{report['n_positive_slices']:,} slices with tumour. A slice is called tumour from "
        f"probability {report['threshold']:.3f} on.",
        _figure_table(report["all"]["figures"]),
        f"Slices: {counts['tp']:,} tumour found, {counts['fn']:,} missed, "
        f"{counts['tn']:,} tumour-free left alone, {counts['fp']:,} called tumour wrongly. "
        f"Average precision {_number(report['average_precision'])}.",
        *(
            f"## By {key}\n\n{_group_table(report[key])}"
            for key in ("source", "site")
            if len(report[key]) > 1
        ),
        _baseline_section(report),
        _calibration_section(report),
        _size_section(report),
        _hit_section(report),
        _phantom_section(report),
        _how(report),
        *(
            f"## {FIGURE_FILES[name]}\n\n![{FIGURE_FILES[name]}](figures/{name})"
            for name in figure_files
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figure_table(summary: dict) -> str:
    rows = [f"| figure | value | {LEVEL} % interval | patients | slices |", "|---|---|---|---|---|"]
    for name, title in FIGURE_NAMES.items():
        figure = summary[name]
        if figure["n_slices"]:
            interval = f"{_number(figure['low'])} to {_number(figure['high'])}"
            size = f"{figure['n_patients']:,} | {figure['n_slices']:,}"
            rows.append(f"| {title} | {_number(figure['value'])} | {interval} | {size} |")
    return "\n".join(rows)


def _group_table(groups: dict) -> str:
    titles = " | ".join(SHORT_NAMES[name] for name in GROUP_FIGURES)
    rows = [f"| name | patients | slices | {titles} |", "|---" * (3 + len(GROUP_FIGURES)) + "|"]
    for group, summary in groups.items():
        cells = []
        for name in GROUP_FIGURES:
            cells.append(_with_interval(summary["figures"][name]))
        size = summary["figures"]["dice"]
        rows.append(
            f"| {group} | {size['n_patients']:,} | {size['n_slices']:,} | {' | '.join(cells)} |"
        )
    return "\n".join(rows)


def _baseline_section(report: dict) -> str:
    """The network beside baselines that look for no lesion."""
    if not report["baselines"]:
        return ""
    groups = {"all": report["all"], **report["source"]}
    own = {name: found["figures"]["auroc"] for name, found in groups.items()}
    compared = {"the network": own} | {
        name: {group: found["auroc"] for group, found in of.items()}
        for name, of in report["baselines"].items()
    }
    rows = [f"| AUROC of slices | {' | '.join(groups)} |", "|---" * (1 + len(groups)) + "|"]
    rows += [
        f"| {name} | {' | '.join(_with_interval(of[group]) for group in groups)} |"
        for name, of in compared.items()
    ]
    return (
        "## Does it see more than the baselines?\n\n" + "\n".join(rows) + "\n\n"
        "The baselines look for no lesion: logistic regressions of each source, fitted on `train`."
    )


def _calibration_section(report: dict) -> str:
    groups = {"all": report["all"], **report["source"]}
    rows = [
        "| data | ECE before | ECE after | Brier before | Brier after |",
        "|---|---|---|---|---|",
    ]
    for group, found in groups.items():
        before, after = report["before_calibration"][group], found["figures"]
        cells = [_with_interval(of[key]) for key in ("ece", "brier") for of in (before, after)]
        rows.append(f"| {group} | {' | '.join(cells)} |")
    return (
        "## Calibration\n\n" + "\n".join(rows) + "\n\n"
        "Before: the softmax of the classifier alone, as it was trained. After: the probability as "
        "it is given, class and mask joined by what was fitted on `valid`. ECE is over bins of "
        "about equally many slices; a sum of distances, it is larger in resamples, so that its "
        "interval lies too high."
    )


def _size_section(report: dict) -> str:
    rows = ["| pixels of tumour | slices | sensitivity |", "|---|---|---|"]
    rows += [
        f"| {size} | {figure['n_slices']:,} | {_with_interval(figure)} |"
        for size, figure in report["size"].items()
    ]
    return "## By size of tumour\n\n" + "\n".join(rows) if report["size"] else ""


def _hit_section(report: dict) -> str:
    rows = ["| map | slices with tumour | hits |", "|---|---|---|"]
    rows += [
        f"| {name} | {figure['n_slices']:,} | {_with_interval(figure)} |"
        for name, figure in report["hits"].items()
    ]
    if not report["hits"]:
        return ""
    return (
        "## Does it point at the tumour?\n\n"
        + "\n".join(rows)
        + "\n\nA hit: the strongest pixel of the map lies in the tumour."
    )


def _phantom_section(report: dict) -> str:
    rows = ["| simulated people without a tumour | slices | specificity |", "|---|---|---|"]
    rows += [
        f"| {kind} ({figure['n_patients']}) | {figure['n_slices']:,} | {_with_interval(figure)} |"
        for kind, figure in report["phantoms"].items()
    ]
    if not report["phantoms"]:
        return ""
    words = (
        "Phantoms stand in for healthy people and for other diseases, as far as they can: weights "
        "that were trained on phantoms know their kind."
    )
    return "## Without a tumour\n\n" + "\n".join(rows) + f"\n\n{words}"


def _with_interval(figure: dict) -> str:
    low, high = _number(figure["low"]), _number(figure["high"])
    return f"{_number(figure['value'])} ({low} to {high})"


def _how(report: dict) -> str:
    masks, interval = report["all"]["figures"]["mask_dice"], report["interval"]
    left_out = report["all"]["figures"]["auroc"]["undefined_resamples"]
    return (
        "## How it was measured\n\n"
        f"Intervals: {interval['resamples']:,} bootstrap resamples of whole patients, because "
        f"slices of one patient resemble each other; {left_out} of them held one class only and "
        "are left out for AUROC. A – marks what is undefined, and an interval that fewer than "
        "two patients cannot give.\n\n"
        "Masks are compared at the resolution of the network, over all slices of a patient whose "
        f"outline is known; {masks['undefined_patients']} patients without tumour there, and with "
        "none claimed, have no mask Dice."
    )


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
