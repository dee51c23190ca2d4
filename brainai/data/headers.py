"""Headers of scan files, checked before a library trusts them: whole, not too large, and naming no
other file. `called` is what errors call the file.
"""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

from brainai.errors import DataError

NIFTI_HEADER_BYTES = 348
MAX_EXTENSION_BYTES = 2**24  # text that AFNI and others put before the voxels
MAX_METAIMAGE_HEADER_BYTES = 2**16
MAX_VOXELS = 100_000_000  # 512 × 512 × 380: bounds the memory, whatever a small packed file claims


def check_size(size: tuple[int, ...], numbers: int, called: str) -> None:
    """Raises DataError where a file is no single volume of three dimensions, or too large.

    Args:
        size: voxels along each axis.
        numbers: per voxel.
    """
    if numbers != 1 or len(size) < 3 or math.prod(size[3:]) != 1:
        found = f"size {size} with {numbers} numbers per voxel"
        if len(size) == 4:
            found = f"{size[3]} volumes in one file"
        raise DataError(
            f"{called}: expected one volume of three dimensions, found {found}. "
            "Save the one sequence that you mean as a file of its own."
        )
    if math.prod(size) > MAX_VOXELS:
        raise _too_large(called, size)


def _too_large(called: str, size: tuple[int, ...]) -> DataError:
    return DataError(
        f"{called}: expected at most {MAX_VOXELS // 1_000_000} million voxels, found "
        f"{' × '.join(map(str, size))}. Resample it to larger voxels.",
        "too_large",
    )


def check_nifti(path: Path, called: str) -> str:
    """Check that a NIfTI file is whole, which its library does not; give the text of its header.

    Text stands in fixed fields and, in files that AFNI wrote, in an extension before the voxels.
    Read piece by piece: a small packed file may unpack to anything.
    """
    try:
        with path.open("rb") as packed:
            is_packed = packed.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as file:
            header = file.read(NIFTI_HEADER_BYTES)
            start, size, voxel_bytes = _voxel_bytes(header)
            check_size(size, 1, called)
            end = start + math.prod(size) * voxel_bytes
            extension = file.read(start - len(header))
            held = len(header) + len(extension)
            while held < end + MAX_EXTENSION_BYTES and (piece := file.read(2**20)):
                held += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(called, "its compressed data break off or are changed") from error
    except (struct.error, ValueError, OverflowError) as error:
        raise damaged(called, "it does not begin with a NIfTI header") from error
    if held < end:
        raise damaged(called, f"it should hold {end} bytes and holds {held}")
    fields = (header[4:32], header[148:252], header[328:344], extension)
    return "\n".join(_text(field) for field in fields if field.strip(b"\0"))


def _voxel_bytes(header: bytes) -> tuple[int, tuple[int, ...], int]:
    """First byte of the voxels, how many there are along each axis, and bytes of one.

    Raises:
        struct.error, ValueError, OverflowError: no NIfTI-1 header.
    """
    order = "<" if header[:4] == struct.pack("<i", NIFTI_HEADER_BYTES) else ">"
    if struct.unpack(order + "i", header[:4])[0] != NIFTI_HEADER_BYTES:
        raise ValueError("not the size of a NIfTI-1 header")
    rank, *sizes = struct.unpack(order + "8h", header[40:56])
    (bits,) = struct.unpack(order + "h", header[72:74])
    (offset,) = struct.unpack(order + "f", header[108:112])
    in_range = NIFTI_HEADER_BYTES <= offset < MAX_EXTENSION_BYTES
    if not 1 <= rank <= 7 or min(sizes[:rank]) < 1 or not 8 <= bits <= 256 or not in_range:
        raise ValueError("impossible sizes")
    return int(offset), tuple(sizes[:rank]), bits // 8


def check_metaimage(path: Path, called: str) -> str:
    """The header of a MetaImage file, which is text and stands before the voxels.

    It may name another file for the voxels: one beside it, and none elsewhere, since a header that
    a visitor sends could name any file of the server.
    """
    try:
        with path.open("rb") as file:
            start = file.read(MAX_METAIMAGE_HEADER_BYTES)
    except OSError as error:
        raise damaged(called, "it cannot be opened") from error
    header, key, rest = start.partition(b"ElementDataFile")
    voxels = re.match(rb"\s*[=:]\s*([\w.-]+)[ \t]*\r?\n", rest)
    if not key or voxels is None or voxels[1].upper() == b"LIST":
        raise damaged(called, "its header does not say that its voxels are in it or beside it")
    return _text(header)


def _text(field: bytes) -> str:
    return field.replace(b"\0", b" ").decode("latin-1").strip()


def damaged(called: str, found: str) -> DataError:
    """The error for a file that is not what its name says."""
    return DataError(
        f"{called}: expected a whole scan file, found a damaged one: {found}. Copy it again.",
        "unreadable",
    )
