"""Read a NIfTI file. nibabel understands the header; the voxels are read plane by plane."""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO

import nibabel
import numpy as np

from brainai.data.headers import check_size, damaged
from brainai.data.voxels import Stored, read_voxels
from brainai.errors import DataError

HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # by their size in bytes
SINGLE_FILE = (b"n+1\0", b"n+2\0")  # a pair of files would name a second one
MAX_EXTENSION_BYTES = 2**24  # text that AFNI and others put before the voxels
TEXT_FIELDS = ("data_type", "db_name", "descrip", "aux_file", "intent_name")
MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # metres, micrometres; all else is mm
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: Path, called: str) -> Stored:
    """Read a NIfTI-1 or NIfTI-2 file, packed by gzip or not.

    Raises:
        DataError: damaged, cut short, too large, or no single volume of numbers.
    """
    (stored,) = read_nifti_volumes(path, called, 1)
    return stored


def read_nifti_volumes(path: Path, called: str, count: int) -> list[Stored]:
    """Read a NIfTI file that holds `count` volumes, one after the other.

    Raises:
        DataError: as `read_nifti`, or another number of volumes.
    """
    try:
        with path.open("rb") as packed:
            is_packed = packed.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as file:
            return _read(file, called, count)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(called, "its compressed data break off or are changed") from error


def _read(file: IO[bytes], called: str, count: int) -> list[Stored]:
    header, content = _read_header(file, called)
    size, dtype = header.get_data_shape(), header.get_data_dtype()
    _check_count(size, count, called)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(
            f"{called}: expected whole or floating numbers of at most 64 bits, found {dtype}. "
            "Save the scan in 16 bit."
        )
    start = int(header.get_data_offset())
    if not len(content) <= start <= len(content) + MAX_EXTENSION_BYTES:
        raise damaged(called, "its header is impossible")
    extension = file.read(start - len(content))
    scale, affine, text = _scale(header), _affine(header), _text(header, extension)
    voxels = [read_voxels(file, size[:3], dtype, called, scale) for _ in range(count)]
    _read_to_end(file)
    return [Stored(one, affine, text) for one in voxels]


def _check_count(size: tuple[int, ...], count: int, called: str) -> None:
    """Raise DataError unless a file of this size holds `count` volumes, none of them too large."""
    check_size(size if count == 1 else size[:3], 1, called)
    found = math.prod(size[3:])
    if found != count:
        raise DataError(
            f"{called}: expected {count} volumes in one file, found {found}. Check that it is the "
            "file that its name says."
        )


def _read_to_end(file: IO[bytes]) -> None:
    """Read what follows the voxels: at the end gzip compares its checksum."""
    for _ in range(MAX_EXTENSION_BYTES // 2**20):
        if not file.read(2**20):
            return


def _read_header(file: IO[bytes], called: str) -> tuple[nibabel.Nifti1Header, bytes]:
    """Return the header, understood and checked for sense, and its bytes."""
    content = file.read(4)
    for order in ("little", "big"):
        kind = HEADERS.get(int.from_bytes(content, order))
        if kind is not None:
            content += file.read(kind.sizeof_hdr - 4)
            break
    else:
        raise damaged(called, "it does not begin with a NIfTI header")
    try:
        header = kind(content, "<" if order == "little" else ">", check=False)
        if bytes(header["magic"])[:3] not in (magic[:3] for magic in SINGLE_FILE):
            raise DataError(
                f"{called}: expected a NIfTI file with its voxels in it, found the header of a "
                "pair of files. Save the scan as one .nii.gz file."
            )
        if not 1 <= int(header["dim"][0]) <= 7:
            raise ValueError("impossible number of dimensions")
        # Called here because nibabel may raise on any of them.
        header.get_data_dtype(), header.get_data_shape(), header.get_data_offset()
        header.get_best_affine()
    except DataError:
        raise
    except Exception as error:  # nibabel has many, HeaderDataError and ValueError among them
        raise damaged(called, "its header is impossible") from error
    return header, content


def _scale(header: nibabel.Nifti1Header) -> tuple[float, float]:
    """Return factor and offset of the numbers; BraTS has offsets that are no number and mean 0."""
    slope, offset = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    return slope, offset if np.isfinite(offset) else 0.0


def _affine(header: nibabel.Nifti1Header) -> np.ndarray:
    """Return the affine from voxel index to LPS, mm: the sform where there is one."""
    affine = RAS_TO_LPS @ header.get_best_affine()
    affine[:3] *= MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def _text(header: nibabel.Nifti1Header, extension: bytes) -> str:
    """Return what the header says in words: in its fields, and in what AFNI adds before voxels."""
    fields = [bytes(header[name]) for name in TEXT_FIELDS if name in header]
    return "\n".join(
        field.replace(b"\0", b" ").decode("latin-1").strip()
        for field in (*fields, extension)
        if field.strip(b"\0")
    )
