"""The parts of a report in words, for report.md and the model card: Markdown, "" where there is
nothing to tell."""

import math

from brainai.evaluation.intervals import FIGURE_NAMES, LEVEL

GROUP_FIGURES = ("dice", "auroc", "sensitivity", "specificity", "mask_dice")
POINT_NAMES = ("dice", "sensitivity", "specificity")
SHORT_NAMES = {
    "dice": "Dice (F1)",
    "auroc": "AUROC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Mask Dice",
}

GROUP_TITLES = [SHORT_NAMES[name] for name in GROUP_FIGURES]


def figure_table(summary: dict) -> str:
    rows = [f"| figure | value | {LEVEL} % interval | patients | slices |", "|---|---|---|---|---|"]
    for name, title in FIGURE_NAMES.items():
        figure = summary[name]
        if figure["n_slices"]:
            interval = f"{number(figure['low'])} to {number(figure['high'])}"
            size = f"{figure['n_patients']:,} | {figure['n_slices']:,}"
            rows.append(f"| {title} | {number(figure['value'])} | {interval} | {size} |")
    return "\n".join(rows)


def group_table(groups: dict) -> str:
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
    """The same slices at other thresholds, beside the operating point."""
    if not report["points"]:
        return ""
    groups = {"all": report["all"], **report["source"]}
    own = {"threshold": report["threshold"]} | {
        name: found["figures"] for name, found in groups.items()
    }
    titles = " | ".join(SHORT_NAMES[name] for name in POINT_NAMES)
    rows = [f"| tumor from | data | {titles} |", "|---" * (2 + len(POINT_NAMES)) + "|"]
    rows += [
        f"| {found['threshold']:.3f}, {name} | {group} | "
        + " | ".join(with_interval(found[group][key]) for key in POINT_NAMES)
        + " |"
        for name, found in {"operating point": own, **report["points"]}.items()
        for group in groups
    ]
    return "## At other thresholds\n\n" + "\n".join(rows)


def scope_section(report: dict) -> str:
    """What is answered by “Cannot judge”."""
    parts = []
    for title, groups in report["scope"].items():
        rows = [f"| {title} | pictures or scans | patients | refused |", "|---|---|---|---|"]
        rows += [
            f"| {group} | {of['n_slices']:,} | {of['n_patients']:,} | {with_interval(of)} |"
            for group, of in groups.items()
        ]
        parts.append("\n".join(rows))
    if not parts:
        return ""
    return (
        "## “Cannot judge”\n\n" + "\n\n".join(parts) + "\n\n"
        "A picture of no patient counts as its own. Charts, text, noise and photographs "
        "of these groups were not used in training. Of folders of decoys one of four files is kept "
        "out of any training; slices that show too little of a head are not counted."
    )


def scan_section(report: dict) -> str:
    """How whole scans were called; empty where none were measured."""
    groups = report.get("scans", {}).get("groups", {})
    if not groups:
        return ""
    rows = [
        "| whole scans | with tumor: found | lowest | without: wrongly called | highest |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {of['found']} of {of['n_tumor']} | {number(min(of['tumor'], default=None))} | "
        f"{of['wrongly_called']} of {of['n_tumor_free']} | "
        f"{number(max(of['tumor_free'], default=None))} |"
        for name, of in groups.items()
    ]
    return (
        "## Whole scans\n\n" + "\n".join(rows) + "\n\n"
        f"A scan is called tumor from probability {report['scans']['threshold']:.3f} on. Lowest "
        "and highest: of the probabilities of these scans, made of the slices measured above."
    )


def scan_line(of: dict) -> str:
    """Such as "scans: found 17 of 17, wrongly called 0 of 3", of a group of scans."""
    return (
        f"scans: found {of['found']} of {of['n_tumor']}, "
        f"wrongly called {of['wrongly_called']} of {of['n_tumor_free']}"
    )


def other_section(report: dict) -> str:
    """Other trainings, such as those that left out a site each, on their own `test`."""
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
        f"| {name} | {' | '.join(with_interval(of[group]) for group in groups)} |"
        for name, of in compared.items()
    ]
    return (
        "## Does it see more than the baselines?\n\n" + "\n".join(rows) + "\n\n"
        "The baselines look for no lesion: logistic regressions of each source, fitted on `train`."
    )


