"""Name a file by its first bytes, and say what to do with it.

A file may be intact and still not be what was asked for.
"""

import contextlib
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from brainai.data.dicom_structure import is_dicom
from brainai.errors import DataError

HEAD_BYTES = 4096  # enough for every mark below, packed or not
GZIP, ZIP = b"\x1f\x8b", b"PK\3\4"
NIFTI_SIZES = (348, 540)  # size of the header in bytes, the first number of a NIfTI file

# Advice for a file where a slice is expected.
AS_SCAN = (
    "use it as a scan (on the page “Scan”, with /predict_scan or Classifier.predict_scan), or save "
    "the slice that you want to have judged as PNG"
)
AS_ONE = "save the scan as one .nii.gz file"
AS_PNG = "save the slice as PNG"
FETCH_FILE = "fetch the file itself, with git annex get, datalad get or git lfs pull"
LOG_IN = "download the file again, after logging in if the server asks for it"
UNPACK = "unpack it and provide the file in it"
# Advice for a file where a scan is expected.
SLICE = "For a single slice, use the Slice tab, /predict or Classifier.predict."
SAVE = "Save the scan as NIfTI (.nii.gz)."
UNPACK_SCAN = "Provide the scan itself, or a zip file of it."
FETCH = "Fetch the file itself, with git annex get, datalad get or git lfs pull."
DOWNLOAD = "Download the scan again: some servers send a web page when a login is required."
SCAN = "Provide the scan itself."


class Kind(NamedTuple):
    """A kind of file, with the advice for it where a slice and where a scan is expected."""

    name: str
    slice_advice: str
    scan_advice: str


NIFTI = Kind("a NIfTI file", AS_SCAN, SCAN)
NIFTI_PAIR = Kind("the header of a NIfTI pair", AS_ONE, SCAN)
ANALYZE = Kind("the header of an ANALYZE pair", AS_ONE, SCAN)
METAIMAGE = Kind("a MetaImage file", AS_SCAN, SCAN)
DICOM = Kind(
    "a DICOM file", "use it as a slice, or provide all files of its series as a scan", SCAN
)
VOLUMES = (NIFTI, NIFTI_PAIR, ANALYZE, METAIMAGE)
PICTURES = tuple(
    Kind(f"a picture of one slice ({name})", AS_PNG, SLICE)
    for name in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WebP")
)
PNG, JPEG, TIFF, GIF, BMP, WEBP = PICTURES
HEIC = Kind("a photo in HEIC", AS_PNG, SCAN)
AVIF = Kind("a picture in AVIF", AS_PNG, SCAN)
MATLAB = Kind("a MATLAB file", AS_PNG, SAVE)
MINC = Kind("a MINC file", AS_SCAN, SAVE)
WEB_PAGE = Kind("a web page", LOG_IN, DOWNLOAD)
ANNEX = Kind("a git-annex or DataLad pointer", FETCH_FILE, FETCH)
# Offset of the signature, the signature, and the kind of file. The first match counts.
MARKS = (
    (344, b"n+1\0", NIFTI),
    (4, b"n+2\0", NIFTI),
    (344, b"ni1\0", NIFTI_PAIR),
    (4, b"ni2\0", NIFTI_PAIR),
    (0, b"\x5c\1\0\0", ANALYZE),
    (0, b"\0\0\1\x5c", ANALYZE),
    (0, b"ObjectType", METAIMAGE),
    (0, b"NDims", METAIMAGE),
    (0, b"\x89PNG\r\n", PNG),
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"II*\0", TIFF),
    (0, b"MM\0*", TIFF),
    (0, b"GIF8", GIF),
    (0, b"BM", BMP),
    (8, b"WEBP", WEBP),
    (4, b"ftyphei", HEIC),
    (4, b"ftypmif1", HEIC),
    (4, b"ftypavif", AVIF),
    (4, b"ftyp", Kind("a video", AS_PNG, SCAN)),
    (0, b"NRRD", Kind("an NRRD file", "save it as NIfTI (.nii.gz) and use that as a scan", SAVE)),
    (0, b"\x89HDF\r\n", Kind("an HDF5 file", AS_PNG, SAVE)),
    (0, b"CDF", MINC),
    (
        0,
        b"\0\0\0\1\0\0",
        Kind("a FreeSurfer file", "convert it to .nii.gz with mri_convert", SAVE),
    ),
    (0, b"# === DATA", Kind("a Philips PAR header", AS_PNG, SAVE)),
    (0, b"\x93NUMPY", Kind("a NumPy file", AS_PNG, SAVE)),
    (0, b"MATLAB", MATLAB),
    (0, ZIP, Kind("a zip file", f"if it holds a scan, {AS_SCAN}; otherwise unpack it", SCAN)),
    (0, b"7z\xbc\xaf", Kind("a 7z archive", UNPACK, UNPACK_SCAN)),
    (0, b"Rar!", Kind("a RAR archive", UNPACK, UNPACK_SCAN)),
    (0, b"BZh", Kind("a file compressed with bzip2", UNPACK, UNPACK_SCAN)),
    (0, b"\xfd7zXZ", Kind("a file compressed with xz", UNPACK, UNPACK_SCAN)),
    (0, b"\x28\xb5\x2f\xfd", Kind("a file compressed with zstd", UNPACK, UNPACK_SCAN)),
    (257, b"ustar", Kind("a tar archive", UNPACK, UNPACK_SCAN)),
    (0, b"version https://git-lfs", Kind("a Git LFS pointer", FETCH_FILE, FETCH)),
    (0, b"/annex/objects/", ANNEX),
    (0, b"../.git/annex", ANNEX),
    (0, b"%PDF", Kind("a PDF document", AS_PNG, SCAN)),
    (0, b"<!DOCTYPE", WEB_PAGE),
    (0, b"<!doctype", WEB_PAGE),
    (0, b"<html", WEB_PAGE),
    (0, b"<svg", Kind("a drawing in SVG", AS_PNG, SCAN)),
    (
        0,
        b"{",
        Kind(
            "a JSON file",
            "provide the scan or picture that belongs to it",
            SCAN,
        ),
    ),
)
PACKED = Kind("a file compressed with gzip", UNPACK, UNPACK_SCAN)


