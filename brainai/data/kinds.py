"""What a file is that was brought as a picture and is none: told from its first bytes."""

import contextlib
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from brainai.data.dicom_structure import is_dicom
from brainai.errors import DataError

HEAD_BYTES = 4096  # enough for every mark below, packed or not
AS_SCAN = (
    "bring it as a scan (on the page “Scan”, /predict_scan, Classifier.predict_scan), or save the "
    "one slice that you mean as PNG"
)
AS_DICOM = "have it judged as a slice, or bring all files of its series as a scan"
NO_SLICE = "which is not read as a slice"
AS_PNG = "save the slice as PNG"
UNPACK = "unpack it and bring the file in it"


class Mark(NamedTuple):
    """Bytes at a place in a file that tell what it is, and where it goes."""

    offset: int
    content: bytes
    name: str
    advice: str


MARKS = (
    Mark(344, b"n+1\0", "a NIfTI scan", AS_SCAN),
    Mark(4, b"n+2\0", "a NIfTI scan", AS_SCAN),
    Mark(0, b"ObjectType", "a MetaImage scan", AS_SCAN),
    Mark(0, b"NDims", "a MetaImage scan", AS_SCAN),
    Mark(0, b"PK\3\4", "a zip file", f"{AS_SCAN} if it holds a scan; else unpack it"),
    Mark(344, b"ni1\0", "the header of a NIfTI pair", "save the scan as one .nii.gz file"),
    Mark(0, b"\x5c\1\0\0", "the header of an Analyze pair", "save the scan as one .nii.gz file"),
    Mark(0, b"\0\0\1\x5c", "the header of an Analyze pair", "save the scan as one .nii.gz file"),
    Mark(0, b"NRRD", "an NRRD scan", "save it as NIfTI (.nii.gz) and bring that as a scan"),
    Mark(0, b"\0\0\0\1\0\0", "a FreeSurfer scan", "convert it to .nii.gz with mri_convert"),
    Mark(0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", AS_PNG),
    Mark(0, b"MATLAB 5.0", "a MATLAB file", AS_PNG),
    Mark(0, b"\x93NUMPY", "a NumPy array", AS_PNG),
    Mark(0, b"%PDF", "a PDF document", AS_PNG),
    Mark(4, b"ftyphei", "a photo in HEIC", AS_PNG),
    Mark(4, b"ftypmif1", "a photo in HEIC", AS_PNG),
    Mark(4, b"ftypavif", "a picture in AVIF", AS_PNG),
    Mark(4, b"ftyp", "a film", AS_PNG),
    Mark(257, b"ustar", "a tar file", UNPACK),
    Mark(0, b"Rar!", "a rar file", UNPACK),
    Mark(0, b"7z\xbc\xaf\x27\x1c", "a 7z file", UNPACK),
    Mark(0, b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` first"),
    Mark(0, b"<!DOCTYPE html", "a web page", "download the file anew, logged in where needed"),
    Mark(0, b"<svg", "a drawing in SVG", AS_PNG),
    Mark(0, b"{", "text in JSON", "bring the scan or picture that it lies beside"),
)


def known_kind(source: str | Path | bytes) -> DataError | None:
    """What a file is and where it goes, as an error to raise; None where its kind is not known.

    Args:
        source: its path, or its bytes.
    """
    head = first_bytes(source)
    inner = _inflated(head) if head.startswith(b"\x1f\x8b") else head
    mark = next((mark for mark in MARKS if inner.startswith(mark.content, mark.offset)), None)
    if mark is None and is_dicom(inner):
        mark = Mark(0, b"", "a DICOM file", AS_DICOM)
    if mark is None and inner is not head:
        mark = Mark(0, b"", "a file packed by gzip", UNPACK)
    if mark is None:
        return None
    return DataError(f"This is {mark.name}, {NO_SLICE}: {mark.advice}.", "unreadable")


def first_bytes(source: Any) -> bytes:
    """How a file begins, by which its kind is known; nothing where there is no file to be read."""
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    # TypeError: a picture that is open, or an array
    with contextlib.suppress(OSError, TypeError, ValueError), open(source, "rb") as file:
        return file.read(HEAD_BYTES)
    return b""


def _inflated(head: bytes) -> bytes:
    """The first bytes of what gzip packed, b"" where they are damaged."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""
