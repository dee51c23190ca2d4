"""Turn pixels into network input: decode → window → fit.

Preparation, training, evaluation, app and API all use these functions. They treat each slice by
itself, because a visitor's picture has no volume around it. The module does not import torch,
which the workers that prepare data do not need.
"""

import io
import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import (  # importing these plugins registers them; Pillow would import all of its own
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from brainai.data.kinds import AS_SCAN, no_slice
from brainai.errors import DataError, OutOfScope

ImageSource: TypeAlias = str | Path | bytes | Image.Image | np.ndarray

# No other formats: Pillow would pass an EPS file to another program, and its many rare decoders
# are a risk.
FORMATS = tuple(
    plugin.format
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
        TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        PpmImagePlugin.PpmImageFile,
    )
)
MAX_PIXELS = 32_000_000
MIN_SIDE = 32
MAX_COUNTED_FRAMES = 8  # counting further would take ever longer
STRIP_PIXELS = 2**20  # pixels with several channels that are converted to gray at a time
COLOR_TOLERANCE = 10.0  # mean spread of R, G and B, of 255: lossy gray pictures have some
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, because training starts from its weights by default
STD = (0.229, 0.224, 0.225)


def decode(source: ImageSource) -> np.ndarray:
    """Return a gray slice as it was stored, `[H, W]` float32 in the units of the file.

    Pictures of 8, 16 and 32 bits, floating-point, palette and transparent pictures keep their full
    depth.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array `[H, W]` or `[H, W, 1|3|4]`.
    Raises:
        OutOfScope: the picture has several frames, is in color, or has the same value everywhere.
        DataError: the source is not a picture, or it is too large or too small.

    Example:
        >>> import numpy as np
        >>> decode(np.arange(64 * 48).reshape(64, 48)).shape
        (64, 48)
    """
    pixels = _gray(source) if isinstance(source, np.ndarray) else _pixels(source)
    height, width = pixels.shape
    if min(height, width) < MIN_SIDE:
        raise DataError(
            f"The picture has {width}×{height} pixels, which is too small to judge. "
            f"Provide a slice of at least {MIN_SIDE}×{MIN_SIDE} pixels.",
            "too_small",
        )
    _replace_non_finite(pixels)
    if pixels.min() == pixels.max():
        raise OutOfScope("The picture is empty: every pixel has the same value.", "empty picture")
    return pixels


def window(pixels: np.ndarray) -> np.ndarray:
    """Scale gray levels to `[0, 1]` by a robust window over the foreground.

    0 is the background and 1 the 99.5th percentile of the foreground. A slice with the same value
    everywhere becomes 0.

    Args:
        pixels: `[H, W]`, any finite numbers: 8 or 16 bit, raw signal, or z-scored.
    Returns:
        `[H, W]` float32 in [0, 1].
    """
    pixels = _background_lowest(pixels.astype(np.float32))
    low, typical_high = np.percentile(pixels, (0.5, 99))
    if typical_high <= low:  # a nearly empty slice: its few bright pixels set the range
        typical_high = pixels.max()
    foreground = pixels[pixels > low + 0.1 * (typical_high - low)]
    if foreground.size == 0:
        return np.zeros_like(pixels)
    # A few saturated voxels (32767 in a range of 1,000) must not darken the brain.
    high = min(np.percentile(foreground, 99.5), low + 6 * (np.median(foreground) - low))
    return np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)


def fit(pixels: np.ndarray, size: int) -> np.ndarray:
    """Fit a slice into a square, `[H, W]` → `[size, size]` float32.

    The longer side becomes `size`, and the shorter side is padded with background on both sides.
    Padding comes last, so that a long strip takes no more memory than other slices.
    """
    height, width = pixels.shape
    rows, columns = _place(height, width, size)
    planes = np.zeros((size, size), np.float32)
    planes[rows, columns] = stretch(pixels, rows.stop - rows.start, columns.stop - columns.start)
    return planes


