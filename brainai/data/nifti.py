"""Read and write NIfTI files. nibabel understands the header; voxels are read plane by plane."""

import contextlib
import gzip
import logging
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np

from brainai.data.headers import check_size, damaged, unclear, unopened
from brainai.data.kinds import GZIP, HEAD_BYTES, NIFTI, no_scan
from brainai.data.voxels import Stored, read_voxels
from brainai.errors import DataError

HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # by their size in bytes
SINGLE_FILE, PAIR = (b"n+1", b"n+2"), (b"ni1", b"ni2")
PAIR_SUFFIXES = ((".hdr", ".img"), (".hdr.gz", ".img.gz"))
MAX_PACKED = 2  # some programs pack what is packed already
MAX_EXTENSION_BYTES = 2**24  # text that AFNI and others put before the voxels
TEXT_FIELDS = ("data_type", "db_name", "descrip", "aux_file", "intent_name")
# Where the voxels lie: all that a viewer may go by.
PLACE = (
    "sizeof_hdr", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c",
    "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
SCANNER, MM = 1, 2  # code of coordinates as the scanner counts them; of the unit
MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # meters, micrometers; all else is mm
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SILENT = logging.Logger("nifti", logging.CRITICAL + 1)


def read_nifti(path: Path, called: str) -> Stored:
    """Read a NIfTI-1 or NIfTI-2 file, packed by gzip or not; or a pair of files, named by either.

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
        header_path, voxels_path = _pair(path, called)
        with contextlib.ExitStack() as opened:
            file = _unpacked(opened.enter_context(header_path.open("rb")))
            beside = None
            if voxels_path is not None:
                beside = _unpacked(opened.enter_context(voxels_path.open("rb")))
            return _read(file, beside, called, count)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged(called, "its compressed data break off or are changed") from error
    except OSError as error:
        raise unopened(called, error) from error


def _pair(path: Path, called: str) -> tuple[Path, Path | None]:
    """Return where header and voxels lie; the latter None where they share a file."""
    name = path.name.lower()
    for suffixes in PAIR_SUFFIXES:
        if name.endswith(suffixes):
            stem = path.name[: -len(suffixes[0])].lower()
            beside = {other.name.lower(): other for other in path.parent.iterdir()}
            found = [beside.get(stem + suffix) for suffix in suffixes]
            if None in found:
                alone, missing = ("header", ".img") if found[0] else ("voxels", ".hdr")
                raise DataError(
                    f"{called}: expected a pair of NIfTI files (.hdr and .img), found the {alone} "
                    f"without the {missing} file of the same name. Bring both in a folder or a zip "
                    "file, or save the scan as one .nii.gz file."
                )
            return found[0], found[1]
    return path, None


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return what a file holds, however often it was packed."""
    for _ in range(MAX_PACKED):
        if file.peek(len(GZIP))[: len(GZIP)] == GZIP:
            file = gzip.GzipFile(fileobj=file, mode="rb")
    return file


def _read(file: IO[bytes], beside: IO[bytes] | None, called: str, count: int) -> list[Stored]:
    header, content = _read_header(file, called, PAIR if beside else SINGLE_FILE)
    size, dtype = header.get_data_shape(), header.get_data_dtype()
    _check_count(size, count, called)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(
            f"{called}: expected whole or floating numbers of at most 64 bits, found {dtype}. "
            "Save the scan in 16 bit."
        )
    start = int(header.get_data_offset())
    least = 0 if beside else len(content)
    if not least <= start <= least + MAX_EXTENSION_BYTES:
        raise unclear(called, "gives impossible numbers")
    if beside:
        beside.read(start)
    extension = file.read(MAX_EXTENSION_BYTES if beside else start - len(content))
    scale, told = _scale(header), (_affine(header), _text(header, extension), _place(header))
    voxels = [read_voxels(beside or file, size[:3], dtype, called, scale) for _ in range(count)]
    _read_to_end(beside or file)
    return [Stored(one, *told) for one in voxels]


def _check_count(size: tuple[int, ...], count: int, called: str) -> None:
    """Raise DataError unless a file of this size holds `count` volumes, none of them too large."""
    check_size(size if count == 1 else size[:3], 1, called)
    found = math.prod(size[3:])
    if found != count:
        raise DataError(
            f"{called}: expected {count} volumes in one file, found {found}. Check that it is the "
            "file that its name says."
        )


def nifti_bytes(voxels: np.ndarray, affine: np.ndarray, place: Mapping[str, Any] | None) -> bytes:
    """The content of a NIfTI file, not packed.

    Args:
        voxels: `[X, Y, Z]` numbers in the file's order of axes.
        affine: `[4, 4]` float, voxel index → LPS, mm; for a file without `place`.
        place: `Stored.place` of a NIfTI file over whose voxels these lie. All its fields are taken
            over: programs differ in which of them they believe.
    """
    header = HEADERS[place["sizeof_hdr"] if place else 348]()
    header.set_data_shape(voxels.shape)
    header.set_data_dtype(voxels.dtype)
    header.set_slope_inter(1, 0)
    header["vox_offset"] = header.sizeof_hdr + 4
    if place:
        for name in PLACE:
            header[name] = place[name]
    else:
        header.set_qform(RAS_TO_LPS @ affine, SCANNER)
        header.set_sform(RAS_TO_LPS @ affine, SCANNER)
        header.set_xyzt_units(MM)
    return header.binaryblock + bytes(4) + voxels.tobytes(order="F")


def _read_to_end(file: IO[bytes]) -> None:
    """Read what follows the voxels: at the end gzip compares its checksum."""
    for _ in range(MAX_EXTENSION_BYTES // 2**20):
        if not file.read(2**20):
            return


def _read_header(
    file: IO[bytes], called: str, magics: tuple[bytes, ...]
) -> tuple[nibabel.Nifti1Header, bytes]:
    """Return the header, understood and checked for sense, and its bytes."""
    begin = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    content = file.read(4)
    for order in ("little", "big"):
        kind = HEADERS.get(int.from_bytes(content, order))
        if kind is not None:
            content += file.read(kind.sizeof_hdr - 4)
            break
    else:
        otherwise = "one that does not begin with a NIfTI header"
        raise no_scan(called, begin, NIFTI.name, otherwise)
    try:
        header = kind(content, "<" if order == "little" else ">", check=False)
        magic = bytes(header["magic"])[:3]
        if magic not in magics:
            raise _other_form(called, magic)
        if not 1 <= int(header["dim"][0]) <= 7:
            raise ValueError("impossible number of dimensions")
        # Called here because nibabel may raise on any of them.
        header.get_data_dtype(), header.get_data_shape(), header.get_data_offset()
        _affine(header)
    except DataError:
        raise
    except Exception as error:  # nibabel has many, HeaderDataError and ValueError among them
        raise unclear(called, "gives impossible numbers") from error
    return header, content


def _other_form(called: str, magic: bytes) -> DataError:
    """Return the error for a header of other files than the name says."""
    if magic in PAIR:
        return DataError(
            f"{called}: expected a NIfTI file with its voxels in it, found the header of a "
            "pair of files. Save the scan as one .nii.gz file."
        )
    if magic in SINGLE_FILE:
        return DataError(
            f"{called}: expected one of a pair of NIfTI files by its name, found a NIfTI file with "
            "its voxels in it. Give it a name that ends in .nii."
        )
    return DataError(
        f"{called}: expected a NIfTI file, found an ANALYZE file, which does not say where left "
        "and right are. Save the scan as NIfTI (.nii.gz) with the program that wrote it."
    )


def _scale(header: nibabel.Nifti1Header) -> tuple[float, float]:
    """Return factor and offset of the numbers; BraTS has offsets that are no number and mean 0."""
    slope, offset = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    return slope, offset if np.isfinite(offset) else 0.0


def _affine(header: nibabel.Nifti1Header) -> np.ndarray:
    """Return the affine from voxel index to LPS, mm: the sform where there is one, else the qform,
    else the sizes of the voxels alone, as nibabel's `load` and the viewers take them."""
    header = header.copy()
    header.check_fix(SILENT, logging.CRITICAL + 1)  # an unknown code, a size below 0: never raises
    turn = np.array([header[f"quatern_{name}"] for name in "bcd"], np.float64)
    if (length := np.linalg.norm(turn)) > 1:  # rounded; nibabel would raise
        for name, value in zip("bcd", turn / length, strict=True):
            header[f"quatern_{name}"] = value
    affine = RAS_TO_LPS @ header.get_best_affine()
    affine[:3] *= MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def _place(header: nibabel.Nifti1Header) -> dict[str, Any]:
    """Return the fields of `PLACE`, as numbers and lists of numbers."""
    return {name: header[name].tolist() for name in PLACE}


def _text(header: nibabel.Nifti1Header, extension: bytes) -> str:
    """Return what the header says in words: in its fields, and in what AFNI adds before voxels."""
    fields = [bytes(header[name]) for name in TEXT_FIELDS if name in header]
    return "\n".join(
        field.replace(b"\0", b" ").decode("latin-1").strip()
        for field in (*fields, extension)
        if field.strip(b"\0")
    )
