"""The one way from pixels to network input, used by prepare, training, evaluation, app and API.

decode → window → fit. Per slice, because a visitor's picture has no volume around it.
No torch in here: workers that prepare data do not need it.
"""

import io
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from brainai.errors import DataError, OutOfScope

ImageSource: TypeAlias = str | Path | bytes | Image.Image | np.ndarray

# Only these: Pillow would hand an EPS file to another program, and has many rare decoders beside.
FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "WEBP", "BMP", "GIF", "PPM")
MAX_PIXELS = 32_000_000
MIN_SIDE = 32
COLOUR_TOLERANCE = 10.0  # mean spread of R, G and B, of 255: lossy grey pictures have some
MEAN = (0.485, 0.456, 0.406)  # of ImageNet: its weights are where training starts by default
STD = (0.229, 0.224, 0.225)


def decode(source: ImageSource) -> np.ndarray:
    """One grey slice as it was stored, `[H, W]` float32 in the units of the file.

    Takes a path, the bytes of a file, a PIL image, or an array `[H, W]` or `[H, W, 1|3|4]`.
    8, 16 and 32 bit, float, palette and transparent pictures keep their full depth.

    Raises:
        OutOfScope: several frames, a colour picture, or a flat one.
        DataError: no picture, too large or too small.
    """
    pixels = _grey(source) if isinstance(source, np.ndarray) else _pixels(source)
    height, width = pixels.shape
    if min(height, width) < MIN_SIDE:
        raise DataError(
            f"The picture is {width}×{height} pixels, too small to judge: "
            f"bring a slice of at least {MIN_SIDE}×{MIN_SIDE}.",
            "too_small",
        )
    if height * width > MAX_PIXELS:
        raise _too_large(width, height)
    finite = np.isfinite(pixels)
    if not finite.any() or np.ptp(pixels[finite]) == 0:
        raise OutOfScope("The picture is empty: every pixel has the same value.", "empty picture")
    return np.where(finite, pixels, pixels[finite].min()).astype(np.float32)


def window(pixels: np.ndarray) -> np.ndarray:
    """Grey levels brought to `[0, 1]` by a robust window over the foreground.

    0 is the background, 1 the 99.5th percentile of what is not background; a flat slice gives 0.

    Args:
        pixels: `[H, W]`, any finite numbers: 8 or 16 bit, raw signal, or z-scored.
    """
    pixels = _background_lowest(pixels.astype(np.float32))
    low, typical_high = np.percentile(pixels, (0.5, 99))
    if typical_high <= low:  # nearly empty: the few pixels there are make the range
        typical_high = pixels.max()
    foreground = pixels[pixels > low + 0.1 * (typical_high - low)]
    if foreground.size == 0:
        return np.zeros_like(pixels)
    # A few saturated voxels (32767 in a range of 1,000) must not darken the brain.
    high = min(np.percentile(foreground, 99.5), low + 6 * (np.median(foreground) - low))
    return np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)


def fit(pixels: np.ndarray, size: int) -> np.ndarray:
    """`[H, W]` → `[size, size]` float32: the longer side is `size`, the shorter is padded with
    background, the slice in the middle. Padded last, so that a strip takes no more memory."""
    rows, columns = _place(*pixels.shape, size)
    planes = np.zeros((size, size), np.float32)
    planes[rows, columns] = stretch(pixels, rows.stop - rows.start, columns.stop - columns.start)
    return planes


def stretch(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """`[H, W]` → `[height, width]` float32, bilinear, averaged where it shrinks."""
    if pixels.shape == (height, width):
        return pixels.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def prepare_slice(pixels: np.ndarray, size: int) -> np.ndarray:
    """Raw grey levels `[H, W]` → one sequence as the network sees it, `[size, size]` in [0, 1]."""
    return fit(window(pixels), size)


def restore(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Undo `fit` for an output of the network: `[size, size]` → `[H, W]`."""
    return stretch(plane[_place(height, width, len(plane))], height, width)


def _place(height: int, width: int, size: int) -> tuple[slice, slice]:
    """Where a slice lies in the square: rows and columns."""
    scale = size / max(height, width)
    lengths = (max(1, round(height * scale)), max(1, round(width * scale)))
    starts = ((size - length) // 2 for length in lengths)
    return tuple(
        slice(start, start + length) for start, length in zip(starts, lengths, strict=True)
    )


def _pixels(source: str | Path | bytes | Image.Image) -> np.ndarray:
    image = _open(source)
    try:
        return _decode_image(image)
    finally:
        if image is not source:
            image.close()


def _open(source: str | Path | bytes | Image.Image) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise DataError("The picture is far too large: bring one slice.", "too_large") from error
    except FileNotFoundError as error:
        raise DataError(f"There is no file {Path(source).name}.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise _unreadable() from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(image.width, image.height)
    return image


def _decode_image(image: Image.Image) -> np.ndarray:
    try:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            held = f"file holds {frames} frames"
            raise OutOfScope(f"The {held}: save the one slice that you mean.", held)
        image = ImageOps.exif_transpose(image)
        if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBa", "La"):
            image = image.convert("RGBA" if image.mode in ("P", "PA", "RGBa", "La") else "RGB")
        elif image.mode == "1":
            image = image.convert("L")
        pixels = np.asarray(image)
    except (OSError, ValueError, TypeError, SyntaxError, EOFError) as error:
        raise _unreadable() from error
    return _grey(pixels)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """`[H, W]` or `[H, W, C]` → `[H, W]` float32; transparency lies over black."""
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise DataError(
            f"Expected one slice of height × width, found an array of shape {pixels.shape}."
        )
    channels = pixels.astype(np.float32)
    if channels.shape[2] in (2, 4):
        channels = channels[..., :-1] * (channels[..., -1:] / _full_scale(pixels))
    if channels.shape[2] == 1:
        return channels[..., 0]
    spread = np.ptp(channels, axis=2).mean() * (255 / _full_scale(pixels))
    if spread > COLOUR_TOLERANCE:
        raise OutOfScope("This is a colour picture: bring a grey FLAIR slice.", "colour picture")
    return channels.mean(axis=2)


def _full_scale(pixels: np.ndarray) -> float:
    if np.issubdtype(pixels.dtype, np.integer):
        return float(np.iinfo(pixels.dtype).max)
    return max(float(np.nanmax(pixels)), 1e-6)


def _background_lowest(pixels: np.ndarray) -> np.ndarray:
    """A skull-stripped, z-scored slice has its background at 0, in the middle: make it lowest."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    level = np.median(edge)
    background = pixels == level
    if background.all() or background.mean() < 0.2 or (edge == level).mean() < 0.9:
        return pixels
    inside = pixels[~background]
    if (inside < level).mean() < 0.05:  # an ordinary dark background
        return np.maximum(pixels, level)
    low = inside.min()
    return np.where(background, low - 0.05 * (inside.max() - low), pixels)


def _unreadable() -> DataError:
    return DataError(
        "The file could not be read as a picture: it is damaged, incomplete or of another kind. "
        "Bring a PNG, JPEG or TIFF.",
        "unreadable",
    )


def _too_large(width: int, height: int) -> DataError:
    return DataError(
        f"The picture is {width}×{height} pixels: "
        f"bring one slice of at most {MAX_PIXELS // 1_000_000} million pixels.",
        "too_large",
    )
