"""The examples: simulated slices to click on, and a simulated scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from brainai.errors import DataError
from brainai.markup import Markup, render
from brainai.web.embed import picture_uri

PIXEL_MM = 0.9375  # of the pictures in examples/: 240 mm over 256 pixels
THUMBNAIL = 160  # pixels


@dataclass(frozen=True)
class Examples:
    """Files of simulated slices, and of one simulated scan, that a visitor can try."""

    slices: Sequence[Path] = ()
    scan: Path | None = None

    def number(self, chosen: object) -> int:
        """Return the number of the slice that the page says was clicked.

        Raises:
            DataError: there is no example with this number.
        """
        text = str(chosen)
        if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < len(self.slices):
            return int(text)
        raise DataError("Expected the number of an example, found another value.", "bad_request")


def find_examples(folder: Path) -> Examples:
    """Return the examples of a folder, those with a tumor first."""
    scans = sorted(folder.glob("*.nii.gz"))
    slices = sorted(folder.glob("*.png"), key=lambda file: (file.stem.startswith("no_"), file.stem))
    return Examples(slices, scans[0] if scans else None)


def caption(file: Path) -> str:
    """Return the caption of an example, made from its file name.

    >>> caption(Path("tumor_frontal.png"))
    'With tumor: frontal'
    """
    for start, words in (("no_tumor_", "Without tumor"), ("tumor_", "With tumor")):
        if file.stem.startswith(start):
            return f"{words}: {file.stem.removeprefix(start).replace('_', ' ')}"
    return file.stem.replace("_", " ")


def gallery(files: Sequence[Path]) -> Markup:
    """Return one button for each slice, with picture and caption."""
    pictures = []
    for file in files:
        with Image.open(file) as picture:
            picture.thumbnail((THUMBNAIL, THUMBNAIL))
            uri = picture_uri(picture.convert("L"), "JPEG")
        pictures.append({"uri": uri, "caption": caption(file)})
    return render("gallery.html", pictures=pictures)
