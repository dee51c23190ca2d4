"""Embed pictures and files in the page itself, so that none is kept on the server, where others
could ask for it."""

import base64
import io

from PIL import Image

JPEG_QUALITY = 90  # for slices of a scan on the page; saved files are never JPEG


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    """Return the bytes of a picture file; `form` is "PNG" or "JPEG"."""
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=JPEG_QUALITY)
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """Return a file as a `data:` URL; `kind` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_uri(picture: Image.Image, form: str = "PNG") -> str:
    """Return a picture as a `data:` URL."""
    return data_uri(encoded(picture, form), f"image/{form.lower()}")
