"""What a file is by its first bytes, in words: it may be whole, and still no scan."""

from collections.abc import Iterator
from pathlib import Path

from brainai.errors import DataError

BEGIN_BYTES = 512  # tar has its mark at 257, DICOM at 128
GZIP, ZIP = b"\x1f\x8b", b"PK\3\4"
NIFTI_SIZES = (348, 540)  # of a header, its first number
PICTURE, NIFTI, METAIMAGE, DICOM = (
    "a picture of one slice", "a NIfTI file", "a MetaImage file", "a DICOM file",
)  # fmt: skip
ADVICE = {
    "slice": "A single slice goes to the Slice tab, to /predict or to Classifier.predict.",
    "save": "Save the scan as NIfTI (.nii.gz).",
    "unpack": "Bring the scan itself, or a zip file of it.",
    "fetch": "Fetch the file itself, with git annex get, datalad get or git lfs pull.",
    "log in": "Download the scan again: some servers answer with a page where they want a login.",
    "scan": "Bring the scan itself.",
}
# Where the mark stands, the mark, what it means, and what to do then.
MARKS = (
    (0, b"\x89PNG\r\n", f"{PICTURE} (PNG)", "slice"),
    (0, b"\xff\xd8\xff", f"{PICTURE} (JPEG)", "slice"),
    (0, b"II*\0", f"{PICTURE} (TIFF)", "slice"),
    (0, b"MM\0*", f"{PICTURE} (TIFF)", "slice"),
    (0, b"GIF8", f"{PICTURE} (GIF)", "slice"),
    (0, b"BM", f"{PICTURE} (BMP)", "slice"),
    (8, b"WEBP", f"{PICTURE} (WebP)", "slice"),
    (128, b"DICM", DICOM, "scan"),
    (0, b"ObjectType", METAIMAGE, "scan"),
    (0, b"NDims", METAIMAGE, "scan"),
    (0, b"NRRD0", "an NRRD file", "save"),
    (0, b"\x89HDF\r\n", "an HDF5 file (as MINC, .h5 and .mat)", "save"),
    (0, b"CDF", "a MINC file", "save"),
    (0, b"\0\0\0\1\0\0", "a FreeSurfer file (.mgh, .mgz)", "save"),
    (0, b"# === DATA", "a Philips PAR header", "save"),
    (0, b"\x93NUMPY", "a NumPy file", "save"),
    (0, b"MATLAB", "a MATLAB file", "save"),
    (0, ZIP, "a zip file", "scan"),
    (0, b"7z\xbc\xaf", "a 7z archive", "unpack"),
    (0, b"Rar!", "a RAR archive", "unpack"),
    (0, b"BZh", "a file packed by bzip2", "unpack"),
    (0, b"\xfd7zXZ", "a file packed by xz", "unpack"),
    (0, b"\x28\xb5\x2f\xfd", "a file packed by zstd", "unpack"),
    (257, b"ustar", "a tar archive", "unpack"),
    (0, b"version https://git-lfs", "a pointer of Git LFS to it", "fetch"),
    (0, b"/annex/objects/", "a pointer of git-annex or DataLad to it", "fetch"),
    (0, b"../.git/annex", "a pointer of git-annex or DataLad to it", "fetch"),
    (0, b"%PDF", "a PDF document", "scan"),
    (0, b"<!DOCTYPE", "a web page", "log in"),
    (0, b"<!doctype", "a web page", "log in"),
    (0, b"<html", "a web page", "log in"),
    (0, b"{", "a JSON file, which may describe a scan", "scan"),
)


def beginning(path: Path) -> bytes:
    """The first `BEGIN_BYTES` of a file; b"" where it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(BEGIN_BYTES)
    except OSError:
        return b""


def kind_of(begin: bytes) -> str:
    """What begins with these bytes, such as "an NRRD file"; "" where unknown."""
    return next(_kinds(begin), ("", ""))[0]


def is_nifti(begin: bytes) -> bool:
    """Whether these bytes begin a NIfTI header; those of gzip are not told apart from others'."""
    return any(int.from_bytes(begin[:4], order) in NIFTI_SIZES for order in ("little", "big"))


def strange(called: str, begin: bytes, expected: str, otherwise: str) -> DataError:
    """The error for a file that is something else than was expected.

    Args:
        begin: its first bytes.
        expected: such as "a NIfTI file".
        otherwise: what was found where the bytes are of no known kind.
    """
    if not begin:
        found, advice = "an empty file", "Copy it again."
    else:
        unknown = otherwise, "Export or copy the scan again."
        found, advice = next(_kinds(begin), unknown)
    return DataError(f"{called}: expected {expected}, found {found}. {advice}", "unreadable")


def _kinds(begin: bytes) -> Iterator[tuple[str, str]]:
    if is_nifti(begin):
        yield NIFTI, ADVICE["scan"]
    for at, mark, kind, advice in MARKS:
        if begin[at:].startswith(mark):
            yield kind, ADVICE[advice]