def stretch(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize `[H, W]` → `[height, width]` float32, bilinear, with averaging when it shrinks."""
    if pixels.shape == (height, width):
        return pixels.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def prepare_slice(pixels: np.ndarray, size: int) -> np.ndarray:
    """Prepare raw gray levels `[H, W]` of one sequence for the network: `[size, size]` in [0, 1].

    Example:
        >>> import numpy as np
        >>> prepare_slice(np.arange(64.0 * 48).reshape(64, 48), 256).shape
        (256, 256)
    """
    return fit(window(pixels), size)


def shrink(pixels: np.ndarray, most: int) -> np.ndarray:
    """Reduce `[H, W]` float32 by an integer factor, with averaging, to at most `most` pixels."""
    factor = math.ceil(math.sqrt(pixels.size / most))
    if factor <= 1:
        return pixels
    return np.asarray(Image.fromarray(pixels).reduce(factor))


def restore(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Undo `fit` for an output of the network, `[size, size]` → `[height, width]`."""
    return stretch(plane[_place(height, width, len(plane))], height, width)


def _place(height: int, width: int, size: int) -> tuple[slice, slice]:
    """Return the rows and columns that a slice takes in the square."""
    scale = size / max(height, width)
    lengths = (max(1, round(height * scale)), max(1, round(width * scale)))
    top, left = ((size - length) // 2 for length in lengths)
    return slice(top, top + lengths[0]), slice(left, left + lengths[1])


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
        raise DataError(
            "The picture is far too large. Provide a single slice.", "too_large"
        ) from error
    except FileNotFoundError as error:
        raise DataError(f"There is no file {Path(str(source)).name}. Check its path.") from error
    except IsADirectoryError as error:
        raise DataError(
            f"This is a folder, which cannot be read as a slice: {AS_SCAN}.", "unreadable"
        ) from error
    except Exception as error:  # Pillow raises almost any exception on damaged files
        raise no_slice(source) or _unreadable() from error
    return image


def _decode_image(image: Image.Image) -> np.ndarray:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(image.width, image.height)
    try:
        frames = _count_frames(image)
        if frames == 1:
            image = ImageOps.exif_transpose(image)
            if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBa", "La"):
                has_alpha = image.mode in ("P", "PA", "RGBa", "La")
                image = image.convert("RGBA" if has_alpha else "RGB")
            elif image.mode == "1":
                image = image.convert("L")
            pixels = np.asarray(image)
    except Exception as error:  # Pillow raises almost any exception on damaged files
        raise _unreadable() from error
    if frames > 1:
        number = f"more than {MAX_COUNTED_FRAMES}" if frames > MAX_COUNTED_FRAMES else frames
        reason = f"file holds {number} frames"
        raise OutOfScope(f"The {reason}. Save the slice that you want to have judged.", reason)
    return _gray(pixels)


def _count_frames(image: Image.Image) -> int:
    """Return the number of frames, or `MAX_COUNTED_FRAMES + 1` if there are more than that."""
    if not getattr(image, "is_animated", False):
        return 1
    if image.format not in ("TIFF", "GIF"):
        return image.n_frames  # known from the header
    for frame in range(1, MAX_COUNTED_FRAMES + 1):
        try:
            image.seek(frame)
        except EOFError:
            return frame
    return MAX_COUNTED_FRAMES + 1


def _gray(pixels: np.ndarray) -> np.ndarray:
    """Convert `[H, W]` or `[H, W, C]` to a new `[H, W]` float32, with black behind transparency."""
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 2, 3, 4)):
        raise DataError(
            f"Expected one slice of height × width, found an array of shape {pixels.shape}."
        )
    height, width = pixels.shape[:2]
    if height * width > MAX_PIXELS:
        raise _too_large(width, height)
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    gray, spread = np.empty((height, width), np.float32), 0.0
    scale, rows = _full_scale(pixels), max(1, STRIP_PIXELS // max(1, width))
    for start in range(0, height, rows):
        channels = pixels[start : start + rows].astype(np.float32)
        if channels.shape[2] in (2, 4):
            channels = channels[..., :-1] * (channels[..., -1:] / scale)
        gray[start : start + rows] = channels.mean(axis=2)
        spread += float(np.ptp(channels, axis=2).sum())
    if spread / pixels[..., 0].size * (255 / scale) > COLOR_TOLERANCE:
        raise OutOfScope("This is a color picture. Provide a gray FLAIR slice.", "color picture")
    return gray


def _full_scale(pixels: np.ndarray) -> float:
    if np.issubdtype(pixels.dtype, np.integer):
        return float(np.iinfo(pixels.dtype).max)
    return max(float(np.nanmax(pixels)), 1e-6)


def _replace_non_finite(pixels: np.ndarray) -> None:
    """Replace NaN and infinite values by the lowest finite value, or by 0 if there is none."""
    finite = np.isfinite(pixels)
    if not finite.all():
        lowest = np.min(pixels, where=finite, initial=np.inf)
        pixels[~finite] = lowest if np.isfinite(lowest) else 0


def _background_lowest(pixels: np.ndarray) -> np.ndarray:
    """Make the background the lowest value.

    In a skull-stripped, z-scored slice the background is 0, in the middle of the range.
    """
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
        "Provide a PNG, JPEG or TIFF file.",
        "unreadable",
    )


def _too_large(width: int, height: int) -> DataError:
    return DataError(
        f"The picture has {width}×{height} pixels, which is too large. "
        f"Provide one slice of at most {MAX_PIXELS // 1_000_000} million pixels.",
        "too_large",
    )