def first_bytes(source: Any) -> bytes:
    """Return the first bytes of a file, which tell its kind, or b"" if there is no readable file.

    Args:
        source: a path, or the bytes of a file.
    """
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    # TypeError: `source` is an open picture or an array.
    with contextlib.suppress(OSError, TypeError, ValueError), open(source, "rb") as file:
        return file.read(HEAD_BYTES)
    return b""


def kind_of(begin: bytes) -> Kind | None:
    """Return the kind of file that begins with these bytes, or None if it is unknown."""
    if is_dicom(begin):  # files of old archives have no signature
        return DICOM
    return next((kind for at, mark, kind in MARKS if begin.startswith(mark, at)), None)


def is_nifti(begin: bytes) -> bool:
    """Return whether a NIfTI header begins with these bytes. Compressed files give False."""
    return any(int.from_bytes(begin[:4], order) in NIFTI_SIZES for order in ("little", "big"))


def no_slice(source: str | Path | bytes) -> DataError | None:
    """Return the error for a file where a slice is expected, or None if its kind is unknown."""
    begin = first_bytes(source)
    kind = kind_of(_inflated(begin)) or PACKED if begin.startswith(GZIP) else kind_of(begin)
    if kind is None or kind in PICTURES:  # a picture that cannot be read is damaged
        return None
    message = f"This is {kind.name}, which cannot be read as a slice: {kind.slice_advice}."
    return DataError(message, "unreadable")


def no_scan(called: str, begin: bytes, expected: str, unknown: str) -> DataError:
    """Return the error for a file that is not the expected scan.

    Args:
        called: the name of the scan in error messages.
        begin: the first bytes of the file.
        expected: what was expected, such as "a NIfTI file".
        unknown: the words for a file of an unknown kind.
    """
    if not begin:
        found, advice = "an empty file", "Copy it again."
    elif kind := kind_of(begin):
        found, advice = kind.name, kind.scan_advice
    else:
        found, advice = unknown, "Export or copy the scan again."
    return DataError(f"{called}: expected {expected}, found {found}. {advice}", "unreadable")


def _inflated(begin: bytes) -> bytes:
    """Return the first bytes of what gzip compressed, or b"" if they are damaged."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(begin, HEAD_BYTES)
    except zlib.error:
        return b""
