"""The report of a scan: one HTML file that prints on one sheet and names no patient or file."""

from collections.abc import Sequence
from datetime import date
from html import escape

import numpy as np
from PIL import Image

from brainai import DISCLAIMER, __version__
from brainai.inference.scan import ScanPrediction
from brainai.model.folder import ModelInfo
from brainai.web.assets import asset
from brainai.web.embed import picture_uri
from brainai.web.scan_view import Borders, facts, plot, slice_words
from brainai.web.verdict import headline, percent, source_line

PICTURES = 8  # of slices

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>BrainAI: report of a scan</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{style}</style></head><body>
<header><p>BrainAI · {day}</p><h1>{headline}</h1>
<p>The probability of tumor is {probability}. The answer is “Tumor” if it is at least {threshold}.
Operating point: {point}.</p>
</header>
<p class="notice">{disclaimer}</p>
{facts}
{plot}
<section class="pictures">{pictures}</section>
<p class="small">Amber: the outline of what the network takes for tumor, an estimate of its extent.
The patient’s right is on the left.</p>
{notes}
<footer><p>{source} · BrainAI {version}</p></footer>
</body></html>
"""


def scan_report(
    prediction: ScanPrediction,
    info: ModelInfo,
    slices: list[Image.Image],
    sequences: Sequence[str],
    borders: Borders,
) -> str:
    """Return the report as HTML.

    Args:
        prediction: the answer for the scan.
        info: the facts about the model.
        slices: the pictures of all slices, from `scan_view.draw_slices`.
        sequences: the sequences that the scan was judged from, such as ["flair", "t2"].
        borders: the outlines of all slices, from `scan_view.outlines`.
    """
    return PAGE.format(
        style=asset("report.css"),
        day=date.today().isoformat(),
        headline=headline(prediction.label, info, "in this scan"),
        probability=escape(percent(prediction.probability)),
        threshold=escape(percent(prediction.threshold)),
        point=escape(info.operating_point_of_scans),
        disclaimer=DISCLAIMER,
        facts=facts(prediction),
        plot=plot(prediction),
        pictures=_pictures(prediction, slices, borders),
        notes="".join(f'<p class="small">{escape(note)}</p>' for note in prediction.notes),
        source=source_line(info, sequences),
        version=__version__,
    )


def shown_slices(prediction: ScanPrediction, count: int = PICTURES) -> list[int]:
    """Return the slices to show, evenly spread over those with an outline, else over those judged.

    Args:
        prediction: the answer for the scan.
        count: the most slices to show.
    """
    chosen = np.flatnonzero(~np.isnan(prediction.slices))
    if prediction.areas_cm2 is not None and prediction.areas_cm2.any():
        chosen = np.flatnonzero(prediction.areas_cm2)
    places = np.linspace(0, len(chosen) - 1, min(count, len(chosen)))
    return [int(chosen[round(place)]) for place in places]


def _pictures(prediction: ScanPrediction, slices: list[Image.Image], borders: Borders) -> str:
    words = slice_words(prediction)
    figures = []
    for index in shown_slices(prediction):
        picture = slices[index]
        if borders[index] is not None:
            picture = picture.resize(borders[index].size, Image.Resampling.BICUBIC).convert("RGB")
            picture.paste(borders[index], mask=borders[index])
        figures.append(
            f'<figure><img alt="{escape(words[index])}" src="{picture_uri(picture, "JPEG")}">'
            f"<figcaption>{escape(words[index])}</figcaption></figure>"
        )
    return "".join(figures)
