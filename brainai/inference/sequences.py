"""The sequences of one slice, as the network takes them together."""

from collections.abc import Iterable, Mapping

import numpy as np

from brainai.data.dataset import MODALITIES
from brainai.data.images import ImageSource, decode, prepare_slice
from brainai.errors import DataError

SPOKEN = {"flair": "FLAIR", "t1c": "T1c", "t2": "T2"}


def stack_sequences(
    sources: Mapping[str, ImageSource | None], size: int, modalities: Iterable[str] = MODALITIES
) -> tuple[np.ndarray, int, int]:
    """One slice as the network sees it: `[3, size, size]` float32 in [0, 1], and its own H and W.

    Channels are FLAIR, T1c, T2; a missing sequence is replaced by FLAIR, as in training.

    Raises:
        DataError: no FLAIR, a sequence the model does not know, or sequences of different sizes.
    """
    unknown = set(sources) - set(MODALITIES)
    if unknown:
        raise DataError(
            f"Expected the sequences {', '.join(MODALITIES)}, found {', '.join(sorted(unknown))}."
        )
    if sources.get("flair") is None:
        raise DataError("FLAIR is missing: the other sequences only add to a FLAIR slice.")
    pixels = {name: decode(sources[name]) for name in MODALITIES if sources.get(name) is not None}
    for name, plane in pixels.items():
        if name not in modalities:
            raise DataError(f"This model was not trained on {SPOKEN[name]}: leave it out.")
        if plane.shape != pixels["flair"].shape:
            raise DataError(
                f"FLAIR is {_size(pixels['flair'])} pixels and {SPOKEN[name]} {_size(plane)}: "
                "bring the same slice of one study in every sequence."
            )
    prepared = {name: prepare_slice(plane, size) for name, plane in pixels.items()}
    planes = np.stack([prepared.get(name, prepared["flair"]) for name in MODALITIES])
    return planes, *pixels["flair"].shape


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"
