"""Read a case from picture files: an LGG case, a picture with its mask, or a single picture."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from brainai.data.cases import Case, Study, check_not_flat, check_once
from brainai.data.identity import same_pixels
from brainai.data.images import decode
from brainai.data.kinds import no_slice
from brainai.errors import DataError


def read_lgg(case: Case) -> Study:
    """Read FLAIR, T1c if there is one, and the masks of all slices of an LGG case.

    The area of a pixel is unknown.

    Raises:
        DataError: a slice or mask is missing, damaged or of another size, FLAIR has the same value
            everywhere, or masks have more than two values.
    """
    slices = _numbered(case, "slice")
    masks = _numbered(case, "mask")
    folder = case.folder
    if not slices:
        raise DataError(f"{folder}: expected slices, found none. Copy the case again.")
    expected = range(1, max(*slices, *masks, 0) + 1)
    for role, files in (("slice", slices), ("mask", masks)):
        missing = [number for number in expected if number not in files]
        if missing:
            raise DataError(
                f"{folder}: expected a {role} for each number from 1 to {len(expected)}, found "
                f"none for {', '.join(map(str, missing[:8]))}. Copy the case again."
            )
    pixels = [_open_picture(slices[number], channels=3) for number in expected]
    outlines = [_open_picture(masks[number], channels=1) for number in expected]
    shape = pixels[0].shape[:2]
    for number, image, outline in zip(expected, pixels, outlines, strict=True):
        for path, array in ((slices[number], image), (masks[number], outline)):
            if array.shape[:2] != shape:
                raise DataError(
                    f"{path}: expected {shape[1]}×{shape[0]} pixels, as in the first slice of the "
                    f"case, found {array.shape[1]}×{array.shape[0]}. Copy the case again."
                )
    stack = np.stack(pixels)  # [slices, H, W, 3]: T1 before contrast, FLAIR, T1 after contrast
    check_not_flat(stack[..., 1], folder)
    sequences = {"flair": stack[..., 1]}
    if not np.array_equal(stack[..., 2], stack[..., 1]):  # FLAIR stands in for a missing sequence
        sequences["t1c"] = stack[..., 2]
    return Study(tuple(sequences), tuple(sequences.values()), _outlines(outlines, folder), 0.0)


def _numbered(case: Case, role: str) -> dict[int, Path]:
    """Return the files of a role, such as "slice", by their number."""
    pattern = re.compile(rf"{role} (\d+)")
    return {int(m[1]): path for name, path in case.files if (m := pattern.fullmatch(name))}


def _outlines(outlines: list[np.ndarray], folder: Path) -> np.ndarray:
    stack = np.stack(outlines)
    values = np.unique(stack)
    if len(values) > 2 or (values[0] != 0 and len(values) > 1):
        raise DataError(
            f"{folder}: expected masks of 0 and 255, found {len(values)} values from {values[0]} "
            f"to {values[-1]}. Copy the case again."
        )
    return stack > 0


def _open_picture(path: Path, channels: int) -> np.ndarray:
    """Read `[H, W]` (one channel) or `[H, W, 3]` uint8. In a gray slice all channels are FLAIR."""
    try:
        with Image.open(path) as image:
            array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        kind = no_slice(path)
        found = f"another kind of file. {kind}" if kind else "a damaged one. Copy it again."
        raise DataError(f"{path}: expected a complete picture, found {found}") from error
    return array


def read_pair(case: Case) -> Study:
    """Read one slice with its mask.

    Raises:
        DataError: the mask is missing, exists twice, has another size than the slice or more than
            two values, or a file is damaged.
    """
    picture, path = case.the_file("picture"), case.file("mask")
    if path is None:
        raise DataError(
            f"{picture}: expected a mask of the same name in the folder masks, found none. "
            "Add the mask, or remove the picture."
        )
    check_once(case)
    pixels, mask = _decode(picture), _open_picture(path, channels=1)
    if mask.shape != pixels.shape:
        raise DataError(
            f"{path}: expected {pixels.shape[1]}×{pixels.shape[0]} pixels, as in its picture, "
            f"found {mask.shape[1]}×{mask.shape[0]}. Export the mask again."
        )
    if path.suffix.lower() in (".jpg", ".jpeg"):  # JPEG compression blurs the border of a mask
        mask = (mask > 127).astype(np.uint8)
    masks = _outlines([mask], path)
    return Study(("flair",), (pixels[None],), masks, 0.0, (same_pixels(pixels),))


def read_picture(case: Case) -> Study:
    """Read one slice of a class folder. It has no mask if it shows a tumor.

    Raises:
        DataError: the file is damaged, or it is not a gray slice.
    """
    pixels = _decode(case.the_file("picture"))
    masks = None if case.label else np.zeros((1, *pixels.shape), bool)
    return Study(("flair",), (pixels[None],), masks, 0.0, (same_pixels(pixels),))


def _decode(path: Path) -> np.ndarray:
    try:
        return decode(path)
    except DataError as error:
        raise DataError(f"{path}: expected a gray slice. {error}") from error
