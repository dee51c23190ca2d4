"""Combine FLAIR, T1c and T2 of a slice or of an examination."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from brainai.data.dataset import MODALITIES
from brainai.data.images import MAX_PIXELS, ImageSource, prepare_slice
from brainai.data.scans import read_scan
from brainai.data.slices import open_slice
from brainai.data.volumes import MAX_AXIAL_PIXEL_MM, Volume, resample
from brainai.errors import DataError, OutOfScope

MASK_LEVEL = 0.5  # smallest probability of a pixel of the mask
SPOKEN = {"flair": "FLAIR", "t1c": "T1c", "t2": "T2"}
MAX_PIXEL_RATIO = 8.0  # of the sides of a pixel; resampling to square pixels enlarges the slice
MAX_SLICES = 1000  # of a scan, because each slice is judged

ScanSource: TypeAlias = str | Path | Volume


def stack_sequences(
    sources: Mapping[str, ImageSource | None], size: int, modalities: Iterable[str] = MODALITIES
) -> tuple[np.ndarray, int, int]:
    """Return a slice as network input, `[3, size, size]` float32 in [0, 1], and its H and W.

    Channels are FLAIR, T1c, T2. FLAIR replaces a missing sequence, as in training.

    Raises:
        OutOfScope: a picture can be read but is out of scope.
        DataError: FLAIR is missing, the model does not know a sequence, or sizes differ.
    """
    unknown = set(sources) - set(MODALITIES)
    if unknown:
        raise DataError(
            f"Expected the sequences {', '.join(MODALITIES)}, found {', '.join(sorted(unknown))}."
        )
    if sources.get("flair") is None:
        raise DataError(
            "FLAIR is missing: a FLAIR slice is required, the other sequences are optional.",
            "missing_flair",
        )
    pixels = {
        name: _decode(sources[name], name) for name in MODALITIES if sources.get(name) is not None
    }
    for name, plane in pixels.items():
        if name not in modalities:
            raise _unknown_sequence(name)
        if plane.shape != pixels["flair"].shape:
            raise DataError(
                f"FLAIR is {_size(pixels['flair'])} pixels and {SPOKEN[name]} {_size(plane)}: "
                "bring the same slice of the same study in every sequence.",
                "sequences_differ",
            )
    prepared = {name: prepare_slice(plane, size) for name, plane in pixels.items()}
    planes = np.stack([prepared.get(name, prepared["flair"]) for name in MODALITIES])
    return planes, *pixels["flair"].shape


def open_sequences(
    sources: Mapping[str, ScanSource | None], modalities: tuple[str, ...]
) -> dict[str, Volume]:
    """Return the sequences of an examination, all on the voxels of FLAIR.

    Raises:
        OutOfScope: the DICOM header of FLAIR says that it is another sequence.
        DataError: FLAIR is missing, the model does not know a sequence, a sequence does not overlap
            FLAIR, or a scan cannot be judged; the message can be shown to visitors.
    """
    given = {name: source for name in MODALITIES if (source := sources.get(name)) is not None}
    if "flair" not in given:
        raise DataError(
            "FLAIR is missing: a FLAIR scan is required, the other sequences are optional.",
            "missing_flair",
        )
    for name in given:
        if name not in modalities:
            raise _unknown_sequence(name)
    volumes: dict[str, Volume] = {}
    for name, source in given.items():
        volume = source if isinstance(source, Volume) else _read(source, name)
        if name == "flair":
            _check_axial(volume)
        else:
            volume = resample(volume, volumes["flair"])
            if not volume.voxels.any():
                raise DataError(
                    f"{SPOKEN[name]} does not overlap FLAIR by its header: bring sequences of the "
                    "same examination, or FLAIR alone.",
                    "sequences_differ",
                )
        volumes[name] = volume
    return volumes


def _decode(source: ImageSource, name: str) -> np.ndarray:
    try:
        return open_slice(source, expect_flair=name == "flair").pixels
    except OutOfScope as error:
        if name == "flair":
            raise
        spoken = SPOKEN[name]
        raise OutOfScope(f"{spoken}: {error}", f"{spoken}: {error.reason}") from error


def _read(source: str | Path, name: str) -> Volume:
    return read_scan(source, SPOKEN[name], expect_flair=name == "flair")


def _check_axial(volume: Volume) -> None:
    """Check number and pixel size of the axial slices.

    Raises:
        DataError: there are too many slices, pixels are too elongated, or axial slices would be cut
            across thick sagittal or coronal slices.
    """
    x, y, _ = volume.spacing_mm
    slices = volume.voxels.shape[2]
    if slices > MAX_SLICES:
        raise DataError(
            f"FLAIR: expected at most {MAX_SLICES} axial slices, found {slices}. "
            "Resample the scan to thicker slices.",
            "too_large",
        )
    width, height, _ = volume.voxels.shape
    ratio = max(x, y) / min(x, y)
    if ratio > MAX_PIXEL_RATIO or width * height * ratio > MAX_PIXELS:
        raise DataError(
            f"FLAIR: expected slices with about square pixels, found {width} × {height} pixels of "
            f"{x:g} × {y:g} mm. Bring the scan as the scanner saved it."
        )
    if max(x, y) > MAX_AXIAL_PIXEL_MM:
        plane = "sagittal" if x > y else "coronal"
        raise DataError(
            f"FLAIR: expected axial slices with pixels of at most {MAX_AXIAL_PIXEL_MM} mm, found "
            f"{x:.1f} × {y:.1f} mm, as in a scan of thick {plane} slices. "
            "Bring an axial or a 3D scan."
        )


def _unknown_sequence(name: str) -> DataError:
    return DataError(f"This model was not trained on {SPOKEN[name]}: omit it.", "unknown_sequence")


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"
