"""Read voxels plane by plane from a file that stores one number after the other."""

import math
import zlib
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from brainai.data.headers import damaged


class Stored(NamedTuple):
    """The content of a scan file, in the file's own order of axes.

    voxels: `[X, Y, Z]` numbers.
    affine: `[4, 4]` float, voxel index → mm in LPS coordinates.
    text: the text fields of the header.
    place: the fields of a NIfTI header that `affine` was chosen from (`nifti.PLACE`); None for
        other files.
    """

    voxels: np.ndarray
    affine: np.ndarray
    text: str
    place: dict[str, Any] | None = None


class Readable(Protocol):
    """Anything with the `read` of a binary file."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, fewer only at the end."""


class Inflated:
    """A file-like `read` over data compressed with zlib.

    It decompresses only what is read, because a small file may decompress to a huge one.
    """

    def __init__(self, packed: IO[bytes]):
        self._packed = packed
        self._unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)  # with a zlib or a gzip header

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises:
            zlib.error: the data are damaged.
        """
        pieces = []
        while size > 0 and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._packed.read(2**18)
            piece = self._unpacker.decompress(packed, size)
            if not packed and not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def read_voxels(
    file: Readable,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    called: str,
    scale: tuple[float, float] = (1.0, 0.0),
) -> np.ndarray:
    """Read `[X, Y, Z]` numbers, with x running fastest, in the machine's byte order.

    Floating-point and 64-bit numbers become float32, which bounds the memory. NaN and infinite
    values become 0.

    Args:
        file: positioned at the first voxel.
        dtype: the type in the file: integers or floating-point numbers of 8 to 64 bits.
        called: the name of the file in error messages.
        scale: factor and offset that are applied to each number; the result is float32.
    Raises:
        DataError: the file ends too early.
        OSError, EOFError, zlib.error: its compressed data are damaged.
    """
    plane = math.prod(shape[:2])
    is_scaled = scale != (1.0, 0.0)
    is_float32 = is_scaled or dtype.kind == "f" or dtype.itemsize == 8
    kept = np.dtype(np.float32) if is_float32 else dtype.newbyteorder("=")
    voxels = np.empty(shape[::-1], kept)
    for index, target in enumerate(voxels.reshape(len(voxels), plane)):
        content = _read_all(file, plane * dtype.itemsize)
        if len(content) < plane * dtype.itemsize:
            actual = (index * plane * dtype.itemsize) + len(content)
            expected = len(voxels) * plane * dtype.itemsize
            raise damaged(called, f"it holds {actual} bytes of voxels instead of {expected}")
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = np.frombuffer(content, dtype)
            if is_scaled:
                numbers = numbers * np.float32(scale[0]) + np.float32(scale[1])
            target[:] = numbers
        if kept.kind == "f" and not np.isfinite(target).all():
            np.nan_to_num(target, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return voxels.transpose(2, 1, 0)


def _read_all(file: Readable, size: int) -> bytes:
    """Read `size` bytes, fewer only if the file ends."""
    content = file.read(size)
    while len(content) < size and (more := file.read(size - len(content))):
        content += more
    return content
