"""Read and write NIfTI files. nibabel parses the header; the voxels are read plane by plane."""

import contextlib
import gzip
import logging
import math
import zlib
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeAlias

import nibabel
import numpy as np

from brainai.data.file_names import NIFTI_PAIRS
from brainai.data.headers import check_size, damaged, unclear, unopened
from brainai.data.kinds import GZIP, HEAD_BYTES, NIFTI, no_scan
from brainai.data.voxels import Stored, read_voxels
from brainai.errors import DataError

HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # by header size in bytes
SINGLE_FILE, PAIR = (b"n+1", b"n+2"), (b"ni1", b"ni2")
MAX_PACKED = 2  # some programs compress a file that is compressed already
MAX_EXTENSION_BYTES = 2**24  # of the text that AFNI and others store before the voxels
TEXT_FIELDS = ("data_type", "db_name", "descrip", "aux_file", "intent_name")
# All fields from which viewers take the place of the voxels.
PLACE = (
    "sizeof_hdr", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c",
    "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
SCANNER, MM = 1, 2  # codes of scanner coordinates and of mm
MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # meters, micrometers; any other code means mm
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SILENT = logging.Logger("nifti", logging.CRITICAL + 1)

Opened: TypeAlias = BufferedReader | gzip.GzipFile


def read_nifti(path: Path, called: str) -> Stored:
    """Read a NIfTI-1 or NIfTI-2 file, compressed with gzip or not.

    Args:
        path: the file, or either file of an .hdr and .img pair.
        called: the name of the file in error messages.
    Raises:
        DataError: the file is damaged, truncated or too large, or it does not hold exactly one
            volume of numbers.
    """
    (stored,) = read_nifti_volumes(path, called, 1)
    return stored


def read_nifti_volumes(path: Path, called: str, count: int) -> list[Stored]:
    """Read a NIfTI file that holds `count` volumes, one after the other.

    Raises:
        DataError: as in `read_nifti`, or the file holds another number of volumes.
    """
    try:
        header_path, voxels_path = _pair(path, called)
        with contextlib.ExitStack() as opened:
            header_file = _unpacked(opened.enter_context(header_path.open("rb")))
            voxels_file = None
            if voxels_path is not None:
                voxels_file = _unpacked(opened.enter_context(voxels_path.open("rb")))
            return _read(header_file, voxels_file, called, count)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged(called, "its compressed data are truncated or corrupted") from error
    except OSError as error:
        raise unopened(called, error) from error


def _pair(path: Path, called: str) -> tuple[Path, Path | None]:
    """Return the paths of header and voxels; the second is None if they share a file."""
    name = path.name.lower()
    for suffixes in NIFTI_PAIRS:
        if name.endswith(suffixes):
            stem = path.name[: -len(suffixes[0])].lower()
            files = {other.name.lower(): other for other in path.parent.iterdir()}
            header, voxels = (files.get(stem + suffix) for suffix in suffixes)
            if header is None or voxels is None:
                alone, missing = ("header", ".img") if header else ("voxels", ".hdr")
                raise DataError(
                    f"{called}: expected a pair of NIfTI files (.hdr and .img), found the {alone} "
                    f"without the {missing} file of the same name. Provide both in a folder or a "
                    "zip file, or save the scan as one .nii.gz file."
                )
            return header, voxels
    return path, None


def _unpacked(file: Opened) -> Opened:
    """Return the decompressed content of a file that was compressed at most `MAX_PACKED` times."""
    for _ in range(MAX_PACKED):
        if file.peek(len(GZIP))[: len(GZIP)] == GZIP:
            file = gzip.GzipFile(fileobj=file, mode="rb")
    return file


def _read(header_file: Opened, voxels_file: Opened | None, called: str, count: int) -> list[Stored]:
    """Read the volumes; `voxels_file` is None if the voxels follow the header."""
    header, content = _read_header(header_file, called, PAIR if voxels_file else SINGLE_FILE)
    size, dtype = header.get_data_shape(), header.get_data_dtype()
    _check_count(size, count, called)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(
            f"{called}: expected integers or floating-point numbers of at most 64 bits, found "
            f"{dtype}. Save the scan with 16-bit integers."
        )
    start = int(header.get_data_offset())
    least = 0 if voxels_file else len(content)
    if not least <= start <= least + MAX_EXTENSION_BYTES:
        raise unclear(called, "gives impossible numbers")
    if voxels_file:
        voxels_file.read(start)
    extension = header_file.read(MAX_EXTENSION_BYTES if voxels_file else start - len(content))
    affine, text, place = _affine(header), _text(header, extension), _place(header)
    file, scale = voxels_file or header_file, _scale(header)
    volumes = [read_voxels(file, size[:3], dtype, called, scale) for _ in range(count)]
    _read_to_end(file)
    return [Stored(voxels, affine, text, place) for voxels in volumes]


def _check_count(size: tuple[int, ...], count: int, called: str) -> None:
    """Raise DataError unless a file of this size holds `count` volumes that are not too large."""
    check_size(size if count == 1 else size[:3], 1, called)
    found = math.prod(size[3:])
    if found != count:
        raise DataError(
            f"{called}: expected {count} volumes in one file, found {found}. Check that this is "
            "the right file."
        )


def nifti_bytes(voxels: np.ndarray, affine: np.ndarray, place: Mapping[str, Any] | None) -> bytes:
    """Return the content of an uncompressed NIfTI file.

    Args:
        voxels: `[X, Y, Z]` numbers in the file's order of axes.
        affine: `[4, 4]` float, voxel index → LPS, mm; used only without `place`.
        place: `Stored.place` of the NIfTI file that the voxels lie over. All of its fields are
            copied, because programs differ in which of them they use.
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


def _read_to_end(file: Opened) -> None:
    """Read what follows the voxels, because gzip verifies its checksum at the end."""
    for _ in range(MAX_EXTENSION_BYTES // 2**20):
        if not file.read(2**20):
            return


def _read_header(
    file: Opened, called: str, magics: tuple[bytes, ...]
) -> tuple[nibabel.Nifti1Header, bytes]:
    """Return the parsed and checked header, and its bytes."""
    begin = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    content = file.read(4)
    for order in ("little", "big"):
        kind = HEADERS.get(int.from_bytes(content, order))
        if kind is not None:
            content += file.read(kind.sizeof_hdr - 4)
            break
    else:
        unknown = "one that does not begin with a NIfTI header"
        raise no_scan(called, begin, NIFTI.name, unknown)
    try:
        header = kind(content, "<" if order == "little" else ">", check=False)
        magic = bytes(header["magic"])[:3]
        if magic not in magics:
            raise _other_form(called, magic)
        if not 1 <= int(header["dim"][0]) <= 7:
            raise ValueError("impossible number of dimensions")
        # Called here because nibabel may raise an exception in any of them.
        header.get_data_dtype(), header.get_data_shape(), header.get_data_offset()
        _affine(header)
    except DataError:
        raise
    except Exception as error:  # nibabel raises many types, among them HeaderDataError
        raise unclear(called, "gives impossible numbers") from error
    return header, content


def _other_form(called: str, magic: bytes) -> DataError:
    """Return the error for a header whose kind of file differs from the one that was expected."""
    if magic in PAIR:
        return DataError(
            f"{called}: expected a NIfTI file that contains its voxels, found the header of a "
            "pair of files. Save the scan as one .nii.gz file."
        )
    if magic in SINGLE_FILE:
        return DataError(
            f"{called}: expected one file of a NIfTI pair, as its name says, found a NIfTI file "
            "that contains its voxels. Give it a name that ends in .nii."
        )
    return DataError(
        f"{called}: expected a NIfTI file, found an ANALYZE file, which does not record which side "
        "is left. Save the scan as NIfTI (.nii.gz) with the program that wrote it."
    )


def _scale(header: nibabel.Nifti1Header) -> tuple[float, float]:
    """Return the factor and offset of the numbers. BraTS has NaN as offset, which means 0."""
    slope, offset = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    return slope, offset if np.isfinite(offset) else 0.0


def _affine(header: nibabel.Nifti1Header) -> np.ndarray:
    """Return the affine from voxel index to LPS, mm.

    As in nibabel and in viewers, it comes from the sform, else from the qform, else from the sizes
    of the voxels alone.
    """
    header = header.copy()
    header.check_fix(SILENT, logging.CRITICAL + 1)  # mends unknown codes and negative sizes
    turn = np.array([header[f"quatern_{name}"] for name in "bcd"], np.float64)
    if (length := np.linalg.norm(turn)) > 1:  # by rounding; nibabel would raise an exception
        for name, value in zip("bcd", turn / length, strict=True):
            header[f"quatern_{name}"] = value
    affine = RAS_TO_LPS @ header.get_best_affine()
    affine[:3] *= MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def _place(header: nibabel.Nifti1Header) -> dict[str, Any]:
    """Return the fields of `PLACE`, as numbers and lists of numbers."""
    return {name: header[name].tolist() for name in PLACE}


def _text(header: nibabel.Nifti1Header, extension: bytes) -> str:
    """Return the text in the header's fields and in the extension that AFNI adds before voxels."""
    fields = [bytes(header[name]) for name in TEXT_FIELDS if name in header]
    return "\n".join(
        field.replace(b"\0", b" ").decode("latin-1").strip()
        for field in (*fields, extension)
        if field.strip(b"\0")
    )
