"""The viewer of a judged scan: a slider over its slices, a plot of the probability, and downloads.

All slices are sent once and the browser moves through them (assets/scan.js), so the slider sends
no request to the server. The words of the verdict are in `verdict.py`.
"""

import json
import math
import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from brainai.data.images import stretch, window
from brainai.data.volumes import Volume
from brainai.inference.figures import draw_outline
from brainai.inference.scan import JudgedSlice, ScanPrediction
from brainai.web.embed import download_link, picture_uri
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


def scan_view(prediction: ScanPrediction, slices: list[Image.Image], report: Report) -> str:
    """Return HTML of the facts, slider, plot and downloads.

    Args:
        prediction: the answer for the scan.
        slices: the pictures of all slices, from `draw_slices`.
        report: returns the report to print, given the outlines of all slices.
    """
    start, count = prediction.strongest_slice(), len(slices)
    words, borders = slice_words(prediction), outlines(prediction, slices)
    data = json.dumps(
        [
            {
                "slice": picture_uri(picture, "JPEG"),
                "outline": None if outline is None else picture_uri(outline),
                "words": text,
            }
            for picture, outline, text in zip(slices, borders, words, strict=True)
        ]
    )
    return (
        f'{facts(prediction)}<figure class="scan"><div class="layers">'
        f'<img class="slice" alt="{escape(words[start])}" '
        f'src="{picture_uri(slices[start], "JPEG")}">'
        '<img class="outline" alt="" hidden></div>'
        f'<figcaption><p class="words" aria-live="polite">{escape(words[start])}</p></figcaption>'
        f'<label class="slider"><span>Slice</span><input type="range" name="slice" min="1" '
        f'max="{count}" value="{start + 1}"></label>'
        '<label class="switch"><input type="checkbox" name="outlined" checked> '
        "<span>Show the outline</span></label>"
        f"{plot(prediction, start)}</figure>"
        f"<template>{escape(data)}</template>"
        f'<div class="saving">{_downloads(prediction, report(borders))}</div>'
    )


def facts(prediction: ScanPrediction) -> str:
    """Return the outlined volume, the number of slices with a tumor and the largest area; HTML."""
    judged = sum(label != "" for label in prediction.slice_labels)
    tumor = int(np.nansum(prediction.slices >= prediction.slice_threshold))
    rows = [("Slices labeled “Tumor”", f"{tumor} of {judged} judged")]
    if prediction.volume_ml is not None:
        rows.insert(0, ("Outlined volume", f"{prediction.volume_ml:.1f} mL"))
        rows.append(("Largest area in a slice", cm2(float(prediction.areas_cm2.max()))))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="facts">{cells}</dl>'


def plot(prediction: ScanPrediction, marked: int | None = None) -> str:
    """Return a plot of the probability along the scan, with one bar per slice; HTML with SVG.

    Args:
        prediction: the answer for the scan.
        marked: index of the slice that is shown; None for a plot without clicks, as in the report.
    """
    count = len(prediction.slices)
    bars = "".join(
        f'<rect class="{"over" if p >= prediction.slice_threshold else "under"}" x="{k + 0.1:g}" '
        f'width="0.8" y="{1 - p:.4f}" height="{max(p, 0.004):.4f}"/>'
        for k, p in enumerate(prediction.slices)
        if not math.isnan(p)
    )
    level = 1 - prediction.slice_threshold
    mark = "" if marked is None else f'<rect class="mark" x="{marked}" y="0" width="1" height="1"/>'
    highest = int(np.nanargmax(prediction.slices))
    summary = (
        f"Probability of tumor in each of {count} slices. The highest is "
        f"{percent(float(prediction.slices[highest]))}, in slice {highest + 1}."
    )
    return (
        '<div class="along"><p class="small">Probability along the scan'
        f"{'' if marked is None else ' (click to go to a slice)'}</p>"
        '<div class="axes"><span>100 %</span>'
        f'<svg role="img" aria-label="{escape(summary)}" viewBox="0 0 {count} 1" '
        f'preserveAspectRatio="none">{mark}{bars}'
        f'<line x1="0" x2="{count}" y1="{level:.4f}" y2="{level:.4f}"/></svg>'
        "<span>0 %</span></div>"
        f'<p class="ends small"><span>slice 1, lowest</span>'
        f"<span>dashed line: {escape(percent(prediction.slice_threshold))}, "
        "the threshold for slices</span>"
        f"<span>slice {count}</span></p></div>"
    )


def slice_words(prediction: ScanPrediction) -> list[str]:
    """Return one line per slice with its number, position and answer."""
    count = len(prediction.slices)
    lines = []
    for row in prediction.rows():
        height = f"{row['position_mm']:.1f} mm".replace("-", "−")
        line = f"Slice {row['index'] + 1} of {count} (at {height}): "
        if row["label"] is None:
            line += "not judged because it shows too little of the head"
        else:
            line += f"{row['label']}, {percent(row['probability'])}"
            if row["area_cm2"]:
                line += f", outlined {cm2(row['area_cm2'])}"
        lines.append(line)
    return lines


def latest_slice(judged: JudgedSlice, slices: list[Image.Image]) -> str:
    """Return HTML of the latest slice and its outline, shown while other slices are judged."""
    picture = slices[judged.index]
    words = f"Slice {judged.index + 1} of {len(slices)}: {percent(judged.probability)}"
    outline = _border(judged.mask, picture)
    drawn = "" if outline is None else f'<img class="outline" alt="" src="{picture_uri(outline)}">'
    return (
        f'<figure class="scan"><div class="layers"><img class="slice" alt="{words}" '
        f'src="{picture_uri(picture, "JPEG")}">{drawn}</div>'
        f'<figcaption><p class="words">{words}</p></figcaption></figure>'
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


def _downloads(prediction: ScanPrediction, report: str) -> str:
    links = []
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        if prediction.mask is not None:
            prediction.save_mask(Path(folder) / "mask.nii.gz")
            content = (Path(folder) / "mask.nii.gz").read_bytes()
            links.append(download_link("mask.nii.gz", content, "application/gzip", "Mask (NIfTI)"))
        prediction.write_csv(Path(folder) / "slices.csv")
        content = (Path(folder) / "slices.csv").read_bytes()
    links.append(download_link("slices.csv", content, "text/csv", "Table of the slices (CSV)"))
    links.append(
        download_link("report.html", report.encode(), "text/html", "Report to print (HTML)")
    )
    return "".join(links)
