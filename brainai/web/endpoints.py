"""The five endpoints for programs. docs/api.md describes their answers."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import FileData

from brainai.data.images import MAX_PIXELS, MIN_SIDE
from brainai.errors import DataError, OutOfScope
from brainai.inference.classifier import Prediction
from brainai.inference.figures import mask_picture
from brainai.inference.forms import ANSWER_FORMAT, origin, scan_form, slice_form
from brainai.inference.scan import ScanPrediction
from brainai.model.fetch import Fetched
from brainai.model.folder import ModelInfo
from brainai.web.about_page import fitted
from brainai.web.embed import encoded
from brainai.web.faults import to_client
from brainai.web.jobs import Jobs
from brainai.web.limits import (
    MANY_TURN,
    MAX_BATCH_FILES,
    MAX_SCAN_BYTES,
    MAX_SLICE_BYTES,
    SCAN_TURN,
    SLICE_TURN,
)
from brainai.web.reading import PredictionOrError, SentSlice, judge_many, judge_slice, read_scans
from brainai.web.uploads import flag, offer, pixel_size, scan_file, uploaded, uploaded_slices

INFO_KEYS = (  # of `ModelInfo`
    "architecture",
    "image_size",
    "label_names",
    "modalities",
    "threshold",
    "sensitive_threshold",
    "youden_threshold",
    "operating_point",
    "scan_threshold",
    "neighbor_threshold",
)
WEIGHTS_KEYS = ("repository", "revision", "commit", "notice")  # of `Fetched`, without its folder


def add_endpoints(
    jobs: Jobs, info: ModelInfo, report: dict[str, Any] | None, weights: Fetched
) -> None:
    """Add the endpoints; call it within `gr.Blocks`.

    The names of the endpoints and of their parameters are part of the API. The docstrings are
    shown to programs and language models.
    """

    def predict(
        flair: FileData,
        t1c: FileData | None = None,
        t2: FileData | None = None,
        pixel_mm: float | None = None,
    ) -> dict[str, Any]:
        """Say whether an axial FLAIR slice of a brain MRI shows a tumor. Research and teaching
        only.

        Args:
            flair: the FLAIR slice: PNG, JPEG, TIFF or another picture, or a DICOM file.
            t1c: the same slice in T1 with contrast.
            t2: the same slice in T2.
            pixel_mm: side of a pixel in mm, to get an area in cm²; by default, that of the
                header of a DICOM file.
        """
        with errors_for_client():
            side = pixel_size(pixel_mm)
            files = {"flair": uploaded(flair), "t1c": uploaded(t1c), "t2": uploaded(t2)}
            answer, sent = judge_slice(jobs, info, files)
            return slice_form(answer, info, sent and sent.pixel_mm(side), mask_png(answer, sent))

    def predict_scan(
        flair: FileData | list[FileData],
        t1c: FileData | list[FileData] | None = None,
        t2: FileData | list[FileData] | None = None,
    ) -> dict[str, Any]:
        """Say whether a brain MRI scan shows a tumor, for the scan and for each slice. Research and
        teaching only.

        Args:
            flair: the FLAIR scan: a NIfTI or MetaImage file, a zip file of a DICOM series, or the
                list of the files of a series.
            t1c: the same examination in T1 with contrast.
            t2: the same examination in T2.
        """
        with errors_for_client(), ExitStack() as stack:
            sent = {"flair": flair, "t1c": t1c, "t2": t2}
            files = {name: stack.enter_context(scan_file(file)) for name, file in sent.items()}
            answer: ScanPrediction | Prediction
            try:
                steps = jobs.scan(**dict.fromkeys(files) | read_scans(files))
                (answer,) = (step for step in steps if isinstance(step, ScanPrediction))
            except OutOfScope as error:
                answer = Prediction.refused(error.reason, info)
            return scan_form(answer, info, mask_nifti(answer))

    def predict_batch(files: list[FileData], masks: bool = False) -> dict[str, Any]:
        """Say for each of many axial FLAIR slices whether it shows a tumor. Research and teaching
        only.

        Args:
            files: FLAIR slices.
            masks: whether each answer has its mask as a file.
        """
        with errors_for_client():
            wanted = flag(masks, "masks")
            names, slices = uploaded_slices(files)
            answers = [
                batch_item(name, answer, info, sent, wanted)
                for name, (answer, sent) in zip(names, judge_many(jobs, info, slices), strict=True)
            ]
            return {"format_version": ANSWER_FORMAT, "answers": answers, **origin(info)}

    def model_info() -> dict[str, Any]:
        """Return the facts about the model: its inputs, its operating point, its figures on test
        patients with intervals, where its weights come from, and the limits of this server."""
        return info_form(info, report, weights)

    def health() -> dict[str, Any]:
        """Say whether the server answers."""
        return {"status": "ok", **origin(info)}

    gr.api(predict, api_name="predict", **SLICE_TURN)
    gr.api(predict_scan, api_name="predict_scan", **SCAN_TURN)
    gr.api(predict_batch, api_name="predict_batch", **MANY_TURN)
    gr.api(model_info, api_name="model_info", queue=False)
    gr.api(health, api_name="health", queue=False)


@contextmanager
def errors_for_client() -> Iterator[None]:
    """Raise each error inside the block as a sentence with a code for the client."""
    try:
        yield
    except Exception as error:
        raise to_client(error) from None


def batch_item(
    name: str, answer: PredictionOrError, info: ModelInfo, sent: SentSlice | None, masks: bool
) -> dict[str, Any]:
    """Return one answer of `/predict_batch`: that of a slice with the file's name, or an error."""
    if isinstance(answer, DataError):
        return {"file": name, "error": {"code": answer.code, "message": str(answer)}}
    mask = mask_png(answer, sent) if masks else None
    return {"file": name, "error": None, **slice_form(answer, info, mask=mask)}


def info_form(info: ModelInfo, report: dict[str, Any] | None, weights: Fetched) -> dict[str, Any]:
    """Return the answer of `/model_info`."""
    figures = None
    if report is not None:
        groups = {"all": report["all"], **report["source"]}
        figures = {name: summary["figures"] for name, summary in groups.items()}
    return {
        "format_version": ANSWER_FORMAT,
        **{key: getattr(info, key) for key in INFO_KEYS},
        "calibration": fitted(info.calibrated),
        "scope": fitted(info.scope),
        "weights": {key: getattr(weights, key) for key in WEIGHTS_KEYS},
        "limits": {
            "slice_bytes": MAX_SLICE_BYTES,
            "slice_pixels": MAX_PIXELS,
            "slice_least_side": MIN_SIDE,
            "scan_bytes": MAX_SCAN_BYTES,
            "batch_files": MAX_BATCH_FILES,
        },
        "figures": figures,
        **origin(info),
    }


def mask_png(answer: Prediction, sent: SentSlice | None) -> dict[str, Any] | None:
    """Return the mask as a PNG file with one bit per pixel, as large as the slice that was sent."""
    if answer.mask is None:
        return None
    return offer("mask.png", encoded(mask_picture(answer.mask, sent and sent.size)))


def mask_nifti(answer: ScanPrediction | Prediction) -> dict[str, Any] | None:
    """Return the mask of a scan as a NIfTI file in the geometry of the scan."""
    if isinstance(answer, Prediction) or answer.mask is None:
        return None
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        answer.save_mask(Path(folder) / "mask.nii.gz")
        return offer("mask.nii.gz", (Path(folder) / "mask.nii.gz").read_bytes())
