"""Read the gray levels of one slice from a picture or from the DICOM file of one slice."""

import tempfile
from pathlib import Path

from brainai.data.dicom import Picture, read_picture
from brainai.data.images import ImageSource, decode
from brainai.data.kinds import DICOM, first_bytes, kind_of


def open_slice(source: ImageSource, expect_flair: bool = False) -> Picture:
    """Return a gray slice as it was stored, and the size of its pixels if it is a DICOM file.

    Args:
        source: as in `images.decode`, or a DICOM file as a path or as bytes.
        expect_flair: whether to refuse a DICOM file whose header states that it is not FLAIR.
    Raises:
        OutOfScope, DataError: as in `images.decode` and `dicom.read_picture`.
    """
    if kind_of(first_bytes(source)) != DICOM:
        return Picture(decode(source))
    if not isinstance(source, bytes):
        return _checked(read_picture(Path(str(source)), expect_flair))
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        path = Path(folder) / "slice"  # GDCM cannot read from memory
        path.write_bytes(source)
        return _checked(read_picture(path, expect_flair))


def _checked(picture: Picture) -> Picture:
    return picture._replace(pixels=decode(picture.pixels))
