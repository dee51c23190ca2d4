"""More figures of a report: reliability, sensitivity by tumor size, mask Dice of each patient.

As in figures.py, each function returns a matplotlib Figure with colors of Okabe and Ito and with
shapes that remain distinguishable in gray print.
"""

import math

import numpy as np
from matplotlib.figure import Figure

from brainai.evaluation.figures import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION
from brainai.evaluation.intervals import sum_by_patient
from brainai.evaluation.metrics import SliceScores, calibration_error, equal_mass_bins

MARKERS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"), (BLACK, "v"))


def draw_reliability(scores: SliceScores) -> Figure:
    """Draw the reliability diagram, before and after calibration.

    Each mark is a bin of about equally many slices. A histogram of the probabilities is below.
    """
    figure = Figure(figsize=(4.8, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    above.plot((0, 1), (0, 1), color="0.6", linewidth=1, linestyle=(0, (1, 3)), zorder=0)
    kinds = {
        "class score alone, uncalibrated": (scores.uncalibrated, VERMILION, "s", "--"),
        "final probability": (scores.probability, BLUE, "o", "-"),
    }
    for name, (probability, color, marker, style) in kinds.items():
        bins = equal_mass_bins(probability)
        predicted, observed = (
            [values[bins == index].mean() for index in np.unique(bins)]
            for values in (probability, scores.label)
        )
        error = calibration_error(scores.label, probability)
        label = f"{name}: ECE {error:.3f}"
        above.plot(predicted, observed, color=color, marker=marker, linestyle=style, label=label)
        below.hist(
            probability, bins=np.linspace(0, 1, 21), histtype="step", color=color, linestyle=style
        )
    above.set(ylabel="Fraction of slices with tumor", ylim=(-0.02, 1.02), title="Reliability")
    above.legend(fontsize=8, loc="upper left")
    below.set(xlabel="Probability of tumor", ylabel="Slices", yscale="log", xlim=(-0.02, 1.02))
    for axes in (above, below):
        axes.grid(color="0.9", linewidth=0.6)
    return figure


def draw_sensitivity_by_size(sizes: dict[str, dict]) -> Figure:
    """Draw the sensitivity of slices by the number of tumor pixels.

    Args:
        sizes: result of `intervals.summarize_by_size`.
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
    axes.set(xlabel="Tumor pixels on the slice", ylabel="Sensitivity", ylim=(0, 1.02))
    axes.set_title("Sensitivity by tumor size", fontsize=10)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def draw_mask_dice(scores: SliceScores) -> Figure:
    """Draw the mask Dice of every patient in ascending order, with one shape for each source."""
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
    axes.set(ylabel="Mask Dice", xlabel="Patients, by mask Dice", ylim=(0, 1.02), xticks=())
    axes.set_title("Mask Dice of each patient (line: mean)", fontsize=10)
    if start:
        axes.legend(fontsize=8, loc="lower right")
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    return figure
