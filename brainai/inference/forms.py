"""The answers as JSON: one form for the API and the command line. docs/api.md describes it, and
docs/api.schema.json checks it; keep the three true.

A change that breaks a caller (a key gone or renamed, another meaning) raises ANSWER_FORMAT; a new
key does not. No key may be called "path": Gradio's client would take its value for a file.
"""

from typing import Any

from brainai import DISCLAIMER, __version__
from brainai.inference.classifier import Prediction
from brainai.inference.scan import ScanPrediction
from brainai.model.folder import ModelInfo

ANSWER_FORMAT = 2
DIGITS = 6  # of a probability
AREA_DIGITS = 4  # of cm²
VOLUME_DIGITS = 3  # of mL


def slice_form(
    prediction: Prediction, info: ModelInfo, pixel_mm: float | None = None, mask: Any = None
) -> dict[str, Any]:
    """The answer for one slice.

    Args:
        pixel_mm: side of a pixel, where it is known: no area else.
        mask: how the caller finds the mask's file.
    """
    found = {"area_cm2": _rounded(prediction.area_cm2(pixel_mm), AREA_DIGITS), "mask": mask}
    point = info.threshold, info.operating_point
    return _form(prediction, info, prediction.reason, point, found)


def scan_form(
    answer: ScanPrediction | Prediction, info: ModelInfo, mask: Any = None
) -> dict[str, Any]:
    """The answer for a whole scan, or `Prediction.refused` of one; its area is that of the
    slice with the largest."""
    point = info.threshold_of_scans, info.operating_point_of_scans
    if isinstance(answer, Prediction):
        nothing: dict[str, Any] = {
            "area_cm2": None,
            "volume_ml": None,
            "mask": None,
            "slice_threshold": info.threshold,
            "slices": [],
            "notes": [],
        }
        return _form(answer, info, answer.reason, point, nothing)
    areas = answer.areas_cm2
    found = {
        "area_cm2": _rounded(None if areas is None else float(areas.max()), AREA_DIGITS),
        "volume_ml": _rounded(answer.volume_ml, VOLUME_DIGITS),
        "mask": mask,
        "slice_threshold": answer.slice_threshold,
        "slices": list(answer.rows()),
        "notes": list(answer.notes),
    }
    return _form(answer, info, None, point, found)


def origin(info: ModelInfo) -> dict[str, Any]:
    """What every answer ends with: whose it is, and what it is not for."""
    return {
        "model": {"id": info.name, "revision": info.revision},
        "version": __version__,
        "disclaimer": DISCLAIMER,
    }


def _form(
    answer: Prediction | ScanPrediction,
    info: ModelInfo,
    reason: str | None,
    point: tuple[float, str],
    found: dict[str, Any],
) -> dict[str, Any]:
    """What slices and scans have in common, around what was found in them.

    Args:
        point: the threshold of the label, and what it was chosen for.
    """
    probability, both = _rounded(answer.probability, DIGITS), None
    if probability is not None:
        both = dict(
            zip(info.label_names, (round(1 - probability, DIGITS), probability), strict=True)
        )
    return {
        "format_version": ANSWER_FORMAT,
        "label": answer.label,
        "probability": probability,
        "probabilities": both,
        "threshold": point[0],
        "operating_point": point[1],
        "reason": reason,
        **found,
        **origin(info),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
