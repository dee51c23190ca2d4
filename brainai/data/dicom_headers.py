"""What the headers of DICOM files say of each picture. SimpleITK's GDCM reader reads them.

Of the headers nothing is kept but geometry, and nothing of theirs is ever quoted but the number of
a series: names, ids and dates of patients end here.
"""

import math
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from brainai.data.dicom_structure import MAX_DEPTH, examine
from brainai.data.headers import MAX_ORIGIN_MM
from brainai.errors import DataError

SAME_AXES = 0.01  # direction cosines of one stack differ by rounding alone
FLAIR = re.compile(r"flair|dark.?fluid", re.IGNORECASE)  # as the makers of scanners call it
# Times of a sequence, ms. FLAIR waits 1500 to 3000 for the signal of fluid to vanish, and has an
# echo time from 70 on; beyond these wider limits a series is something else, whatever its name.
INVERSION_MS, LEAST_ECHO_MS = (1300.0, 3500.0), 40.0
GRADIENT_ECHO = {"GR", "EP"}  # the makers' words for gradient echoes and echo planar pictures
OTHER_MACHINES = {"CT", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "OP"}
# The class of MR pictures, at the start of a file: one that cannot be read is a missing slice,
# while reports and other things that travel with a series are none.
MR_PICTURE = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.4(\.[134])?[\0 \x02]")


@dataclass(frozen=True)
class Slice:
    """What the header of one DICOM file says of its place.

    series, picture: unique ids, to tell files apart; never shown.
    number: of the series, digits or "?".
    shape: columns and rows; frames: pictures in the file.
    least_bytes: that its pixels take where they are not compressed.
    is_flair: its names say FLAIR; not_flair: what of its times or kind says that it is none, in a
        few words, or "". Where the header is silent, neither.
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
    is_grey: bool
    is_mr: bool
    is_flair: bool
    not_flair: str
    position: tuple[float, ...]
    axes: tuple[float, ...]
    spacing: tuple[float, ...]

    @property
    def has_place(self) -> bool:
        """True where the header says all of it, and it makes sense."""
        if (len(self.position), len(self.axes), len(self.spacing)) != (3, 6, 2):
            return False
        numbers = np.array([*self.position, *self.axes, *self.spacing])
        row, column = np.reshape(self.axes, (2, 3))
        lengths = np.array([row @ row, column @ column, 1 + row @ column])
        return bool(
            np.isfinite(numbers).all()
            and min(self.spacing) > 0
            and max(map(abs, self.position)) <= MAX_ORIGIN_MM
            and np.abs(lengths - 1).max() < 10 * SAME_AXES
        )


def read_headers(paths: Iterable[Path], called: str) -> Iterator[Slice]:
    """Read the headers of those files that hold pictures; copies count once.

    Raises:
        DataError: an MR picture is damaged, or a file is one that GDCM must not see.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    seen = set()
    for path in paths:
        pixel_bytes = _pixel_bytes(path, called)
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            if _is_mr_picture(path):
                raise damaged_series(called) from None
            continue
        found = _slice(path, reader)
        if pixel_bytes is not None and pixel_bytes < found.least_bytes:
            raise damaged_series(called)
        if found.picture and found.picture in seen:  # copied twice
            continue
        seen.add(found.picture)
        yield found


def _pixel_bytes(path: Path, called: str) -> int | None:
    """Return how many bytes of pixels a file has, where that is known.

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
    return structure.pixel_bytes


def _slice(path: Path, reader: sitk.ImageFileReader) -> Slice:
    def text(tag: str) -> str:
        return reader.GetMetaData(tag).strip(" \0") if reader.HasMetaDataKey(tag) else ""

    def numbers(tag: str) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in text(tag).split("\\"))
        except ValueError:
            return ()

    # Name of the series, of the protocol, and of the sequence: whichever the scanner filled in.
    is_flair = any(FLAIR.search(text(tag)) for tag in ("0008|103e", "0018|1030", "0018|0024"))
    number, size, bits = text("0020|0011"), reader.GetSize(), text("0028|0100")
    return Slice(
        path=path,
        series=text("0020|000e"),
        picture=text("0008|0018"),
        number=number if re.fullmatch(r"[0-9]{1,9}", number) else "?",
        shape=(size[0], size[1]),
        frames=math.prod(size[2:]),
        least_bytes=math.prod(size) * (int(bits) if bits.isdecimal() else 0) // 8,
        is_grey=reader.GetNumberOfComponents() == 1 and text("0028|0004") != "PALETTE COLOR",
        is_mr=text("0008|0060") not in OTHER_MACHINES,
        is_flair=is_flair,
        not_flair=contradicts_flair(
            *(max(numbers(tag), default=0.0) for tag in ("0018|0082", "0018|0081")),
            set(re.split(r"[\\\s]+", text("0018|0020"))),
            is_flair,
        ),
        position=numbers("0020|0032"),
        axes=numbers("0020|0037"),
        spacing=numbers("0028|0030")[::-1],  # DICOM has the distance of rows first
    )


def contradicts_flair(inversion: float, echo: float, kinds: set[str], is_flair: bool) -> str:
    """What of a header says plainly that a series is no FLAIR, in a few words; "" where nothing.

    Args:
        inversion, echo: times, ms; 0 where the header gives none.
        kinds: of sequence, as "SE", "IR", "GR", "EP".
        is_flair: it calls itself FLAIR.
    """
    if inversion > 0:
        low, high = INVERSION_MS
        return "" if low <= inversion <= high else "another inversion time than FLAIR has"
    if 0 < echo < LEAST_ECHO_MS:
        return "an echo time as short as in T1 or proton density"
    if kinds & GRADIENT_ECHO and "IR" not in kinds and not is_flair:
        return "gradient echoes without an inversion"
    return ""


def _is_mr_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MR_PICTURE.search(file.read(1024)) is not None
    except OSError:
        return False


def damaged_series(called: str) -> DataError:
    """Return the error for a file that is not whole."""
    return DataError(
        f"{called}: expected whole DICOM files, found one that is damaged or cut short. "
        "Copy the series again.",
        "unreadable",
    )
