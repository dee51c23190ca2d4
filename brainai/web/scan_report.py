"""The report of a scan: one HTML file that prints on one sheet and names no patient or file."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from PIL import Image

from brainai.inference.scan import ScanPrediction
from brainai.markup import Markup, render
from brainai.model.folder import ModelInfo
from brainai.web.embed import picture_uri
from brainai.web.scan_view import Borders, facts, plot, slice_words
from brainai.web.verdict import headline, percent, source_line

PICTURES = 8  # of slices


def scan_report(
    prediction: ScanPrediction,
    info: ModelInfo,
    slices: list[Image.Image],
    sequences: Sequence[str],
    borders: Borders,
) -> Markup:
    """Return the report as HTML.

    Args:
        prediction: the answer for the scan.
        info: the facts about the model.
        slices: the pictures of all slices, from `scan_view.draw_slices`.
        sequences: the sequences that the scan was judged from, such as ["flair", "t2"].
        borders: the outlines of all slices, from `scan_view.outlines`.
    """
    return render(
        "scan_report.html",
        day=date.today().isoformat(),
        headline=headline(prediction.label, info, "in this scan"),
        probability=percent(prediction.probability),
        threshold=percent(prediction.threshold),
        operating_point=info.operating_point_of_scans,
        facts=facts(prediction),
        plot=plot(prediction),
        pictures=_pictures(prediction, slices, borders),
        notes=prediction.notes,
        source=source_line(info, sequences),
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


def _pictures(
    prediction: ScanPrediction, slices: list[Image.Image], borders: Borders
) -> list[dict[str, str]]:
    """Return the shown slices with their outlines, each as a `data:` URL with its words."""
    words = slice_words(prediction)
    pictures = []
    for index in shown_slices(prediction):
        picture, border = slices[index], borders[index]
        if border is not None:
            picture = picture.resize(border.size, Image.Resampling.BICUBIC).convert("RGB")
            picture.paste(border, mask=border)
        pictures.append({"words": words[index], "uri": picture_uri(picture, "JPEG")})
    return pictures
