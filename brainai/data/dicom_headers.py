"""Read the headers of DICOM files with SimpleITK's GDCM reader.

Only the geometry of the headers is kept, and messages quote nothing but the number of a series, so
that names, ids and dates of patients go no further.
"""

import math
import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from brainai.data.dicom_sequence import Header, Kind, kind_of
from brainai.data.dicom_structure import MAX_DEPTH, Structure, examine
from brainai.data.headers import MAX_ORIGIN_MM, MAX_PIXEL_MM, MIN_PIXEL_MM, unopened
from brainai.errors import DataError

SAME_AXES = 0.01  # direction cosines within one stack differ only by rounding
OTHER_MACHINES = {"CT", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OP"}
# SOP classes of MR pictures. One that cannot be read is a missing slice; other classes are not.
MR_PICTURES = {f"1.2.840.10008.5.1.4.1.1.4{kind}" for kind in ("", ".1", ".3", ".4")}
# SOP classes with pixels that no scanner made: segmentations, maps, doses, presentation states.
DRAWN = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(66|30|481|11)(\..*)?")
DECODED = re.compile(  # the transfer syntaxes that GDCM decodes
    r"(1\.2\.840\.10008\.1\.2(\.1|\.1\.99|\.2|\.5|\.4\.(50|51|57|70|80|81|90|91))?"
    r"|1\.2\.840\.113619\.5\.2)?"
)
NAMES = ("0008|103e", "0018|1030", "0018|0024")  # names of the series, protocol and sequence


@dataclass(frozen=True)
class Slice:
    """The header of one DICOM file, as far as geometry and sequence go.

    series, picture: unique ids that tell files apart; they are never shown.
    number: the number of the series, digits or "?".
    shape: number of columns and rows.
    frames: number of pictures in the file.
    least_bytes: how many bytes its pixels take if they are not compressed.
    kind: whether the series is FLAIR, by names, times and kind of sequence.
    position: place of the first pixel in LPS coordinates, mm.
    axes: unit vectors along a row and along a column.
    spacing: distance of columns and of rows, mm.
    """

    path: Path
    series: str
    picture: str
    number: str
    shape: tuple[int, int]
    frames: int
    least_bytes: int
    is_gray: bool
    is_mr: bool
    kind: Kind
    position: tuple[float, ...]
    axes: tuple[float, ...]
    spacing: tuple[float, ...]

    @property
    def has_pixel_size(self) -> bool:
        """Whether the header gives a plausible size of a pixel."""
        return len(self.spacing) == 2 and all(0 < side < math.inf for side in self.spacing)

    @property
    def pixel_mm(self) -> float | None:
        """Side in mm of a square with the area of a pixel; None without a plausible size."""
        side = math.sqrt(math.prod(self.spacing)) if self.has_pixel_size else 0.0
        return side if MIN_PIXEL_MM <= side <= MAX_PIXEL_MM else None

    @property
    def has_place(self) -> bool:
        """Whether the header gives a plausible position, orientation and size of a pixel."""
        if (len(self.position), len(self.axes)) != (3, 6) or not self.has_pixel_size:
            return False
        numbers = np.array([*self.position, *self.axes])
        row, column = np.reshape(self.axes, (2, 3))
        lengths = np.array([row @ row, column @ column, 1 + row @ column])
        return bool(
            np.isfinite(numbers).all()
            and max(map(abs, self.position)) <= MAX_ORIGIN_MM
            and np.abs(lengths - 1).max() < 10 * SAME_AXES
        )


class Headers(NamedTuple):
    """The headers of some files.

    slices: the headers of the files that hold pictures.
    others: how many DICOM files hold no picture, such as presentation states, key objects, reports,
        raw data and a DICOMDIR.
    """

    slices: list[Slice]
    others: int


def read_headers(paths: Iterable[Path], called: str) -> Headers:
    """Read the headers of the files that hold pictures. Copies count once.

    Raises:
        DataError: an MR picture cannot be read, a file cannot be opened, or it is unsafe to open
            with GDCM.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    slices: dict[object, Slice] = {}
    others = 0
    for path in paths:
        structure = _examined(path, called)
        if _is_no_picture(structure):
            others += bool(structure.sop_class)
            continue
        is_mr = structure.sop_class in MR_PICTURES
        if is_mr and not DECODED.fullmatch(structure.syntax):
            raise _packed_otherwise(called)
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            if is_mr:
                raise (_incomplete if structure.is_whole else damaged_series)(called) from None
            others += bool(structure.sop_class)
            continue
        header = _slice(path, reader)
        if structure.pixel_bytes is not None and structure.pixel_bytes < header.least_bytes:
            raise damaged_series(called)
        # A copied file counts once. Equal ids do not prove that a file is a copy, because some
        # de-identification programs give one id to all files.
        key: object = (header.picture, header.series, header.position, header.axes)
        if not header.position or (key in slices and not _is_copy(path, slices[key].path)):
            key = path
        slices.setdefault(key, header)
    return Headers(list(slices.values()), others)


def _is_copy(path: Path, other: Path) -> bool:
    """Return whether two files hold the same pixels, or True if one of them cannot be read."""
    try:
        images = [sitk.ReadImage(str(p), sitk.sitkFloat32, "GDCMImageIO") for p in (path, other)]
    except RuntimeError:
        return True
    return np.array_equal(*map(sitk.GetArrayFromImage, images))


def _is_no_picture(structure: Structure) -> bool:
    """Return whether a file certainly holds nothing that could be a slice."""
    if DRAWN.fullmatch(structure.sop_class):
        return True
    return structure.is_whole and not structure.has_pixels


def _examined(path: Path, called: str) -> Structure:
    """Return the structure of a file.

    Raises:
        DataError: the file cannot be opened, or it is unsafe to open with GDCM.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise unopened(called, error) from error
    structure = examine(content)
    if structure.is_too_deep:
        raise DataError(
            f"{called}: expected DICOM files as a scanner writes them, found sequences that are "
            f"nested more than {MAX_DEPTH} levels deep. Export the series again.",
            "unreadable",
        )
    return structure


def _slice(path: Path, reader: sitk.ImageFileReader) -> Slice:
    def text(tag: str) -> str:
        return reader.GetMetaData(tag).strip(" \0") if reader.HasMetaDataKey(tag) else ""

    def numbers(tag: str) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in text(tag).split("\\"))
        except ValueError:
            return ()

    def longest(tag: str) -> float:
        return max(numbers(tag), default=0.0)

    number, size, bits = text("0020|0011"), reader.GetSize(), text("0028|0100")
    return Slice(
        path=path,
        series=text("0020|000e"),
        picture=text("0008|0018"),
        number=number if re.fullmatch(r"[0-9]{1,9}", number) else "?",
        shape=(size[0], size[1]),
        frames=math.prod(size[2:]),
        least_bytes=math.prod(size) * (int(bits) if bits.isdecimal() else 0) // 8,
        is_gray=reader.GetNumberOfComponents() == 1 and text("0028|0004") != "PALETTE COLOR",
        is_mr=text("0008|0060") not in OTHER_MACHINES,
        kind=kind_of(
            Header(
                names=[text(tag) for tag in NAMES],
                kinds=frozenset(re.split(r"[\\\s]+", text("0018|0020"))),
                inversion=longest("0018|0082"),
                echo=longest("0018|0081"),
                contrast=text("0008|9209"),
            )
        ),
        position=numbers("0020|0032"),
        axes=numbers("0020|0037"),
        spacing=numbers("0028|0030")[::-1],  # DICOM gives the distance of rows first
    )


def _packed_otherwise(called: str) -> DataError:
    return DataError(
        f"{called}: expected DICOM files without compression, or with JPEG, JPEG-LS, JPEG 2000 or "
        "RLE, found another compression. Export the series without compression.",
        "unreadable",
    )


def _incomplete(called: str) -> DataError:
    return DataError(
        f"{called}: expected DICOM files that say how their pixels are stored, found one that does "
        "not. Export the series unchanged from the scanner.",
        "unreadable",
    )


def damaged_series(called: str) -> DataError:
    """Return the error for a damaged or truncated file."""
    return DataError(
        f"{called}: expected complete DICOM files, found one that is damaged or truncated. "
        "Copy the series again.",
        "unreadable",
    )
