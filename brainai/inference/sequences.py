"""FLAIR, T1c and T2 brought together, of one slice and of one examination."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from brainai.data.dataset import MODALITIES
from brainai.data.images import MAX_PIXELS, ImageSource, prepare_slice
from brainai.data.scans import read_scan
from brainai.data.slices import open_slice
from brainai.data.volumes import MAX_PIXEL_MM, Volume, resample
from brainai.errors import DataError, OutOfScope

MASK_LEVEL = 0.5  # a pixel belongs to the mask from this probability on
SPOKEN = {"flair": "FLAIR", "t1c": "T1c", "t2": "T2"}
MAX_PIXEL_RATIO = 8.0  # of its sides: a slice is drawn in square pixels, and may not become huge
MAX_SLICES = 1000  # each is judged

ScanSource: TypeAlias = str | Path | Volume


def stack_sequences(
    sources: Mapping[str, ImageSource | None], size: int, modalities: Iterable[str] = MODALITIES
) -> tuple[np.ndarray, int, int]:
    """One slice as the network sees it: `[3, size, size]` float32 in [0, 1], and its own H and W.

    Channels are FLAIR, T1c, T2; a missing sequence is replaced by FLAIR, as in training.

    Raises:
        OutOfScope: one of them can be read, and is nothing to be judged.
        DataError: no FLAIR, a sequence the model does not know, or sequences of different sizes.
    """
    unknown = set(sources) - set(MODALITIES)
    if unknown:
        raise DataError(
            f"Expected the sequences {', '.join(MODALITIES)}, found {', '.join(sorted(unknown))}."
        )
    if sources.get("flair") is None:
        raise DataError(
            "FLAIR is missing: the other sequences only add to a FLAIR slice.", "missing_flair"
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
                "bring the same slice of one study in every sequence.",
                "sequences_differ",
            )
    prepared = {name: prepare_slice(plane, size) for name, plane in pixels.items()}
    planes = np.stack([prepared.get(name, prepared["flair"]) for name in MODALITIES])
    return planes, *pixels["flair"].shape


def open_sequences(
    sources: Mapping[str, ScanSource | None], modalities: tuple[str, ...]
) -> dict[str, Volume]:
    """The sequences of one examination, all on FLAIR's voxels.

    Raises:
        DataError: FLAIR is missing, the model does not know a sequence, one lies elsewhere, or a
            scan cannot be judged; the message is fit for a visitor.
    """
    given = {name: sources[name] for name in MODALITIES if sources.get(name) is not None}
    if "flair" not in given:
        raise DataError(
            "FLAIR is missing: bring the FLAIR scan, the others only add to it.", "missing_flair"
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
                    f"{SPOKEN[name]} does not overlap FLAIR by its header: bring sequences of one "
                    "examination, or FLAIR alone.",
                    "sequences_differ",
                )
        volumes[name] = volume
    return volumes


def _decode(source: ImageSource, name: str) -> np.ndarray:
    try:
        return open_slice(source, expect_flair=name == "flair")
    except OutOfScope as error:
        if name == "flair":
            raise
        spoken = SPOKEN[name]
        raise OutOfScope(f"{spoken}: {error}", f"{spoken}: {error.reason}") from error


def _read(source: str | Path, name: str) -> Volume:
    return read_scan(source, SPOKEN[name], expect_flair=name == "flair")


def _check_axial(volume: Volume) -> None:
    """Raises DataError where there are too many slices, where their pixels are no pixels, or where
    axial slices would be cut across thick slices of another direction."""
    x, y, _ = volume.spacing_mm
    slices = volume.voxels.shape[2]
    if slices > MAX_SLICES:
        raise DataError(
            f"FLAIR: expected at most {MAX_SLICES} axial slices, found {slices}. "
            "Resample it to thicker ones.",
            "too_large",
        )
    width, height, _ = volume.voxels.shape
    ratio = max(x, y) / min(x, y)
    if ratio > MAX_PIXEL_RATIO or width * height * ratio > MAX_PIXELS:
        raise DataError(
            f"FLAIR: expected slices of about square pixels, found {width} × {height} of "
            f"{x:g} × {y:g} mm. Bring the scan as the scanner made it."
        )
    if max(x, y) > MAX_PIXEL_MM:
        way = "sagittal" if x > y else "coronal"
        raise DataError(
            f"FLAIR: expected axial slices with pixels of at most {MAX_PIXEL_MM} mm, found "
            f"{x:.1f} × {y:.1f} mm, as in a scan of thick {way} slices. "
            "Bring an axial or a 3D scan."
        )


def _unknown_sequence(name: str) -> DataError:
    return DataError(
        f"This model was not trained on {SPOKEN[name]}: leave it out.", "unknown_sequence"
    )


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"
