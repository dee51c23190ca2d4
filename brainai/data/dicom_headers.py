"""What the headers of DICOM files say of each picture. SimpleITK's GDCM reader reads them.

Of the headers nothing is kept but geometry, and nothing of theirs is ever quoted but the number of
a series: names, ids and dates of patients end here.
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
from brainai.data.headers import MAX_ORIGIN_MM
from brainai.errors import DataError

SAME_AXES = 0.01  # direction cosines of one stack differ by rounding alone
OTHER_MACHINES = {"CT", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OP"}
# The classes of MR pictures: one that cannot be read is a missing slice, anything else is none.
MR_PICTURES = {f"1.2.840.10008.5.1.4.1.1.4{kind}" for kind in ("", ".1", ".3", ".4")}
# What has pixels and is no picture of a scanner: segmentations, maps, doses, pictures of displays.
DRAWN = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(66|30|481|11)(\..*)?")
DECODED = re.compile(  # the transfer syntaxes that GDCM decodes
    r"(1\.2\.840\.10008\.1\.2(\.1|\.1\.99|\.2|\.5|\.4\.(50|51|57|70|80|81|90|91))?"
    r"|1\.2\.840\.113619\.5\.2)?"
)
NAMES = ("0008|103e", "0018|1030", "0018|0024")  # of the series, its protocol, its sequence


@dataclass(frozen=True)
class Slice:
    """What the header of one DICOM file says of its place.

    series, picture: unique ids, to tell files apart; never shown.
    number: of the series, digits or "?".
    shape: columns and rows; frames: pictures in the file.
    least_bytes: that its pixels take where they are not compressed.
    kind: whether it is FLAIR, by names, times and kind of sequence.
    position: of the first pixel, mm, LPS; axes: unit vectors along a row and along a column.
    spacing: mm between columns and between rows.
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
        """True where the header says how large a pixel is, and it makes sense."""
        return len(self.spacing) == 2 and all(0 < side < math.inf for side in self.spacing)

    @property
    def has_place(self) -> bool:
        """True where the header says all of it, and it makes sense."""
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
    """slices: of the files that hold pictures. others: how many DICOM files hold none, such as
    presentation states, key objects, reports, raw data and a DICOMDIR."""

    slices: list[Slice]
    others: int


def read_headers(paths: Iterable[Path], called: str) -> Headers:
    """Read the headers of those files that hold pictures; copies count once.

    Raises:
        DataError: an MR picture cannot be read, or a file is one that GDCM must not see.
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
        found = _slice(path, reader)
        if structure.pixel_bytes is not None and structure.pixel_bytes < found.least_bytes:
            raise damaged_series(called)
        # A file copied twice counts once. An id alone is no sign of a copy: some programs that take
        # names out of headers give all files one.
        key = (found.picture, found.series, found.position, found.axes)
        if not found.position or (key in slices and not _is_copy(path, slices[key].path)):
            key = path
        slices.setdefault(key, found)
    return Headers(list(slices.values()), others)


def _is_copy(path: Path, other: Path) -> bool:
    """Whether two files hold the same pixels; True where one of them cannot be read."""
    try:
        images = [sitk.ReadImage(str(p), sitk.sitkFloat32, "GDCMImageIO") for p in (path, other)]
    except RuntimeError:
        return True
    return np.array_equal(*map(sitk.GetArrayFromImage, images))


def _is_no_picture(structure: Structure) -> bool:
    """Whether a file has nothing that could be a slice; where that is not known, False."""
    if DRAWN.fullmatch(structure.sop_class):
        return True
    return structure.is_whole and not structure.has_pixels


def _examined(path: Path, called: str) -> Structure:
    """Return what a file holds.

    Raises:
        DataError: GDCM must not see the file.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
        structure = examine(content)
    if structure.is_too_deep:
        raise DataError(
            f"{called}: expected DICOM files as a scanner writes them, found sequences that lie "
            f"more than {MAX_DEPTH} deep in each other. Export the series again.",
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
        spacing=numbers("0028|0030")[::-1],  # DICOM has the distance of rows first
    )


def _packed_otherwise(called: str) -> DataError:
    return DataError(
        f"{called}: expected DICOM files with plain pixels, or in JPEG, JPEG-LS, JPEG 2000 or "
        "RLE, found another compression. Export the series uncompressed.",
        "unreadable",
    )


def _incomplete(called: str) -> DataError:
    return DataError(
        f"{called}: expected DICOM files that say how their pixels are stored, found one that does "
        "not. Export the series as the scanner made it.",
        "unreadable",
    )


def damaged_series(called: str) -> DataError:
    """Return the error for a file that is not whole."""
    return DataError(
        f"{called}: expected whole DICOM files, found one that is damaged or cut short. "
        "Copy the series again.",
        "unreadable",
    )
