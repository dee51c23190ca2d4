"""What programs get: five endpoints. Their forms are described in docs/api.md."""

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
    MAX_SCAN_BYTES,
    MAX_SLICE_BYTES,
    MAX_SLICES,
    SCAN_TURN,
    SLICE_TURN,
)
from brainai.web.reading import Answer, SentSlice, judge_many, judge_slice, read_scans
from brainai.web.uploads import flag, offer, pixel_size, scan_file, uploaded, uploaded_slices

TOLD = (
    "architecture",
    "image_size",
    "label_names",
    "modalities",
    "temperature",
    "threshold",
    "sensitive_threshold",
    "youden_threshold",
    "operating_point",
    "scan_threshold",
)
WEIGHTS_TOLD = ("repository", "revision", "commit", "notice")  # and no folder of the server


def add_endpoints(
    jobs: Jobs, info: ModelInfo, report: dict[str, Any] | None, weights: Fetched
) -> None:
    """Offer the endpoints, within `gr.Blocks`. Names and parameters are part of the interface."""

    def predict(
        flair: FileData,
        t1c: FileData | None = None,
        t2: FileData | None = None,
        pixel_mm: float | None = None,
    ) -> dict[str, Any]:
        """Say whether an axial FLAIR slice of a brain MRI shows tumor. Research and teaching only.

        Args:
            flair: the FLAIR slice: PNG, JPEG, TIFF or another picture, or a DICOM file.
            t1c: the same slice in T1 with contrast.
            t2: the same slice in T2.
            pixel_mm: side of a pixel in mm, to get an area in cm².
        """
        with told():
            side = pixel_size(pixel_mm)
            files = {"flair": uploaded(flair), "t1c": uploaded(t1c), "t2": uploaded(t2)}
            found, sent = judge_slice(jobs, info, files)
            return slice_form(found, info, sent and sent.pixel_mm(side), mask_png(found, sent))

    def predict_scan(
        flair: FileData | list[FileData],
        t1c: FileData | list[FileData] | None = None,
        t2: FileData | list[FileData] | None = None,
    ) -> dict[str, Any]:
        """Say whether a brain MRI scan shows tumor, slice by slice. Research and teaching only.

        Args:
            flair: the FLAIR scan: a NIfTI or MetaImage file, a zip file of a DICOM series, or the
                list of its files.
            t1c: the same examination in T1 with contrast.
            t2: the same examination in T2.
        """
        with told(), ExitStack() as stack:
            sent = {"flair": flair, "t1c": t1c, "t2": t2}
            files = {name: stack.enter_context(scan_file(one)) for name, one in sent.items()}
            try:
                *_, found = jobs.scan(**dict.fromkeys(files) | read_scans(files))
            except OutOfScope as error:
                found = Prediction.refused(error.reason, info)
            return scan_form(found, info, mask_nifti(found))

    def predict_batch(files: list[FileData], masks: bool = False) -> dict[str, Any]:
        """Say for each of many axial FLAIR slices whether it shows tumor. Research and teaching
        only.

        Args:
            files: FLAIR slices.
            masks: whether to give each mask as a file.
        """
        with told():
            wanted = flag(masks, "masks")
            names, slices = uploaded_slices(files)
            answers = [
                batch_item(name, answer, info, sent, wanted)
                for name, (answer, sent) in zip(names, judge_many(jobs, info, slices), strict=True)
            ]
            return {"format_version": ANSWER_FORMAT, "answers": answers, **origin(info)}

    def model_info() -> dict[str, Any]:
        """The model behind the answers: what it takes, its operating point, its figures on test
        patients with intervals, where its weights come from, and the limits of this server."""
        return info_form(info, report, weights)

    def health() -> dict[str, Any]:
        """Whether the server answers."""
        return {"status": "ok", **origin(info)}

    gr.api(predict, api_name="predict", **SLICE_TURN)
    gr.api(predict_scan, api_name="predict_scan", **SCAN_TURN)
    gr.api(predict_batch, api_name="predict_batch", **MANY_TURN)
    gr.api(model_info, api_name="model_info", queue=False)
    gr.api(health, api_name="health", queue=False)


@contextmanager
def told() -> Iterator[None]:
    """Whatever goes wrong inside reaches the caller as a sentence with a code."""
    try:
        yield
    except Exception as error:
        raise to_client(error) from None


def batch_item(
    name: str, answer: Answer, info: ModelInfo, sent: SentSlice | None, masks: bool
) -> dict[str, Any]:
    """One of many answers: the form of a slice with the file's name, or why there is none."""
    if isinstance(answer, DataError):
        return {"file": name, "error": {"code": answer.code, "message": str(answer)}}
    mask = mask_png(answer, sent) if masks else None
    return {"file": name, "error": None, **slice_form(answer, info, mask=mask)}


def info_form(info: ModelInfo, report: dict[str, Any] | None, weights: Fetched) -> dict[str, Any]:
    """The answer of `/model_info`."""
    figures = None
    if report is not None:
        groups = {"all": report["all"], **report["source"]}
        figures = {name: summary["figures"] for name, summary in groups.items()}
    return {
        "format_version": ANSWER_FORMAT,
        **{key: getattr(info, key) for key in TOLD},
        "calibration": fitted(info.calibrated),
        "scope": fitted(info.scope),
        "weights": {key: getattr(weights, key) for key in WEIGHTS_TOLD},
        "limits": {
            "slice_bytes": MAX_SLICE_BYTES,
            "slice_pixels": MAX_PIXELS,
            "slice_least_side": MIN_SIDE,
            "scan_bytes": MAX_SCAN_BYTES,
            "batch_files": MAX_SLICES,
        },
        "figures": figures,
        **origin(info),
    }


def mask_png(found: Prediction, sent: SentSlice | None) -> dict[str, Any] | None:
    """The mask as a file of one bit a pixel, as large as the slice that was sent."""
    if found.mask is None:
        return None
    return offer("mask.png", encoded(mask_picture(found.mask, sent and sent.size)))


def mask_nifti(found: ScanPrediction | Prediction) -> dict[str, Any] | None:
    """The mask of a scan, in the geometry of its file."""
    if found.mask is None:
        return None
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        found.save_mask(Path(folder) / "mask.nii.gz")
        return offer("mask.nii.gz", (Path(folder) / "mask.nii.gz").read_bytes())
