"""Pictures and files written into the page itself: none of them waits on the server, where another
could ask for it."""

import base64
import io

from PIL import Image

JPEG_QUALITY = 90  # of the slices of a scan, for looking at; what is saved is never JPEG


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    """The bytes of a picture file; `form` is "PNG" or "JPEG"."""
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=JPEG_QUALITY)
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """An address that is the file; `kind` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_uri(picture: Image.Image, form: str = "PNG") -> str:
    """An address that is the picture."""
    return data_uri(encoded(picture, form), f"image/{form.lower()}")


def download_link(name: str, content: bytes, kind: str, words: str) -> str:
    """HTML of a link that saves a file of the page."""
    return f'<a class="save" download="{name}" href="{data_uri(content, kind)}">{words}</a>'
