"""Read and write MetaImage files (.mha, .mhd).

A header may name other files that hold its voxels. MetaIO, the format's own library, opens whatever
the header names, which for a header from a visitor could be any file of the server. This reader
opens at most one file in the folder of the header, and only if the caller allows it.
"""

import re
import zlib
from io import BufferedReader
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from brainai.data.headers import check_size, damaged, unclear, unopened
from brainai.data.kinds import HEAD_BYTES, METAIMAGE, no_scan
from brainai.data.voxels import Inflated, Stored, read_voxels
from brainai.errors import DataError

MAX_HEADER_BYTES = 2**16
MAX_LINES = 1000
TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
# Alternative names of a field; MetaIO prefers the first.
SYNONYMS = {
    "spacing": ("ElementSpacing", "ElementSize"),
    "origin": ("Offset", "Position", "Origin"),
    "direction": ("TransformMatrix", "Rotation", "Orientation"),
    "is_big_endian": ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"),
}
# Fields that decide which bytes are read and what they mean.
FIELDS = {
    "ObjectType", "NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "ElementDataFile",
    "BinaryData", "CompressedData", "CompressedDataSize", "HeaderSize", "HeaderSizePerSlice",
}.union(*SYNONYMS.values())  # fmt: skip
LOWER_CASE = {name.lower(): name for name in FIELDS}
LINE = re.compile(r"\s*([^\s=:][^=:]*?)\s*[=:]\s*(.*?)\s*")
PLAIN_NAME = re.compile(r"[^/\\%\0]+")


def read_metaimage(path: Path, called: str, allow_companion: bool = True) -> Stored:
    """Read a MetaImage file.

    Args:
        called: the name of the file in error messages.
        allow_companion: whether the voxels may be in another file of the same folder. Use False
            for files from untrusted sources.
    Raises:
        DataError: the file is damaged, truncated or too large, it does not hold exactly one volume
            of numbers, or its header names a file that may not be read.
    """
    try:
        with path.open("rb") as file:
            fields = _read_fields(file, called)
            size, dtype = _size_and_type(fields, called)
            name = fields["ElementDataFile"]
            if _is_local(fields):
                voxels = _read(file, fields, size, dtype, called)
            else:
                with _companion(path, name, called, allow_companion).open("rb") as companion:
                    voxels = _read(companion, fields, size, dtype, called)
    except (EOFError, zlib.error) as error:
        raise damaged(called, "the file or its compressed data are truncated") from error
    except OSError as error:
        raise unopened(called, error) from error
    return Stored(voxels, _affine(fields, called), "\n".join(fields.values()))


def metaimage_bytes(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    """Return the content of a compressed MetaImage file (.mha).

    Args:
        voxels: `[X, Y, Z]` uint8 in the file's order of axes.
        affine: `[4, 4]` float, voxel index → LPS, mm.
    """
    packed = zlib.compress(voxels.tobytes(order="F"))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": str(len(packed)),
        "TransformMatrix": _text((affine[:3, :3] / spacing).T),  # a row for each axis in the file
        "Offset": _text(affine[:3, 3]),
        "ElementSpacing": _text(spacing),
        "DimSize": _text(voxels.shape),
        "ElementType": "MET_UCHAR",
        "ElementDataFile": "LOCAL",
    }
    header = "".join(f"{name} = {value}\n" for name, value in fields.items())
    return header.encode() + packed


def _text(numbers: ArrayLike) -> str:
    return " ".join(repr(number) for number in np.ravel(numbers).tolist())


def _read_fields(file: BufferedReader, called: str) -> dict[str, str]:
    """Read the fields of the header up to ElementDataFile, the last one.

    The file is then positioned after the header.

    Raises:
        DataError: a line is not a field, or a field that decides what is read appears twice or
            with another capitalization.
    """
    fields: dict[str, str] = {}
    begin = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    left = MAX_HEADER_BYTES
    for _ in range(MAX_LINES):
        line = file.readline(left)
        left -= len(line)
        match = LINE.fullmatch(line.decode("latin-1"))
        if match is None or not line.endswith(b"\n") or b"\0" in line:
            break
        name, value = match[1], match[2]
        known = LOWER_CASE.get(name.lower())
        if known is not None and (known != name or name in fields):
            raise unclear(called, f"has the field {known} twice or misspelled")
        fields[name] = value
        if name == "ElementDataFile":
            return fields
    unknown = "one that does not begin with a MetaImage header"
    raise no_scan(called, b"?" if fields else begin, METAIMAGE.name, unknown)


