"""What programs get: the JSON of `/predict`. Its form is documented in docs/api.md; keep both true.

A change that breaks a caller (a key gone or renamed, another meaning) raises FORMAT_VERSION; a new
key does not. No key may be called "path": Gradio's client would take its value for a file.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gradio as gr
from gradio.utils import get_upload_folder, is_in_or_equal

from brainai import DISCLAIMER, __version__
from brainai.errors import DataError
from brainai.inference.classifier import Prediction
from brainai.model.folder import ModelInfo

FORMAT_VERSION = 2
DIGITS = 6  # of a probability

# Gradio's own preprocessing would open the file: it fails on a damaged one before any sentence of
# ours, and flattens 16 bit to white. Without it the file comes as it was sent.
AS_UPLOADED = {"preprocess": False, "concurrency_id": "network"}

Predict: TypeAlias = Callable[..., Prediction]
Upload: TypeAlias = Mapping[str, Any] | None


def to_json(prediction: Prediction, info: ModelInfo) -> dict:
    """The answer for one slice, of plain types only."""
    probability, both = prediction.probability, None
    if probability is not None:
        probability = round(probability, DIGITS)
        both = dict(
            zip(info.label_names, (round(1 - probability, DIGITS), probability), strict=True)
        )
    return {
        "format_version": FORMAT_VERSION,
        "label": prediction.label,
        "probability": probability,
        "probabilities": both,
        "threshold": prediction.threshold,
        "operating_point": info.operating_point,
        "reason": prediction.reason,
        "model": {"id": info.name, "revision": info.revision},
        "version": __version__,
        "disclaimer": DISCLAIMER,
    }


def predict_endpoint(predict: Predict, info: ModelInfo) -> Callable[..., dict]:
    """The function behind `/predict`; its parameters' names are part of the interface."""

    def answer(flair: Upload, t1c: Upload = None, t2: Upload = None) -> dict:
        try:
            prediction = predict(uploaded(flair), t1c=uploaded(t1c), t2=uploaded(t2))
        except DataError as error:
            raise gr.Error(str(error), title="Cannot judge", print_exception=False) from None
        return to_json(prediction, info)

    return answer


def uploaded(upload: Upload) -> str | None:
    """The file of an upload, or None.

    Raises:
        DataError: it is none. Gradio checks only what calls itself an upload; a request that names
            a file without doing so would have any file of the server read, another visitor's too.
    """
    file = None if upload is None else upload["path"]
    if file is not None and not is_in_or_equal(file, get_upload_folder()):
        raise DataError("Expected an uploaded picture: send the file itself.")
    return file
