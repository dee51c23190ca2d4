"""The viewer of a judged scan: a slider over its slices, a plot of the probability, and downloads.

All slices are sent once and the browser moves through them (assets/scan.js), so the slider sends
no request to the server. The words of the verdict are in `verdict.py`.
"""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from brainai.data.images import stretch, window
from brainai.data.volumes import Volume
from brainai.inference.figures import draw_outline
from brainai.inference.scan import JudgedSlice, ScanPrediction
from brainai.markup import Markup, render
from brainai.web.embed import data_uri, picture_uri
from brainai.web.verdict import percent
from brainai.web.views import cm2

MAX_SIDE = 384  # pixels of a slice on the page
MAX_PIXELS = 16_000_000  # of all slices together: what a phone can hold

Borders: TypeAlias = list[Image.Image | None]
Report: TypeAlias = Callable[[Borders], str]


def draw_slices(volume: Volume) -> list[Image.Image]:
    """Return a picture of each slice, lowest first, in mode "L".

    All pictures share one gray window and have square pixels. The front of the head is up, and the
    patient's right is on the left.
    """
    width, height, count = volume.voxels.shape
    x, y, _ = volume.spacing_mm
    width, height = width * x / min(x, y), height * y / min(x, y)
    side = min(MAX_SIDE, math.sqrt(MAX_PIXELS / count), max(width, height))
    scale = side / max(width, height)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    planes = np.stack([stretch(volume.voxels[:, :, k].T, *size) for k in range(count)])
    levels = window(planes.reshape(-1, size[1])).reshape(planes.shape)
    return [Image.fromarray(plane) for plane in np.round(levels * 255).astype(np.uint8)]


def scan_view(prediction: ScanPrediction, slices: list[Image.Image], report: Report) -> Markup:
    """Return the facts, slider, plot and downloads.

    Args:
        prediction: the answer for the scan.
        slices: the pictures of all slices, from `draw_slices`.
        report: returns the report to print, given the outlines of all slices.
    """
    start = prediction.strongest_slice()
    words, borders = slice_words(prediction), outlines(prediction, slices)
    return render(
        "scan_view.html",
        facts=facts(prediction),
        start=start,
        slices=[
            {
                "slice": picture_uri(picture, "JPEG"),
                "outline": None if outline is None else picture_uri(outline),
                "words": text,
            }
            for picture, outline, text in zip(slices, borders, words, strict=True)
        ],
        plot=plot(prediction, start),
        report=data_uri(report(borders).encode(), "text/html"),
        **_files(prediction),
    )


def facts(prediction: ScanPrediction) -> dict[str, str]:
    """Return the outlined volume, the number of slices with a tumor and the largest area."""
    judged = sum(label != "" for label in prediction.slice_labels)
    counted = {"Slices labeled “Tumor”": f"{prediction.tumor_slices} of {judged} judged"}
    if prediction.volume_ml is None or prediction.areas_cm2 is None:
        return counted
    volume = {"Outlined volume": f"{prediction.volume_ml:.1f} mL"}
    return volume | counted | {"Largest area in a slice": cm2(float(prediction.areas_cm2.max()))}


def plot(prediction: ScanPrediction, marked: int | None = None) -> Markup:
    """Return a plot of the probability along the scan, with one bar per slice; HTML with SVG.

    Args:
        prediction: the answer for the scan.
        marked: index of the slice that is shown; None for a plot without clicks, as in the report.
    """
    highest = int(np.nanargmax(prediction.slices))
    return render(
        "scan_plot.html",
        count=len(prediction.slices),
        highest=f"{percent(float(prediction.slices[highest]))}, in slice {highest + 1}",
        marked=marked,
        bars=[
            (
                p >= prediction.slice_threshold,
                f"{k + 0.1:g}",
                f"{1 - p:.4f}",
                f"{max(p, 0.004):.4f}",
            )
            for k, p in enumerate(prediction.slices)
            if not math.isnan(p)
        ],
        level=f"{1 - prediction.slice_threshold:.4f}",
        threshold=percent(prediction.slice_threshold),
    )


def slice_words(prediction: ScanPrediction) -> list[str]:
    """Return one line per slice with its number, position and answer."""
    count = len(prediction.slices)
    lines = []
    for row in prediction.rows():
        height = f"{row['position_mm']:.1f} mm".replace("-", "−")
        line = f"Slice {row['index'] + 1} of {count} (at {height}): "
        if row["probability"] is None:
            line += "not judged because it shows too little of the head"
        else:
            line += f"{row['label']}, {percent(row['probability'])}"
            if row["area_cm2"]:
                line += f", outlined {cm2(row['area_cm2'])}"
        lines.append(line)
    return lines


def latest_slice(judged: JudgedSlice, slices: list[Image.Image]) -> Markup:
    """Return the latest slice and its outline, shown while other slices are judged."""
    picture = slices[judged.index]
    outline = _border(judged.mask, picture)
    return render(
        "latest_slice.html",
        words=f"Slice {judged.index + 1} of {len(slices)}: {percent(judged.probability)}",
        slice=picture_uri(picture, "JPEG"),
        outline=None if outline is None else picture_uri(outline),
    )


def outlines(prediction: ScanPrediction, slices: list[Image.Image]) -> Borders:
    """Return the border of the mask in each slice as a picture to overlay; None without a mask."""
    if prediction.mask is None:
        return [None] * len(slices)
    planes = (prediction.mask[:, :, k].T for k in range(len(slices)))
    return [_border(plane, picture) for plane, picture in zip(planes, slices, strict=True)]


def _border(plane: np.ndarray | None, picture: Image.Image) -> Image.Image | None:
    if plane is None or not plane.any():
        return None
    return draw_outline(stretch(plane, *picture.size[::-1]) >= 0.5)


def _files(prediction: ScanPrediction) -> dict[str, str | None]:
    """Return the mask, if there is one, and the table of the slices as `data:` URLs."""
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        mask, table = Path(folder) / "mask.nii.gz", Path(folder) / "slices.csv"
        prediction.write_csv(table)
        if prediction.mask is not None:
            prediction.save_mask(mask)
        return {
            "mask": data_uri(mask.read_bytes(), "application/gzip") if mask.exists() else None,
            "table": data_uri(table.read_bytes(), "text/csv"),
        }
