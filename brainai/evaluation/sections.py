"""The sections of a report for report.md and the model card, as Markdown.

A section is "" if the report has no values for it.
"""

import math

from brainai.evaluation.names import FIGURE_NAMES, LEVEL

GROUP_FIGURES = ("dice", "auroc", "sensitivity", "specificity", "mask_dice")
POINT_NAMES = ("dice", "sensitivity", "specificity")
SHORT_NAMES = {
    "dice": "Dice (F1)",
    "auroc": "AUROC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Mask Dice",
}

WAYS = {"alone": "alone", "together": "with neighbors"}  # in which slices of scans are judged

GROUP_TITLES = [SHORT_NAMES[name] for name in GROUP_FIGURES]


def figure_table(summary: dict) -> str:
    """Return a table of all metrics with their intervals."""
    rows = [f"| metric | value | {LEVEL} % interval | patients | slices |", "|---|---|---|---|---|"]
    for name, title in FIGURE_NAMES.items():
        figure = summary[name]
        if figure["n_slices"]:
            interval = f"{number(figure['low'])} to {number(figure['high'])}"
            size = f"{figure['n_patients']:,} | {figure['n_slices']:,}"
            rows.append(f"| {title} | {number(figure['value'])} | {interval} | {size} |")
    return "\n".join(rows)


def group_table(groups: dict) -> str:
    """Return a table of metrics with one row per group."""
    rows = [
        f"| name | patients | slices | {' | '.join(GROUP_TITLES)} |",
        "|---" * (3 + len(GROUP_FIGURES)) + "|",
    ]
    for group, summary in groups.items():
        cells = []
        for name in GROUP_FIGURES:
            cells.append(with_interval(summary["figures"][name]))
        size = summary["figures"]["dice"]
        rows.append(
            f"| {group} | {size['n_patients']:,} | {size['n_slices']:,} | {' | '.join(cells)} |"
        )
    return "\n".join(rows)


def point_section(report: dict) -> str:
    """Return the metrics at other thresholds and at the operating point."""
    if not report["points"]:
        return ""
    groups = {"all": report["all"], **report["source"]}
    operating = {"threshold": report["threshold"]} | {
        name: group["figures"] for name, group in groups.items()
    }
    titles = " | ".join(SHORT_NAMES[name] for name in POINT_NAMES)
    rows = [f"| threshold | data | {titles} |", "|---" * (2 + len(POINT_NAMES)) + "|"]
    rows += [
        f"| {point['threshold']:.3f}, {name} | {group} | "
        + " | ".join(with_interval(point[group][key]) for key in POINT_NAMES)
        + " |"
        for name, point in {"operating point": operating, **report["points"]}.items()
        for group in groups
    ]
    return "## At other thresholds\n\n" + "\n".join(rows)


def scope_section(report: dict) -> str:
    """Return how often the answer is “Cannot judge”."""
    parts = []
    for title, groups in report["scope"].items():
        rows = [f"| {title} | pictures or scans | patients | refused |", "|---|---|---|---|"]
        rows += [
            f"| {group} | {figure['n_slices']:,} | {figure['n_patients']:,} | "
            f"{with_interval(figure)} |"
            for group, figure in groups.items()
        ]
        parts.append("\n".join(rows))
    if not parts:
        return ""
    return (
        "## “Cannot judge”\n\n" + "\n\n".join(parts) + "\n\n"
        "A picture without a patient counts as a patient. The charts, text, noise and photographs "
        "in these groups were not used for training. In folders of decoys, one in four files is "
        "kept out of every training, and slices that show too little of a head are not counted."
    )


def scan_section(report: dict) -> str:
    """Return the verdicts on whole scans; "" where none were measured."""
    groups = report["scans"].get("groups", {})
    if not groups:
        return ""
    rows = [
        "| whole scans | with tumor: detected | lowest | without tumor: false alarms | highest |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {group['found']} of {group['n_tumor']} | "
        f"{number(min(group['tumor'], default=None))} | "
        f"{group['wrongly_called']} of {group['n_tumor_free']} | "
        f"{number(max(group['tumor_free'], default=None))} |"
        for name, group in groups.items()
    ]
    return (
        "## Whole scans\n\n" + "\n".join(rows) + "\n\n"
        "A scan is labeled “Tumor” if its probability is at least "
        f"{report['scans']['threshold']:.3f}. “Lowest” and “highest” are probabilities of these "
        "scans, which are computed from the slices evaluated above. Scans that would be refused as "
        "out of scope are counted here as if they were judged."
    )


