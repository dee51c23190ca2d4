"""The figures of a report: confusion, ROC and precision–recall, top losses, learning curves.

Each function returns a new matplotlib Figure without pyplot, so that threads share no state;
`save` writes it with the Agg canvas, without a display. Colors are those of Okabe and Ito (Color
Universal Design, 2008). Lines also differ in style, so that they can be told apart in gray print.
"""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainai.data.dataset import LABEL_NAMES
from brainai.data.files import write_whole
from brainai.evaluation.metrics import (
    SliceScores,
    auroc,
    average_precision,
    count,
    cross_entropy,
    ratio,
    sweep,
)

BLACK, ORANGE, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
LINES = (
    (BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (BLACK, (0, (5, 1, 1, 1, 1, 1))),
)  # fmt: skip
DPI = 150
TOP_LOSSES = 12


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, completely or not at all."""
    with write_whole(path) as file:
        figure.savefig(file, dpi=DPI, format="png", facecolor="white")


def draw_confusion(scores: SliceScores, threshold: float) -> Figure:
    """Draw the confusion matrix of slices, shaded by the fraction of each row."""
    counts = count(scores.label, scores.probability >= threshold)
    table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    shares = ratio(table, np.repeat(table.sum(axis=1, keepdims=True), 2, axis=1))
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table):
        share = shares[row, column]
        text = f"{value:,}" if np.isnan(share) else f"{value:,}\n{share:.1%}"
        color = "white" if share > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=13)
    axes.set_xticks((0, 1), LABEL_NAMES)
    axes.set_yticks((0, 1), LABEL_NAMES, rotation=90, va="center")
    axes.set_xlabel(f"Prediction at probability ≥ {threshold:.2f}")
    axes.set_ylabel("Truth")
    axes.set_title(f"Slices of {len(np.unique(scores.patient_id))} patients", fontsize=11)
    return figure


def draw_curves(scores: SliceScores, threshold: float) -> Figure:
    """Draw ROC and precision–recall curves of all slices, and of each source if there are several.

    The dot is the operating point of all slices. The insets enlarge the corners that good networks
    reach. If a class is missing, the legend says that the curve is undefined.
    """
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    roc, recall = figure.subplots(1, 2)
    roc_corner = roc.inset_axes((0.38, 0.38, 0.5, 0.5), xlim=(0, 0.25), ylim=(0.75, 1))
    recall_corner = recall.inset_axes((0.12, 0.38, 0.5, 0.5), xlim=(0.75, 1), ylim=(0.75, 1))
    for (name, group), (color, style) in zip(_by_source(scores).items(), cycle(LINES)):
        look = {"color": color, "linestyle": style, "linewidth": 1.6}
        _draw_roc((roc, roc_corner), name, group, look)
        _draw_precision((recall, recall_corner), name, group, look)
    _mark_operating_point((roc, roc_corner), (recall, recall_corner), scores, threshold)
    roc.plot((0, 1), (0, 1), color="0.6", linewidth=1, linestyle=(0, (1, 3)), zorder=0)
    recall.axhline(scores.label.mean(), color="0.6", linewidth=1, linestyle=(0, (1, 3)), zorder=0)
    roc.set(xlabel="1 − specificity", ylabel="Sensitivity", title="ROC")
    recall.set(xlabel="Recall (sensitivity)", ylabel="Precision", title="Precision and recall")
    for axes, corner in ((roc, roc_corner), (recall, recall_corner)):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(loc="lower right" if axes is roc else "lower left", fontsize=8)
        axes.indicate_inset_zoom(corner, edgecolor="0.4")
        corner.tick_params(labelsize=7)
        for grid in (axes, corner):
            grid.grid(color="0.9", linewidth=0.6)
    return figure


def _by_source(scores: SliceScores) -> dict[str, SliceScores]:
    """Return all slices, and those of each source if there are several."""
    sources = np.unique(scores.source)
    if len(sources) == 1:
        return {"all": scores}
    return {"all": scores} | {str(s): scores.take(scores.source == s) for s in sources}


def _draw_roc(panels: tuple[Axes, ...], name: str, scores: SliceScores, look: dict) -> None:
    tp, fp, fn, tn = sweep(scores.label, scores.probability)
    area = auroc(scores.label, scores.probability)
    label = f"{name}: undefined, one class only" if np.isnan(area) else f"{name}: area {area:.3f}"
    for axes in panels:
        axes.plot(ratio(fp, fp + tn), ratio(tp, tp + fn), label=label, **look)


def _draw_precision(panels: tuple[Axes, ...], name: str, scores: SliceScores, look: dict) -> None:
    tp, fp, fn, _ = sweep(scores.label, scores.probability)
    area = average_precision(scores.label, scores.probability)
    label = f"{name}: undefined, no tumor" if np.isnan(area) else f"{name}: average {area:.3f}"
    recall, precision = ratio(tp, tp + fn)[1:], ratio(tp, tp + fp)[1:]
    for axes in panels:  # steps, because no threshold reaches a point between two others
        corners = np.append(0, recall), np.append(precision[0], precision)
        axes.step(*corners, where="pre", label=label, **look)


def _mark_operating_point(
    rocs: tuple[Axes, ...], recalls: tuple[Axes, ...], scores: SliceScores, threshold: float
) -> None:
    tp, fp, fn, tn = count(scores.label, scores.probability >= threshold)
    look: dict[str, Any] = {
        "marker": "o",
        "color": ORANGE,
        "markeredgecolor": BLACK,
        "linestyle": "none",
        "zorder": 5,
        "label": f"probability ≥ {threshold:.2f}",
    }
    for axes in rocs:
        axes.plot(ratio(fp, fp + tn), ratio(tp, tp + fn), **look)
    for axes in recalls:
        axes.plot(ratio(tp, tp + fn), ratio(tp, tp + fp), **look)


def draw_top_losses(
    scores: SliceScores, threshold: float, load_slice: Callable[[str], np.ndarray]
) -> Figure:
    """Draw the slices with the largest losses: picture, outline, truth and probability.

    The figure follows `plot_top_losses` of fastai.

    Args:
        load_slice: file name → `[C + 1, S, S]` uint8, FLAIR first, mask last.
    """
    losses = cross_entropy(scores.label, scores.probability)
    worst = np.argsort(-losses, kind="stable")[:TOP_LOSSES]
    columns = 4
    rows = -(-len(worst) // columns)
    figure = Figure(figsize=(2.5 * columns, 3.1 * rows + 0.5), layout="constrained")
    figure.suptitle("Top losses: FLAIR slice, outlined tumor, truth, probability of tumor")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, worst, strict=False):
        planes = load_slice(str(scores.file_name[index]))
        axes.imshow(planes[0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        if (planes[-1] > 127).any():
            axes.contour(planes[-1] > 127, levels=[0.5], colors=[ORANGE], linewidths=0.9)
        probability = scores.probability[index]
        verdict = LABEL_NAMES[int(probability >= threshold)]
        axes.set_title(
            f"truth {LABEL_NAMES[scores.label[index]]}, predicted {verdict}\n"
            f"p = {probability:.3f}, loss {losses[index]:.2f}\n{_short(scores.file_name[index])}",
            fontsize=7,
        )
    return figure


def _short(file_name: str) -> str:
    """Shorten `images/<case>/<index>.png` to `<case>/<index>`, cut at the left if too long."""
    name = "/".join(Path(str(file_name)).with_suffix("").parts[-2:])
    return name if len(name) <= 34 else "…" + name[-33:]


def draw_learning_curves(history: list[dict]) -> Figure:
    """Draw loss, metrics on `valid`, learning rate and images per second over all epochs.

    Args:
        history: one dict per epoch in order, with stage (counted from 0), image_size, train_loss,
            loss, dice, auroc, sensitivity, specificity, mask_dice, selection, lr,
            images_per_second; None and NaN leave a gap.
    """
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    _draw_series(
        panels[0, 0], history, {"train_loss": "train, as optimized", "loss": "valid, cross-entropy"}
    )
    panels[0, 0].set(ylabel="Loss")
    names = {"dice": "Dice (F1)", "auroc": "AUROC", "sensitivity": "sensitivity"}
    names |= {"specificity": "specificity", "mask_dice": "Dice of masks"}
    _draw_series(panels[0, 1], history, names | {"selection": "selection score"})
    panels[0, 1].set(ylabel="Metric on valid", ylim=(None, 1.01))
    _draw_series(panels[1, 0], history, {"lr": "lr"})
    panels[1, 0].set(ylabel="Learning rate of the head", yscale="log", xlabel="Epoch")
    _draw_series(panels[1, 1], history, {"images_per_second": "speed"})
    panels[1, 1].set(ylabel="Images per second", ylim=(0, None), xlabel="Epoch")
    for axes in panels.flat:
        axes.grid(color="0.9", linewidth=0.6)
        _mark_stages(axes, history, named=axes in panels[0])
    for axes in panels[0]:
        axes.legend(fontsize=8, loc="best")
    return figure


def _draw_series(axes: Axes, history: list[dict], names: dict[str, str]) -> None:
    epochs = np.arange(1, len(history) + 1)
    for (key, name), (color, style) in zip(names.items(), cycle(LINES)):
        values = np.array([epoch.get(key) for epoch in history], float)  # None → NaN
        look = {"color": color, "linestyle": style, "linewidth": 1.6}
        axes.plot(epochs, values, label=name, marker="." if len(epochs) < 40 else None, **look)


def _mark_stages(axes: Axes, history: list[dict], *, named: bool) -> None:
    """Draw a line at the start of each stage; if `named`, with its name above the panel."""
    before = None
    for index, epoch in enumerate(history):
        if epoch["stage"] != before:
            before = epoch["stage"]
            axes.axvline(index + 0.5, color="0.5", linewidth=0.8, linestyle=(0, (4, 2)))
            name = f"stage {before + 1}, {epoch['image_size']} px" if named else ""
            where = {"xycoords": ("data", "axes fraction"), "rotation": 30, "ha": "left"}
            axes.annotate(name, (index + 0.5, 1.01), fontsize=8, color="0.3", va="bottom", **where)
