"""What a file is by its first bytes, in words, and where it goes: it may be whole, and still not
what was asked for."""

import contextlib
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from brainai.data.dicom_structure import is_dicom
from brainai.errors import DataError

HEAD_BYTES = 4096  # enough for every mark below, packed or not
GZIP, ZIP = b"\x1f\x8b", b"PK\3\4"
NIFTI_SIZES = (348, 540)  # of a header, its first number

# What to do with a file where a slice is expected.
AS_SCAN = (
    "bring it as a scan (on the page “Scan”, /predict_scan, Classifier.predict_scan), or save the "
    "one slice that you mean as PNG"
)
AS_ONE = "save the scan as one .nii.gz file"
AS_PNG = "save the slice as PNG"
FETCH_FILE = "fetch the file itself, with git annex get, datalad get or git lfs pull"
LOG_IN = "download the file anew, logged in where needed"
UNPACK = "unpack it and bring the file in it"
# What to do with one where a scan is expected.
SLICE = "A single slice goes to the Slice tab, to /predict or to Classifier.predict."
SAVE = "Save the scan as NIfTI (.nii.gz)."
UNPACK_SCAN = "Bring the scan itself, or a zip file of it."
FETCH = "Fetch the file itself, with git annex get, datalad get or git lfs pull."
DOWNLOAD = "Download the scan again: some servers answer with a page where they want a login."
SCAN = "Bring the scan itself."


class Kind(NamedTuple):
    """What a file is, and what to do with it where a slice and where a scan is expected."""

    name: str
    slice_advice: str
    scan_advice: str


NIFTI = Kind("a NIfTI file", AS_SCAN, SCAN)
NIFTI_PAIR = Kind("the header of a NIfTI pair", AS_ONE, SCAN)
ANALYZE = Kind("the header of an ANALYZE pair", AS_ONE, SCAN)
METAIMAGE = Kind("a MetaImage file", AS_SCAN, SCAN)
DICOM = Kind(
    "a DICOM file", "have it judged as a slice, or bring all files of its series as a scan", SCAN
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
# Where the mark stands, the mark, and what it means; the first that fits.
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
    (4, b"ftyp", Kind("a film", AS_PNG, SCAN)),
    (0, b"NRRD", Kind("an NRRD file", "save it as NIfTI (.nii.gz) and bring that as a scan", SAVE)),
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
    (0, ZIP, Kind("a zip file", f"{AS_SCAN} if it holds a scan; else unpack it", SCAN)),
    (0, b"7z\xbc\xaf", Kind("a 7z archive", UNPACK, UNPACK_SCAN)),
    (0, b"Rar!", Kind("a RAR archive", UNPACK, UNPACK_SCAN)),
    (0, b"BZh", Kind("a file packed by bzip2", UNPACK, UNPACK_SCAN)),
    (0, b"\xfd7zXZ", Kind("a file packed by xz", UNPACK, UNPACK_SCAN)),
    (0, b"\x28\xb5\x2f\xfd", Kind("a file packed by zstd", UNPACK, UNPACK_SCAN)),
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
            "bring the scan or picture that it lies beside",
            SCAN,
        ),
    ),
)
PACKED = Kind("a file packed by gzip", UNPACK, UNPACK_SCAN)


def first_bytes(source: Any) -> bytes:
    """How a file begins, by which its kind is known; b"" where there is no file to be read.

    Args:
        source: a path, or the bytes of a file.
    """
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    # TypeError: a picture that is open, or an array
    with contextlib.suppress(OSError, TypeError, ValueError), open(source, "rb") as file:
        return file.read(HEAD_BYTES)
    return b""


def kind_of(begin: bytes) -> Kind | None:
    """What begins with these bytes; None where that is not known."""
    if is_dicom(begin):  # files of old archives have no mark
        return DICOM
    return next((kind for at, mark, kind in MARKS if begin.startswith(mark, at)), None)


def is_nifti(begin: bytes) -> bool:
    """Whether these bytes begin a NIfTI header; those of gzip are not told apart from others'."""
    return any(int.from_bytes(begin[:4], order) in NIFTI_SIZES for order in ("little", "big"))


def no_slice(source: str | Path | bytes) -> DataError | None:
    """The error for a file where a slice is expected; None where its kind is not known."""
    begin = first_bytes(source)
    kind = kind_of(_inflated(begin)) or PACKED if begin.startswith(GZIP) else kind_of(begin)
    if kind is None or kind in PICTURES:  # a picture that cannot be read is damaged
        return None
    words = f"This is {kind.name}, which is not read as a slice: {kind.slice_advice}."
    return DataError(words, "unreadable")


def no_scan(called: str, begin: bytes, expected: str, otherwise: str) -> DataError:
    """The error for a file that is something else than the scan that was expected.

    Args:
        begin: its first bytes.
        expected: such as "a NIfTI file".
        otherwise: what was found where the bytes are of no known kind.
    """
    if not begin:
        found, advice = "an empty file", "Copy it again."
    elif kind := kind_of(begin):
        found, advice = kind.name, kind.scan_advice
    else:
        found, advice = otherwise, "Export or copy the scan again."
    return DataError(f"{called}: expected {expected}, found {found}. {advice}", "unreadable")


def _inflated(begin: bytes) -> bytes:
    """The first bytes of what gzip packed, b"" where they are damaged."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(begin, HEAD_BYTES)
    except zlib.error:
        return b""