def neighbor_section(report: dict) -> str:
    """Return the metrics of slices of scans, by themselves and together with their neighbors."""
    measured = report.get("in_scans")  # older reports lack it
    if not measured:
        return ""
    groups: dict[str, dict] = {}
    sizes: dict[str, dict] = {}
    for way, title in WAYS.items():
        summary = measured[way]
        of_groups = {"all": summary["all"], **summary["source"]}
        groups |= {f"{name}, {title}": group for name, group in of_groups.items()}
        sizes |= {f"{size}, {title}": figure for size, figure in summary["size"].items()}
    parts = [
        "## Slices within scans",
        group_table(groups),
        _share_table("tumor pixels | slices | sensitivity", sizes) if sizes else "",
        "In a scan, a slice is judged together with its neighbors: its probability comes from the "
        "mean of their log-odds, with Gaussian weights. The label is “Tumor” if it is at least "
        f"{measured['threshold']:.3f}.",
    ]
    return "\n\n".join(part for part in parts if part)


def scan_line(group: dict) -> str:
    """Return a line on a group of scans: "scans: detected 17 of 17, false alarms 0 of 3"."""
    return (
        f"scans: detected {group['found']} of {group['n_tumor']}, "
        f"false alarms {group['wrongly_called']} of {group['n_tumor_free']}"
    )


def other_section(report: dict) -> str:
    """Return the metrics of other trainings, each on its own `test`."""
    if not report["others"]:
        return ""
    rows = [f"| sites of `test` | weights | patients | slices | {' | '.join(GROUP_TITLES)} |"]
    rows.append("|---" * (4 + len(GROUP_FIGURES)) + "|")
    for other in report["others"]:
        about, figures = other["about"], other["figures"]
        size = figures["dice"]
        cells = " | ".join(with_interval(figures[name]) for name in GROUP_FIGURES)
        rows.append(
            f"| {about['sites']} | {about['model']} {about['model_revision']} | "
            f"{size['n_patients']:,} | {size['n_slices']:,} | {cells} |"
        )
    return "## Other trainings\n\n" + "\n".join(rows)


def baseline_section(report: dict) -> str:
    """Return the AUROC of the network and of baselines that do not look for lesions."""
    if not report["baselines"]:
        return ""
    groups = {"all": report["all"], **report["source"]}
    network = {name: group["figures"]["auroc"] for name, group in groups.items()}
    compared = {"the network": network} | {
        name: {group: figures["auroc"] for group, figures in baseline.items()}
        for name, baseline in report["baselines"].items()
    }
    rows = [f"| AUROC of slices | {' | '.join(groups)} |", "|---" * (1 + len(groups)) + "|"]
    rows += [
        f"| {name} | {' | '.join(with_interval(figures[group]) for group in groups)} |"
        for name, figures in compared.items()
    ]
    return (
        "## Comparison with baselines\n\n" + "\n".join(rows) + "\n\n"
        "The baselines do not look for lesions: they are logistic regressions for each source, "
        "fitted on `train`."
    )


def calibration_section(report: dict) -> str:
    """Return calibration error and Brier score before and after calibration."""
    groups = {"all": report["all"], **report["source"]}
    after = "from class score and mask score with weights fitted on `valid`"
    if not report["about"]["calibrated"]:
        after = "for which nothing was fitted on `valid`"
    rows = [
        "| data | ECE before | ECE after | Brier before | Brier after |",
        "|---|---|---|---|---|",
    ]
    for name, group in groups.items():
        both = report["before_calibration"][name], group["figures"]
        cells = [with_interval(figures[key]) for key in ("ece", "brier") for figures in both]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return (
        "## Calibration\n\n" + "\n".join(rows) + "\n\n"
        "Before: the softmax of the class scores alone, as trained. After: the final probability, "
        f"{after}. ECE uses bins of about equally many slices. It is a sum of absolute "
        "differences and therefore larger in resamples, so that its interval lies too high."
    )


