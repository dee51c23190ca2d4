"""Read the gray levels of one slice from a picture or from the DICOM file of one slice."""

import tempfile
from pathlib import Path

import numpy as np

from brainai.data.dicom import read_picture
from brainai.data.images import ImageSource, decode
from brainai.data.kinds import DICOM, first_bytes, kind_of


def open_slice(source: ImageSource, expect_flair: bool = False) -> np.ndarray:
    """Return a gray slice as it was stored, `[H, W]` float32.

    Args:
        source: as in `images.decode`, or a DICOM file as a path or as bytes.
        expect_flair: whether to refuse a DICOM file whose header states that it is not FLAIR.
    Raises:
        OutOfScope, DataError: as in `images.decode` and `dicom.read_picture`.
    """
    if kind_of(first_bytes(source)) != DICOM:
        return decode(source)
    if not isinstance(source, bytes):
        return decode(read_picture(Path(str(source)), expect_flair))
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        path = Path(folder) / "slice"  # GDCM cannot read from memory
        path.write_bytes(source)
        return decode(read_picture(path, expect_flair))
