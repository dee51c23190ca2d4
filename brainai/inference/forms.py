"""Answers as JSON, in the same form for the API and the command line.

docs/api.md describes the form and docs/api.schema.json defines it; keep them in step with this
module. A change that breaks callers (a key removed or renamed, or a new meaning) increases
ANSWER_FORMAT; a new key does not. No key may be named "path", because Gradio's client would treat
its value as a file.
"""

from typing import Any

from brainai import DISCLAIMER, __version__
from brainai.inference.classifier import Prediction
from brainai.inference.scan import ScanPrediction
from brainai.model.folder import ModelInfo

ANSWER_FORMAT = 2
DIGITS = 6  # decimals of a probability
AREA_DIGITS = 4  # decimals of an area in cm²
VOLUME_DIGITS = 3  # decimals of a volume in mL


def slice_form(
    prediction: Prediction, info: ModelInfo, pixel_mm: float | None = None, mask: Any = None
) -> dict[str, Any]:
    """Return the answer for a slice.

    Args:
        pixel_mm: side of a pixel in mm; if it is None, the area is None too.
        mask: reference to the file of the mask, or None.
    """
    values = {"area_cm2": _rounded(prediction.area_cm2(pixel_mm), AREA_DIGITS), "mask": mask}
    point = info.threshold, info.operating_point
    return _form(prediction, info, prediction.reason, point, values)


def scan_form(
    answer: ScanPrediction | Prediction, info: ModelInfo, mask: Any = None
) -> dict[str, Any]:
    """Return the answer for a scan.

    Its `area_cm2` is the largest area on a slice.

    Args:
        answer: the prediction, or `Prediction.refused` if the scan cannot be judged.
        mask: reference to the file of the mask, or None.
    """
    point = info.threshold_of_scans, info.operating_point_of_scans
    if isinstance(answer, Prediction):
        empty: dict[str, Any] = {
            "area_cm2": None,
            "volume_ml": None,
            "mask": None,
            "slice_threshold": info.threshold_in_scans,
            "slices": [],
            "notes": [],
        }
        return _form(answer, info, answer.reason, point, empty)
    areas = answer.areas_cm2
    values = {
        "area_cm2": _rounded(None if areas is None else float(areas.max()), AREA_DIGITS),
        "volume_ml": _rounded(answer.volume_ml, VOLUME_DIGITS),
        "mask": mask,
        "slice_threshold": answer.slice_threshold,
        "slices": list(answer.rows()),
        "notes": list(answer.notes),
    }
    return _form(answer, info, None, point, values)


def origin(info: ModelInfo) -> dict[str, Any]:
    """Return the last keys of every answer: model, version and disclaimer."""
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
    values: dict[str, Any],
) -> dict[str, Any]:
    """Return the common keys of slices and scans, with `values` inserted.

    Args:
        point: threshold and name of the operating point.
    """
    probability, by_label = _rounded(answer.probability, DIGITS), None
    if probability is not None:
        by_label = dict(
            zip(info.label_names, (round(1 - probability, DIGITS), probability), strict=True)
        )
    return {
        "format_version": ANSWER_FORMAT,
        "label": answer.label,
        "probability": probability,
        "probabilities": by_label,
        "threshold": point[0],
        "operating_point": point[1],
        "reason": reason,
        **values,
        **origin(info),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