def _companion(path: Path, name: str, called: str, allowed: bool) -> Path:
    """Return the file in the same folder that the header names for its voxels."""
    is_plain = PLAIN_NAME.fullmatch(name) and name not in (".", "..") and name[:4].upper() != "LIST"
    if not allowed or not is_plain:
        raise DataError(
            f"{called}: expected a MetaImage file that contains its voxels or has them in one file "
            "beside it, found a header that names other files. Save the scan as one .mha file."
        )
    spellings = (name.encode("latin-1").decode("utf-8", "surrogateescape"), name)
    for companion in (path.resolve().parent / spelling for spelling in spellings):
        if companion.is_file() and companion.resolve() == companion:
            return companion
    raise DataError(
        f"{called}: expected a MetaImage file that contains its voxels or has them in one file "
        "beside it, found a header alone. Provide its data file too, or save the scan as one .mha "
        "file."
    )


def _size_and_type(fields: dict[str, str], called: str) -> tuple[tuple[int, int, int], np.dtype]:
    try:
        size = tuple(int(number) for number in fields["DimSize"].split())
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        if len(size) != int(fields["NDims"]) or fields["ObjectType"] != "Image":
            raise ValueError("contradicts itself")
    except (KeyError, ValueError) as error:
        raise unclear(called, "does not say how many voxels there are") from error
    check_size(size, channels, called)
    if fields.get("ElementType") not in TYPES or not _is_true(fields, "BinaryData", True):
        raise DataError(
            f"{called}: expected binary numbers of a known type, found text or an unknown type. "
            "Save the scan as NIfTI."
        )
    is_big_endian = _is_true(fields, _name(fields, "is_big_endian"), False)
    x, y, z = size[:3]  # any further axis has the length 1
    return (x, y, z), np.dtype((">" if is_big_endian else "<") + TYPES[fields["ElementType"]])


def _read(
    file: IO[bytes],
    fields: dict[str, str],
    size: tuple[int, int, int],
    dtype: np.dtype,
    called: str,
) -> np.ndarray:
    """Read the voxels from the header's own file, positioned after it, or from its data file."""
    try:
        skipped = int(fields.get("HeaderSize", "0"))
    except ValueError as error:
        raise unclear(called, "gives impossible numbers") from error
    if (skipped and _is_local(fields)) or skipped < -1:
        raise unclear(called, "gives impossible numbers")
    if _is_true(fields, "CompressedData", False):
        return read_voxels(Inflated(file), size, dtype, called)
    if skipped == -1:  # the voxels are the last bytes of the file
        skipped = max(0, file.seek(0, 2) - int(np.prod(size)) * dtype.itemsize)
    if skipped:
        file.seek(skipped)
    return read_voxels(file, size, dtype, called)


def _affine(fields: dict[str, str], called: str) -> np.ndarray:
    """Return the affine from voxel index to LPS, mm."""
    rank = int(fields["NDims"])
    affine = np.eye(rank + 1)
    try:
        axes = _numbers(fields, "direction", np.eye(rank).ravel()).reshape(rank, rank)
        spacing = _numbers(fields, "spacing", np.ones(rank)).reshape(rank)
        affine[:rank, rank] = _numbers(fields, "origin", np.zeros(rank)).reshape(rank)
    except ValueError as error:
        raise unclear(called, "does not say where the voxels lie") from error
    if (spacing <= 0).any():
        spacing = np.full(rank, np.nan)  # `check_place` refuses it
    with np.errstate(over="ignore", invalid="ignore"):
        affine[:rank, :rank] = axes.T * spacing  # the file has a row for each axis
    return affine[np.ix_((0, 1, 2, rank), (0, 1, 2, rank))]


def _numbers(fields: dict[str, str], field: str, default: np.ndarray) -> np.ndarray:
    text = fields.get(_name(fields, field))
    return default if text is None else np.array([float(part) for part in text.split()])


def _name(fields: dict[str, str], field: str) -> str:
    """Return the name that this header uses for a field."""
    names = SYNONYMS[field]
    return next((name for name in names if name in fields), names[0])


def _is_local(fields: dict[str, str]) -> bool:
    """Return whether the voxels follow the header in the same file."""
    return fields["ElementDataFile"] in ("LOCAL", "Local", "local")


def _is_true(fields: dict[str, str], name: str, default: bool) -> bool:
    value = fields.get(name)
    return default if value is None else value[:1] in "Tt1"