def calibration_section(report: dict) -> str:
    groups = {"all": report["all"], **report["source"]}
    after = "class and mask joined by what was fitted on `valid`"
    if not report["about"]["calibrated"]:
        after = "for which nothing was fitted on `valid`"
    rows = [
        "| data | ECE before | ECE after | Brier before | Brier after |",
        "|---|---|---|---|---|",
    ]
    for group, found in groups.items():
        both = report["before_calibration"][group], found["figures"]
        cells = [with_interval(of[key]) for key in ("ece", "brier") for of in both]
        rows.append(f"| {group} | {' | '.join(cells)} |")
    return (
        "## Calibration\n\n" + "\n".join(rows) + "\n\n"
        "Before: the softmax of the classifier alone, as it was trained. After: the probability as "
        f"it is given, {after}. ECE is over bins of "
        "about equally many slices; a sum of distances, it is larger in resamples, so that its "
        "interval lies too high."
    )


def size_section(report: dict) -> str:
    rows = _share_table("pixels of tumor | slices | sensitivity", report["size"])
    return f"## By size of tumor\n\n{rows}" if report["size"] else ""


def hit_section(report: dict) -> str:
    rows = _share_table("map | slices with tumor | hits", report["hits"])
    words = "A hit: the strongest pixel of the map lies in the tumor."
    return f"## Does it point at the tumor?\n\n{rows}\n\n{words}" if report["hits"] else ""


def phantom_section(report: dict) -> str:
    people = {f"{kind} ({of['n_patients']})": of for kind, of in report["phantoms"].items()}
    rows = _share_table("simulated people without a tumor | slices | specificity", people)
    words = (
        "Phantoms stand in for healthy people and for other diseases, as far as they can: weights "
        "that were trained on phantoms know their kind."
    )
    return f"## Without a tumor\n\n{rows}\n\n{words}" if people else ""


def _share_table(titles: str, figures: dict[str, dict]) -> str:
    rows = [f"| {titles} |", "|---|---|---|"]
    rows += [
        f"| {name} | {figure['n_slices']:,} | {with_interval(figure)} |"
        for name, figure in figures.items()
    ]
    return "\n".join(rows)


def how_section(report: dict) -> str:
    masks, interval = report["all"]["figures"]["mask_dice"], report["interval"]
    left_out = report["all"]["figures"]["auroc"]["undefined_resamples"]
    return (
        "## How it was measured\n\n"
        f"Intervals: {interval['resamples']:,} bootstrap resamples of whole patients, because "
        f"slices of one patient resemble each other; {left_out} of them held one class only and "
        "are left out for AUROC. “n/a” marks what is undefined, and an interval that fewer than "
        "two patients cannot give.\n\n"
        "Masks are compared at the resolution of the network, over all slices of a patient whose "
        f"outline is known; {masks['undefined_patients']} patients without tumor there have "
        "no mask Dice."
    )


def operating_point(report: dict) -> str:
    """`point_with_outcome` of a report."""
    return point_with_outcome(report["about"]["operating_point"], report)


def point_with_outcome(point: str, report: dict | None) -> str:
    """What the threshold was chosen for on `valid`, and what that gave on `test`.

    Args:
        point: `ModelInfo.operating_point`.
        report: of the same weights, where there is one.
    Returns:
        Such as "best Dice (F1) on validation patients; Dice 92 % (88 to 95) on test patients"; the
        second part where the report is on `test`, from FLAIR alone, and the first names a figure
        of it.
    """
    chosen = {"sensitivity": "sensitivity", "best Dice": "Dice"}
    spoken = next((figure for words, figure in chosen.items() if point.startswith(words)), None)
    if report is None or spoken is None:
        return point
    about = report["about"]
    if about["split"] != "test" or about.get("modalities", "flair") != "flair":
        return point
    found = report["all"]["figures"][spoken.lower()]
    if found["value"] is None:
        return point
    value, low, high = (
        None if found[key] is None else f"{100 * found[key]:.0f}"
        for key in ("value", "low", "high")
    )
    interval = "" if low is None else f" ({low} to {high})"
    return f"{point}; {spoken} {value} %{interval} on test patients"


def shared_patients(report: dict) -> str:
    """That somebody stands in several sources, where it is so: their patients then add up to more
    than there are."""
    counts = [found["figures"]["dice"]["n_patients"] for found in report["source"].values()]
    everybody = report["all"]["figures"]["dice"]["n_patients"]
    if sum(counts) == everybody:
        return ""
    return (
        f"The sources hold {' + '.join(map(str, counts))} patients, and all together "
        f"{everybody}: a patient who stands in more than one source counts once."
    )


def with_interval(figure: dict) -> str:
    low, high = number(figure["low"]), number(figure["high"])
    return f"{number(figure['value'])} ({low} to {high})"


def number(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"
