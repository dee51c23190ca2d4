"""One slice → gray levels, from a picture or from the DICOM file of one slice."""

import tempfile
from pathlib import Path

import numpy as np

from brainai.data.dicom import read_picture
from brainai.data.images import ImageSource, decode
from brainai.data.kinds import DICOM, first_bytes, kind_of


def open_slice(source: ImageSource, expect_flair: bool = False) -> np.ndarray:
    """One gray slice as it was stored, `[H, W]` float32; sources are those of `images.decode`, and
    DICOM files as paths or bytes.

    Args:
        expect_flair: refuse a DICOM file whose header says plainly that it is no FLAIR.
    Raises:
        OutOfScope, DataError: as `images.decode` and `dicom.read_picture`.
    """
    if kind_of(first_bytes(source)) != DICOM:
        return decode(source)
    if not isinstance(source, bytes):
        return decode(read_picture(Path(str(source)), expect_flair))
    with tempfile.TemporaryDirectory(prefix="brainai-") as folder:
        path = Path(folder) / "slice"  # GDCM reads files alone
        path.write_bytes(source)
        return decode(read_picture(path, expect_flair))