def size_section(report: dict) -> str:
    """Return the sensitivity by tumor size."""
    rows = _share_table("tumor pixels | slices | sensitivity", report["size"])
    return f"## By tumor size\n\n{rows}" if report["size"] else ""


def hit_section(report: dict) -> str:
    """Return how often mask and heat map are strongest within the tumor."""
    rows = _share_table("map | slices with tumor | hits", report["hits"])
    text = "A hit means that the strongest pixel of the map lies in the tumor."
    return f"## Localization\n\n{rows}\n\n{text}" if report["hits"] else ""


def phantom_section(report: dict) -> str:
    """Return the specificity on simulated people without a tumor."""
    people = {
        f"{kind} ({figure['n_patients']})": figure for kind, figure in report["phantoms"].items()
    }
    rows = _share_table("simulated people without a tumor | slices | specificity", people)
    text = (
        "Phantoms replace healthy people and people with other diseases only in part: weights that "
        "were trained on phantoms have seen similar ones."
    )
    return f"## Without a tumor\n\n{rows}\n\n{text}" if people else ""


def _share_table(titles: str, figures: dict[str, dict]) -> str:
    rows = [f"| {titles} |", "|---|---|---|"]
    rows += [
        f"| {name} | {figure['n_slices']:,} | {with_interval(figure)} |"
        for name, figure in figures.items()
    ]
    return "\n".join(rows)


def how_section(report: dict) -> str:
    """Return how the metrics and their intervals were computed."""
    masks, interval = report["all"]["figures"]["mask_dice"], report["interval"]
    left_out = report["all"]["figures"]["auroc"]["undefined_resamples"]
    return (
        "## Methods\n\n"
        f"Intervals come from {interval['resamples']:,} bootstrap resamples of whole patients, "
        "because slices of the same patient resemble each other. For AUROC, "
        f"{left_out} resamples with only one class are left out. “n/a” marks undefined values, and "
        "intervals over fewer than two patients.\n\n"
        "Masks are compared at the resolution of the network, over all slices of a patient whose "
        f"outline is known. {masks['undefined_patients']} patients have no mask Dice, because "
        "these slices show no tumor."
    )


def operating_point(report: dict) -> str:
    """Return `point_with_outcome` of a report."""
    return point_with_outcome(report["about"]["operating_point"], report)


def point_with_outcome(point: str, report: dict | None) -> str:
    """Return the operating point with the value that it reached on `test`.

    Args:
        point: `ModelInfo.operating_point`.
        report: report of the same weights, or None.
    Returns:
        Text such as "best Dice (F1) on validation patients; Dice 92 % (88 to 95) on test patients".
        The second part is left out unless the operating point was chosen for the best Dice, and the
        report is on `test`, from FLAIR alone, and has a Dice.
    """
    if report is None or not point.startswith("best Dice"):
        return point
    about = report["about"]
    if about["split"] != "test" or about["modalities"] != "flair":
        return point
    figure = report["all"]["figures"]["dice"]
    if figure["value"] is None:
        return point
    value, low, high = (
        None if figure[key] is None else f"{100 * figure[key]:.0f}"
        for key in ("value", "low", "high")
    )
    interval = "" if low is None else f" ({low} to {high})"
    return f"{point}; Dice {value} %{interval} on test patients"


def shared_patients(report: dict) -> str:
    """Return a sentence on patients who occur in several sources, or "" if there are none.

    The numbers of patients of the sources then add up to more than the number of patients.
    """
    counts = [group["figures"]["dice"]["n_patients"] for group in report["source"].values()]
    everybody = report["all"]["figures"]["dice"]["n_patients"]
    if sum(counts) == everybody:
        return ""
    return (
        f"The sources have {' + '.join(map(str, counts))} patients, {everybody} in total: a "
        "patient who is in several sources counts once."
    )


def with_interval(figure: dict) -> str:
    """Return a value with its interval, such as "0.900 (0.850 to 0.950)"."""
    low, high = number(figure["low"]), number(figure["high"])
    return f"{number(figure['value'])} ({low} to {high})"


def number(value: float | None) -> str:
    """Return a number with three decimals, or "n/a" if it is undefined."""
    return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"
