"""Write a mask as a DICOM SEG that OHIF, 3D Slicer and PACS viewers show over its series.

highdicom writes the file, and pydicom reads the header values of the series that a SEG must repeat.
Both packages are optional.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation

from brainai import __version__
from brainai.data.dicom import Series, choose_series
from brainai.data.file_names import readable_names
from brainai.data.packed import unpack
from brainai.data.scans import MAX_FILES, MAX_UNPACKED_BYTES
from brainai.data.volumes import GRID_TOLERANCE_MM, Grid, oriented
from brainai.data.voxels import Stored
from brainai.errors import DataError

CALLED = "The DICOM series"
SERIES_NAME = "BrainAI outline: research only, not for diagnosis"  # 64 characters at most, each
CONTENT = "Tumor outline for research and teaching, not for diagnosis"
SEGMENT = "Tumor, estimated by BrainAI (research only)"
REFERRED = (
    "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID",
)  # fmt: skip
MAY_BE_EMPTY = (  # a SEG must contain these elements, possibly empty
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime",
)  # fmt: skip
SERIES_NUMBERS = 1000  # added to the number of the series to get that of the SEG


def write_dicom_seg(path: Path, mask: np.ndarray, grid: Grid, series: Path) -> None:
    """Write a mask as a binary DICOM SEG with one segment.

    The SEG refers to the slices of the series and belongs to their study. It therefore repeats
    what their headers say about the patient. The file appears complete or not at all.

    Args:
        path: the file to write.
        mask: `[X, Y, Z]` bool in LPS orientation, of the grid's shape.
        grid: the geometry of the volume that was read from the series.
        series: the folder of the series that was judged, or the zip file of it.
    Raises:
        DataError: highdicom is not installed, the series is not the one that was judged, it lacks
            values that a SEG refers to, or the path cannot be written to.
    """
    with _files(series) as files, readable_names(files) as readable:
        chosen = choose_series(readable, CALLED, expect_flair=True)
        _check_place(chosen, grid)
        segmentation = _segmentation(_sources(chosen), _planes(mask, chosen))
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        segmentation.save_as(partial)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f"{path}: expected a path that the mask can be written to, but writing failed. Choose "
            "another folder or free some space."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _files(series: Path) -> Iterator[list[Path]]:
    """Yield the files of a folder or of an unpacked zip file, which the block may read."""
    if series.is_dir():
        yield _all_files(series)
    elif series.is_file() and series.name.lower().endswith(".zip"):
        with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
            unpack(series, Path(folder), CALLED, MAX_FILES, MAX_UNPACKED_BYTES)
            yield _all_files(Path(folder))
    else:
        raise DataError(
            f"{series}: expected the folder or the zip file of the DICOM series that was judged, "
            "found neither. For scans in other formats, write the mask with save_mask."
        )


def _all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _check_place(chosen: Series, grid: Grid) -> None:
    """Raise DataError unless the series has the geometry of the volume that was judged."""
    shape = (*chosen.slices[0].shape, len(chosen.slices))
    actual = oriented(Stored(np.broadcast_to(False, shape), chosen.affine, ""), CALLED).grid
    if actual.shape != grid.shape or not all(
        np.allclose(numbers, expected, rtol=0, atol=GRID_TOLERANCE_MM)
        for numbers, expected in (
            (actual.spacing_mm, grid.spacing_mm),
            (actual.origin_mm, grid.origin_mm),
            (actual.direction, grid.direction),
        )
    ):
        raise DataError(
            f"{CALLED}: expected the series that was judged, found one with another place or size. "
            "Name the folder that was given to predict_scan."
        )


def _planes(mask: np.ndarray, chosen: Series) -> np.ndarray:
    """Return the mask in the geometry of the series, `[Z, H, W]` bool. This undoes `oriented`."""
    turn = io_orientation(chosen.affine)
    stored = mask.transpose(turn[:, 0].astype(int))
    stored = np.flip(stored, tuple(axis for axis in range(3) if turn[axis, 1] < 0))
    return np.ascontiguousarray(stored.transpose(2, 1, 0))


def _sources(chosen: Series) -> list[Any]:
    """Return the headers of the slices, `pydicom.Dataset`, with all elements that a SEG needs.

    Raises:
        DataError: pydicom is not installed, or the headers lack values that a SEG refers to.
    """
    try:
        import pydicom  # noqa: PLC0415 -- an optional package that only this function needs
    except ImportError as error:
        raise _missing_package() from error
    sources = [
        pydicom.dcmread(found.path, stop_before_pixels=True, force=True) for found in chosen.slices
    ]
    lacking = [word for word in REFERRED if not all(source.get(word) for source in sources)]
    if lacking:
        raise DataError(
            f"{CALLED}: expected headers with all values that a DICOM SEG refers to, but "
            f"{', '.join(lacking)} is missing. Write the mask with save_mask, or export the series "
            "unchanged from the scanner."
        )
    if len({source.SOPInstanceUID for source in sources}) < len(sources):
        raise DataError(
            f"{CALLED}: expected a different SOPInstanceUID in each file, because a DICOM SEG "
            "refers to the files by it, but several files share one. Write the mask with save_mask."
        )
    for source in sources:
        for word in MAY_BE_EMPTY:
            if word not in source:
                setattr(source, word, None)
        if source.PatientSex not in ("M", "F", "O"):
            source.PatientSex = None
        if not source.get("SliceThickness"):
            source.SliceThickness = round(float(np.linalg.norm(chosen.affine[:3, 2])), 4)
    return sources


def _segmentation(sources: Sequence[Any], planes: np.ndarray) -> Any:
    """Return the `highdicom.seg.Segmentation` of planes `[Z, H, W]` bool over the slices.

    Raises:
        DataError: highdicom is not installed, or it cannot make a SEG from these headers.
    """
    try:
        import highdicom  # noqa: PLC0415 -- an optional package that only this function needs
        from pydicom.sr.codedict import codes  # noqa: PLC0415
        from pydicom.uid import ExplicitVRLittleEndian  # noqa: PLC0415
    except ImportError as error:
        raise _missing_package() from error
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=SEGMENT,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            "BrainAI", codes.DCM.ArtificialIntelligence, __version__
        ),
        anatomic_regions=[codes.SCT.Brain],
    )
    try:
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=planes.astype(np.uint8),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[segment],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBERS + int(sources[0].get("SeriesNumber") or 0),
            series_description=SERIES_NAME,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="BrainAI",
            manufacturer_model_name="BrainAI",
            software_versions=__version__,
            device_serial_number="none",
            content_label="RESEARCH_ONLY",
            content_description=CONTENT,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
    except (AttributeError, KeyError, TypeError, ValueError):  # not chained: they quote headers
        raise DataError(
            f"{CALLED}: expected headers that a DICOM SEG can repeat, found some with values that "
            "are not allowed in one. Write the mask with save_mask."
        ) from None


def _missing_package() -> DataError:
    return DataError(
        "Writing a DICOM SEG requires the package highdicom, which is not installed. Install it "
        "with: pip install highdicom"
    )
