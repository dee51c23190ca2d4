"""Open a case: its slices as they were scanned, with masks. One case at a time in memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from brainai.data.dataset import MODALITIES
from brainai.data.identity import SAME_PIXELS, tcga_ids
from brainai.data.images import decode
from brainai.data.sources import Case
from brainai.data.volumes import Volume, read_volume, resample
from brainai.errors import DataError


@dataclass(frozen=True)
class Study:
    """The pixels of one case.

    sequences: one array `[slices, H, W]` per modality, any number type, as scanned.
    masks: `[slices, H, W]` bool, True in whole tumour; None where no outline was drawn.
    names: further ids of the person, found inside the files.
    """

    modalities: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]
    masks: np.ndarray | None
    pixel_area_mm2: float
    names: tuple[str, ...] = ()

    def slices(self) -> Iterator[tuple[int, tuple[np.ndarray, ...], np.ndarray | None]]:
        """Index, planes `[H, W]` of the modalities, and mask `[H, W]` of every slice."""
        for index in range(len(self.sequences[0])):
            planes = tuple(sequence[index] for sequence in self.sequences)
            yield index, planes, None if self.masks is None else self.masks[index]


def read_study(case: Case) -> Study:
    """Open all files of a case and check them against each other.

    Raises:
        DataError: a file is missing, damaged, of another shape, or has labels of no known meaning.
    """
    if case.source == "lgg":
        return _read_lgg(case)
    if case.source == "folders":
        return _read_picture(case)
    return _read_volumes(case)


def whole_tumor(labels: np.ndarray, case: Case, path: Path) -> np.ndarray:
    """True where the label means tumour in the case's release.

    Raises:
        DataError: a number that the release does not know.
    """
    found = [int(value) if value == int(value) else float(value) for value in np.unique(labels)]
    unknown = sorted(set(found) - {0, *case.release.tumor, *case.release.other})
    if unknown:
        known = ", ".join(map(str, (0, *case.release.tumor, *case.release.other)))
        raise DataError(
            f"{path}: expected the labels of {case.release.name} ({known}), found {unknown}. "
            "Check that this is the segmentation of the case, and of which release."
        )
    return np.isin(labels, case.release.tumor)


def _read_volumes(case: Case) -> Study:
    folder = case.folder
    roles = [role for role, _ in case.files]
    for role, word in (("flair", "FLAIR"), ("seg", "segmentation")):
        if role not in roles:
            raise DataError(
                f"{folder}: expected a file with the {word}, found none. Copy the case again."
            )
    twice = [role for role in set(roles) if roles.count(role) > 1]
    if twice:
        names = ", ".join(path.name for role, path in case.files if role == twice[0])
        raise DataError(f"{folder}: expected one file of {twice[0]}, found {names}. Keep one.")
    flair = read_volume(case.file("flair"))
    _check_not_flat(flair.voxels, case.file("flair"))
    segmentation = read_volume(case.file("seg"))
    _check_shape(segmentation, flair, case)
    masks = whole_tumor(segmentation.voxels, case, case.file("seg"))
    texts = [flair.header_text, segmentation.header_text]
    sequences = {"flair": flair.voxels}
    for modality in MODALITIES[1:]:
        if path := case.file(modality):
            volume = read_volume(path)
            texts.append(volume.header_text)
            voxels = resample(volume, flair).voxels
            _check_not_flat(voxels, path)
            if not np.array_equal(voxels, flair.voxels):
                sequences[modality] = voxels
    return Study(
        modalities=tuple(sequences),
        sequences=tuple(voxels.transpose(2, 1, 0) for voxels in sequences.values()),
        masks=masks.transpose(2, 1, 0),
        pixel_area_mm2=round(float(flair.spacing_mm[0] * flair.spacing_mm[1]), 6),
        names=() if case.source == "phantom" else tcga_ids("\n".join(texts)),
    )


def _check_shape(segmentation: Volume, flair: Volume, case: Case) -> None:
    if segmentation.voxels.shape != flair.voxels.shape:
        raise DataError(
            f"{case.file('seg')}: expected the shape of FLAIR, {flair.voxels.shape}, "
            f"found {segmentation.voxels.shape}. Export the segmentation again on FLAIR's grid."
        )
    # Voxels in the same order belong together, however carelessly the origin was written.
    apart = np.abs(np.subtract(segmentation.origin_mm, flair.origin_mm)).max()
    if segmentation.stored_axes != flair.stored_axes and apart > max(flair.spacing_mm):
        raise DataError(
            f"{case.file('seg')}: expected the place of FLAIR, found by its header {apart:.0f} mm "
            "away. Export the segmentation again on FLAIR's grid."
        )


def _check_not_flat(pixels: np.ndarray, path: Path) -> None:
    if pixels.min() == pixels.max():
        raise DataError(
            f"{path}: expected a scan, found one value, {pixels.flat[0]}, everywhere "
            "(where FLAIR is). Copy it again, or leave the file out."
        )


def _read_lgg(case: Case) -> Study:
    slices = _numbered(case, "slice")
    masks = _numbered(case, "mask")
    folder = case.folder
    if not slices:
        raise DataError(f"{folder}: expected slices, found none. Copy the case again.")
    expected = range(1, max(*slices, *masks, 0) + 1)
    for word, found in (("slice", slices), ("mask", masks)):
        missing = [number for number in expected if number not in found]
        if missing:
            raise DataError(
                f"{folder}: expected a {word} for each of 1 to {len(expected)}, found none for "
                f"{', '.join(map(str, missing[:8]))}. Copy the case again."
            )
    pixels = [_open_tif(slices[number], channels=3) for number in expected]
    outlines = [_open_tif(masks[number], channels=1) for number in expected]
    shape = pixels[0].shape[:2]
    for number, image, outline in zip(expected, pixels, outlines, strict=True):
        for path, array in ((slices[number], image), (masks[number], outline)):
            if array.shape[:2] != shape:
                raise DataError(
                    f"{path}: expected {shape[1]}×{shape[0]} pixels as the case's first slice has, "
                    f"found {array.shape[1]}×{array.shape[0]}. Copy the case again."
                )
    stack = np.stack(pixels)  # [slices, H, W, 3]: T1 before contrast, FLAIR, T1 after contrast
    _check_not_flat(stack[..., 1], folder)
    sequences = {"flair": stack[..., 1]}
    if not np.array_equal(stack[..., 2], stack[..., 1]):  # a missing sequence is FLAIR again
        sequences["t1c"] = stack[..., 2]
    return Study(tuple(sequences), tuple(sequences.values()), _outlines(outlines, folder), 0.0)


def _numbered(case: Case, word: str) -> dict[int, Path]:
    pattern = re.compile(rf"{word} (\d+)")
    return {int(m[1]): path for role, path in case.files if (m := pattern.fullmatch(role))}


def _outlines(outlines: list[np.ndarray], folder: Path) -> np.ndarray:
    stack = np.stack(outlines)
    values = np.unique(stack)
    if len(values) > 2 or (values[0] != 0 and len(values) > 1):
        raise DataError(
            f"{folder}: expected masks of 0 and 255, found {len(values)} values from {values[0]} "
            f"to {values[-1]}. Copy the case again."
        )
    return stack > 0


def _open_tif(path: Path, channels: int) -> np.ndarray:
    """`[H, W]` (one channel) or `[H, W, 3]` uint8; a grey slice is FLAIR alone."""
    try:
        with Image.open(path) as image:
            array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(
            f"{path}: expected a whole TIFF picture, found a damaged one. Copy it again."
        ) from error
    return array


def _read_picture(case: Case) -> Study:
    path = case.file("picture")
    try:
        pixels = decode(path)
    except DataError as error:
        raise DataError(f"{path}: expected a grey slice. {error}") from error
    masks = None if case.label else np.zeros((1, *pixels.shape), bool)
    return Study(("flair",), (pixels[None],), masks, 0.0, (_same_pixels(pixels),))


def _same_pixels(pixels: np.ndarray) -> str:
    """A name for whoever is in this picture: two files with equal pixels are one person."""
    return SAME_PIXELS + sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
