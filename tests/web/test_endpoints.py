"""The JSON of `/predict`: its form, and that the documentation shows this form."""

import json
import re
from pathlib import Path

import gradio as gr
import pytest

from brainai import DISCLAIMER, __version__
from brainai.errors import DataError
from brainai.inference.classifier import Prediction
from brainai.model.folder import ModelInfo
from brainai.web.endpoints import predict_endpoint, to_json, uploaded

INFO = ModelInfo(
    name="brainai-resnet50",
    revision="0123456789ab",
    operating_point="sensitivity of at least 95%",
)
ANSWER = Prediction("Tumor", probability=0.87654321, threshold=0.4, mask=None, heatmap=None)


def keys(value: object) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [k for key, inner in value.items() for k in (key, *keys(inner))]


def test_form_of_the_answer():
    assert to_json(ANSWER, INFO) == {
        "format_version": 2,
        "label": "Tumor",
        "probability": 0.876543,
        "probabilities": {"No Tumor": 0.123457, "Tumor": 0.876543},
        "threshold": 0.4,
        "operating_point": "sensitivity of at least 95%",
        "reason": None,
        "model": {"id": "brainai-resnet50", "revision": "0123456789ab"},
        "version": __version__,
        "disclaimer": DISCLAIMER,
    }


def test_what_cannot_be_judged_has_a_reason_and_no_probability():
    refused = Prediction("Cannot judge", None, 0.4, None, None, reason="colour picture")
    answer = to_json(refused, INFO)
    assert (answer["label"], answer["reason"]) == ("Cannot judge", "colour picture")
    assert answer["probability"] is None
    assert answer["probabilities"] is None
    assert answer["disclaimer"] == DISCLAIMER
    assert json.loads(json.dumps(answer)) == answer


def test_answer_is_plain_json_without_a_key_that_gradio_takes_for_a_file():
    answer = to_json(ANSWER, INFO)
    assert json.loads(json.dumps(answer)) == answer
    assert "path" not in keys(answer)


def test_documentation_shows_every_key_of_the_answer():
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    shown = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL).group(1))
    assert keys(shown) == keys(to_json(ANSWER, INFO))


@pytest.mark.parametrize("name", ["outside.png", "uploads/../outside.png", "/etc/hostname"])
def test_only_files_in_the_folder_of_uploads_are_uploads(uploads, name):
    with pytest.raises(DataError, match="Expected an uploaded picture"):
        uploaded({"path": str(uploads.parent / name)})


def test_no_upload_is_no_file(uploads):
    assert uploaded(None) is None
    assert uploaded({"path": None}) is None
    assert uploaded({"path": str(uploads / "a" / "b.png")}) == str(uploads / "a" / "b.png")


def test_a_picture_that_cannot_be_judged_becomes_an_error_with_its_sentence(uploads):
    def refuse(*_, **__):
        raise DataError("This is a colour picture: bring a grey FLAIR slice.")

    with pytest.raises(gr.Error, match="colour picture") as caught:
        predict_endpoint(refuse, INFO)({"path": str(uploads / "x.png")})
    assert not caught.value.print_exception
