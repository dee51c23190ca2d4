"""Small valid pictures of every kind that `decode` takes, and of some that it refuses."""

import functools
import io

import numpy as np
from PIL import Image

SIDE = 40
TIFF_COMPRESSIONS = (
    "raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "tiff_ccitt", "group3", "group4",
)  # fmt: skip


def gray() -> np.ndarray:
    """A bright ellipse in the dark, brighter to the right: `[40, 36]` uint8."""
    y, x = np.mgrid[:SIDE, : SIDE - 4]
    inside = ((y - 20) / 16) ** 2 + ((x - 18) / 14) ** 2 < 1
    return np.where(inside, 90 + 3 * x, 0).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@functools.cache
def pictures() -> dict[str, tuple[bytes, ...]]:
    """Files by kind: "png", "jpeg", "jpeg2000", "tiff", "webp", "bmp", "gif" and "ppm"."""
    return {
        "png": _png(),
        "jpeg": _jpeg(),
        "jpeg2000": _jpeg2000(),
        "tiff": _tiff(),
        "webp": _webp(),
        "bmp": tuple(encoded(image, "BMP") for image in _modes("1", "L", "P", "RGB", "RGBA")),
        "gif": _gif(),
        "ppm": _ppm(),
    }


def _modes(*modes: str) -> list[Image.Image]:
    return [Image.fromarray(gray()).convert(mode) for mode in modes]


def _deep() -> Image.Image:
    return Image.fromarray(gray().astype(np.uint16) * 257)


def _frames() -> list[Image.Image]:
    return [Image.fromarray(gray() // part) for part in (1, 2, 3)]


def _png() -> tuple[bytes, ...]:
    files = [encoded(image, "PNG") for image in _modes("1", "L", "LA", "P", "RGB", "RGBA")]
    files.append(encoded(_deep(), "PNG"))
    exif = Image.Exif()
    exif[0x0112] = 6
    files.append(encoded(_modes("L")[0], "PNG", exif=exif, dpi=(72, 72)))
    first, *others = _frames()
    files.append(encoded(first, "PNG", save_all=True, append_images=others))
    files.append(encoded(_modes("P")[0], "PNG", transparency=3, bits=4))
    return tuple(files)


def _jpeg() -> tuple[bytes, ...]:
    files = [encoded(image, "JPEG") for image in _modes("L", "RGB", "CMYK")]
    files += [encoded(image, "JPEG", progressive=True) for image in _modes("L", "RGB")]
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = 8, {0x9000: b"0230"}
    files.append(encoded(_modes("L")[0], "JPEG", exif=exif, icc_profile=b"profile" * 9))
    files.append(encoded(_modes("RGB")[0], "JPEG", subsampling=2, restart_marker_blocks=1))
    first, *others = _modes("L", "L")
    files.append(encoded(first, "MPO", save_all=True, append_images=others))
    return tuple(files)


def _jpeg2000() -> tuple[bytes, ...]:
    files = [encoded(image, "JPEG2000") for image in _modes("L", "LA", "RGB", "RGBA")]
    files.append(encoded(_modes("L")[0], "JPEG2000", no_jp2=True))
    files.append(encoded(_modes("L")[0], "JPEG2000", tile_size=(16, 16), num_resolutions=2))
    files.append(encoded(_deep(), "JPEG2000", irreversible=True))
    return tuple(files)


def _tiff() -> tuple[bytes, ...]:
    files = []
    for name in TIFF_COMPRESSIONS:
        mode = "1" if name in ("tiff_ccitt", "group3", "group4") else "L"
        files.append(encoded(_modes(mode)[0], "TIFF", compression=name))
    files += [encoded(image, "TIFF") for image in _modes("P", "LA", "RGB", "RGBA", "CMYK", "LAB")]
    files += [encoded(image, "TIFF") for image in (_deep(), *_modes("F", "I"))]
    files.append(encoded(_deep(), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
    files.append(encoded(_modes("F")[0], "TIFF", compression="tiff_adobe_deflate"))
    files.append(encoded(_modes("L")[0], "TIFF", big_tiff=True))
    first, *others = _frames()
    files.append(encoded(first, "TIFF", save_all=True, append_images=others))
    exif = Image.Exif()
    exif[0x0112] = 5
    files.append(encoded(_modes("L")[0], "TIFF", exif=exif))
    return tuple(files)


def _webp() -> tuple[bytes, ...]:
    files = [encoded(image, "WEBP", lossless=True) for image in _modes("L", "RGB", "RGBA")]
    files.append(encoded(_modes("RGB")[0], "WEBP", quality=50))
    first, *others = _frames()
    files.append(encoded(first, "WEBP", save_all=True, append_images=others))
    return tuple(files)


def _gif() -> tuple[bytes, ...]:
    first, *others = _frames()
    animated = encoded(first, "GIF", save_all=True, append_images=others, loop=0)
    return (
        *(encoded(image, "GIF") for image in _modes("1", "L", "P")),
        encoded(_modes("L")[0], "GIF", interlace=1, transparency=0, comment=b"text"),
        animated,
    )


def _ppm() -> tuple[bytes, ...]:
    """Binary files by Pillow, and the same as text, which Pillow reads and does not write."""
    files = [encoded(image, "PPM") for image in (*_modes("1", "L", "RGB", "F"), _deep())]
    height, width = gray().shape
    numbers = " ".join(map(str, gray().ravel())).encode()
    bits = " ".join(map(str, (gray() > 0).astype(int).ravel())).encode()
    colors = " ".join(map(str, gray().ravel().repeat(3))).encode()
    size = f"{width} {height}\n".encode()
    files.append(b"P2\n# text\n" + size + b"255\n" + numbers + b"\n")
    files.append(b"P1\n" + size + bits + b"\n")
    files.append(b"P3\n" + size + b"255\n" + colors + b"\n")
    return tuple(files)
