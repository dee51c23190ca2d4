"""The answers as JSON, in the form that documentation and schema show."""

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from brainai import DISCLAIMER, __version__
from brainai.data.volumes import Grid
from brainai.inference.classifier import Prediction
from brainai.inference.forms import scan_form, slice_form
from brainai.inference.scan import ScanPrediction
from brainai.model.folder import ModelInfo

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "api.schema.json").read_text())
INFO = ModelInfo(
    name="brainai-resnet50",
    revision="0123456789ab",
    threshold=0.4,
    operating_point="sensitivity of at least 95%",
)
MASK = np.zeros((20, 10), bool)
MASK[:5] = True  # 50 pixels
ANSWER = Prediction("Tumor", probability=0.87654321, threshold=0.4, mask=MASK, heatmap=None)
REFUSED = Prediction("Cannot judge", None, 0.4, None, None, reason="color picture")


def scan_answer() -> ScanPrediction:
    """Three slices of 2 × 1 mm pixels, the first not judged, 30 pixels of mask in the last."""
    mask = np.zeros((20, 10, 3), bool)
    mask[:6, :5, 2] = True
    return ScanPrediction(
        label="Tumor",
        probability=0.7,
        threshold=0.4,
        slices=np.array([np.nan, 0.2, 0.7]),
        slice_threshold=0.5,
        slice_labels=("", "No Tumor", "Tumor"),
        mask=mask,
        volume_ml=0.3,
        areas_cm2=np.array([0.0, 0.0, 0.6]),
        grid=Grid((20, 10, 3), (2.0, 1.0, 5.0), (0.0, 0.0, 0.0), tuple(np.eye(3).flat), "LPS"),
        notes=("FLAIR: took series 3.",),
    )


def check(form: dict, definition: str) -> None:
    """Raise if a form does not match the schema."""
    jsonschema.validate(form, {**SCHEMA, "$ref": f"#/$defs/{definition}"})


def keys(value: object) -> list[str]:
    if isinstance(value, list):
        return [key for item in value for key in keys(item)]
    if not isinstance(value, dict):
        return []
    return [k for key, inner in value.items() for k in (key, *keys(inner))]


def test_the_form_of_a_slice_has_the_documented_values() -> None:
    form = slice_form(ANSWER, INFO, pixel_mm=2.0, mask="mask.png")
    check(form, "predict")
    assert form == {
        "format_version": 2,
        "label": "Tumor",
        "probability": 0.876543,
        "probabilities": {"No Tumor": 0.123457, "Tumor": 0.876543},
        "threshold": 0.4,
        "operating_point": "sensitivity of at least 95%",
        "reason": None,
        "area_cm2": 2.0,  # 50 pixels of 4 mm²
        "mask": "mask.png",
        "model": {"id": "brainai-resnet50", "revision": "0123456789ab"},
        "version": __version__,
        "disclaimer": DISCLAIMER,
    }


def test_without_a_pixel_size_there_is_no_area() -> None:
    assert slice_form(ANSWER, INFO)["area_cm2"] is None


def test_the_form_of_a_scan_has_the_documented_values() -> None:
    form = scan_form(scan_answer(), INFO, "mask.nii.gz")
    check(form, "predict_scan")
    assert (form["label"], form["probability"]) == ("Tumor", 0.7)
    assert (form["area_cm2"], form["volume_ml"]) == (0.6, 0.3)
    assert form["notes"] == ["FLAIR: took series 3."]
    assert (form["threshold"], form["slice_threshold"]) == (0.4, 0.5)
    assert form["slices"][0] == {
        "index": 0,
        "position_mm": 0.0,
        "probability": None,
        "label": None,
        "area_cm2": None,
    }
    assert form["slices"][2] == {
        "index": 2,
        "position_mm": 10.0,
        "probability": 0.7,
        "label": "Tumor",
        "area_cm2": 0.6,
    }


@pytest.mark.parametrize(
    ("form", "definition"),
    [(slice_form(REFUSED, INFO), "predict"), (scan_form(REFUSED, INFO), "predict_scan")],
)
def test_an_answer_that_cannot_be_judged_has_a_reason_and_no_probability(
    form: dict, definition: str
) -> None:
    check(form, definition)
    assert (form["label"], form["reason"]) == ("Cannot judge", "color picture")
    assert form["probability"] is form["probabilities"] is form["mask"] is None
    assert form["disclaimer"] == DISCLAIMER


@pytest.mark.parametrize("answer", [scan_answer(), REFUSED])
def test_the_form_of_a_scan_states_the_threshold_fitted_to_scans(answer) -> None:
    info = replace(INFO, scan_weights=(1.0, 1.0, 0.0), scan_threshold=0.6)
    form = scan_form(answer, info)
    assert form["threshold"] == 0.6
    assert form["operating_point"].endswith("on whole scans of validation patients")
    assert slice_form(REFUSED, info)["threshold"] == 0.4


def test_the_schema_rejects_an_answer_without_a_label_or_without_a_reason() -> None:
    form = slice_form(ANSWER, INFO)
    del form["label"]
    with pytest.raises(jsonschema.ValidationError):
        check(form, "predict")
    with pytest.raises(jsonschema.ValidationError):
        check({**slice_form(REFUSED, INFO), "reason": None}, "predict")


@pytest.mark.parametrize("form", [slice_form(ANSWER, INFO), scan_form(scan_answer(), INFO)])
def test_forms_are_plain_json_without_keys_that_gradio_treats_as_files(form: dict) -> None:
    assert json.loads(json.dumps(form)) == form
    assert "path" not in keys(form)


def test_documentation_shows_every_key_of_the_answer() -> None:
    page = (DOCS / "api.md").read_text()
    shown = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL).group(1))
    check(shown, "predict")
    form = slice_form(ANSWER, INFO)
    assert list(shown) == list(form)
    assert list(shown["probabilities"]) == list(form["probabilities"])
    assert list(shown["model"]) == list(form["model"])
    for key in scan_form(scan_answer(), INFO):
        assert f"`{key}`" in page
