"""More figures of a report: reliability, sensitivity by size of tumor, mask Dice of each patient.

In the manner of figures.py: a matplotlib Figure from each function, colors of Okabe and Ito, and
shapes that stay apart in gray print.
"""

import math

import numpy as np
from matplotlib.figure import Figure

from brainai.evaluation.figures import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION
from brainai.evaluation.intervals import sum_by_patient
from brainai.evaluation.metrics import SliceScores, calibration_error, equal_mass_bins

MARKERS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"), (BLACK, "v"))


def draw_reliability(scores: SliceScores) -> Figure:
    """How often there was tumor where the network said how much, before and after calibration.

    Each mark is a bin of about equally many slices; below, where the probabilities lie.
    """
    figure = Figure(figsize=(4.8, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    above.plot((0, 1), (0, 1), color="0.6", linewidth=1, linestyle=(0, (1, 3)), zorder=0)
    kinds = {
        "class alone, as trained": (scores.uncalibrated, VERMILION, "s", "--"),
        "as given": (scores.probability, BLUE, "o", "-"),
    }
    for name, (probability, color, marker, style) in kinds.items():
        bins = equal_mass_bins(probability)
        said, found = (
            [values[bins == index].mean() for index in np.unique(bins)]
            for values in (probability, scores.label)
        )
        error = calibration_error(scores.label, probability)
        label = f"{name}: ECE {error:.3f}"
        above.plot(said, found, color=color, marker=marker, linestyle=style, label=label)
        below.hist(
            probability, bins=np.linspace(0, 1, 21), histtype="step", color=color, linestyle=style
        )
    above.set(ylabel="Share of slices with tumor", ylim=(-0.02, 1.02), title="Reliability")
    above.legend(fontsize=8, loc="upper left")
    below.set(xlabel="Probability of tumor", ylabel="Slices", yscale="log", xlim=(-0.02, 1.02))
    for axes in (above, below):
        axes.grid(color="0.9", linewidth=0.6)
    return figure


def draw_sensitivity_by_size(sizes: dict[str, dict]) -> Figure:
    """Share of slices found, by how many pixels of tumor they show.

    Args:
        sizes: `summarize_by_size` of intervals.py.
    """
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for place, group in enumerate(sizes.values()):
        value, low, high = (group[key] for key in ("value", "low", "high"))
        axes.bar(place, value, color=BLUE, width=0.6)
        if low is not None and not math.isnan(low):
            axes.plot((place, place), (low, high), color=ORANGE, linewidth=3)
    names = [f"{name}\n{group['n_slices']:,} slices" for name, group in sizes.items()]
    axes.set_xticks(range(len(sizes)), names, fontsize=8)
    axes.set(xlabel="Pixels of tumor on the slice", ylabel="Sensitivity", ylim=(0, 1.02))
    axes.set_title("Slices found, by size of tumor", fontsize=10)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def draw_mask_dice(scores: SliceScores) -> Figure:
    """Dice of the mask of every patient, in order, one shape for each source."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    sources = np.unique(scores.source)
    values = {
        str(source): sum_by_patient(scores.take(scores.source == source), 0.5).mask_dice
        for source in sources
    }
    start = 0
    for (source, dice), (color, marker) in zip(values.items(), MARKERS, strict=False):
        dice = np.sort(dice[~np.isnan(dice)])
        if not dice.size:
            continue
        places = start + np.arange(dice.size)
        label = f"{source}: mean {dice.mean():.3f}, median {np.median(dice):.3f}"
        axes.plot(places, dice, color=color, marker=marker, linestyle="none", label=label)
        ends = (places[0] - 0.4, places[-1] + 0.4)
        axes.plot(ends, (dice.mean(), dice.mean()), color=color, linewidth=1)
        start += dice.size + 1
    axes.set(ylabel="Dice of the mask", xlabel="Patients, in order", ylim=(0, 1.02), xticks=())
    axes.set_title("Masks, patient by patient (line: mean)", fontsize=10)
    if start:
        axes.legend(fontsize=8, loc="lower right")
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    return figure
