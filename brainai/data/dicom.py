"""A DICOM series → `Volume`. SimpleITK's GDCM reader decodes; which files belong together, and
where they lie, is decided here, so that each refusal can say what was found.

Of the headers nothing is kept but geometry, and nothing of theirs is ever quoted but the number of
a series: names, ids and dates of patients end here.
"""

import math
import mmap
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from brainai.data.dicom_structure import MAX_DEPTH, examine
from brainai.data.headers import MAX_ORIGIN_MM, check_place, check_size
from brainai.data.volumes import Volume, keep_quiet, oriented
from brainai.data.voxels import Stored
from brainai.errors import DataError

MIN_SLICES = 4  # a stack of fewer is a localizer
STEP_TOLERANCE = 0.1  # of the distance of two slices; headers round, missing slices double it
SAME_AXES = 0.01  # direction cosines of one stack differ by rounding alone
FLAIR = re.compile(r"flair|dark.?fluid", re.IGNORECASE)  # as the makers of scanners call it
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


def read_series(paths: Iterable[Path], called: str, expect_flair: bool = False) -> Volume:
    """The one volume among DICOM files, in LPS orientation, float32.

    Localizers, reports and pictures without a place are left out. Where several series are left,
    the one that calls itself FLAIR is taken (if that is expected), else the only axial one; the
    volume's note says which.

    Args:
        paths: files of one series or of a whole examination; others among them are skipped.
        called: what errors call the scan, such as "FLAIR".
    Raises:
        DataError: no series or several, colour, several pictures in a file, slices missing,
            doubled or damaged.
    """
    keep_quiet()
    slices = list(_read_headers(paths, called))
    stacks = [stack for stack in _group(slices) if len(stack) >= MIN_SLICES]
    if not stacks:
        raise _nothing_useful(slices, called)
    stack = _choose(stacks, called, expect_flair)
    heights = _check_stack(stack, called)
    note = f"Took series {stack[0].number} ({len(stack)} slices) of {len(stacks)} found."
    stack = [stack[i] for i in np.argsort(heights)]
    affine = _affine(stack[0], np.sort(heights))
    check_place(affine, (*stack[0].shape, len(stack)), called)
    stored = Stored(_read_pixels(stack, called), affine, "")
    return oriented(stored, called, note if len(stacks) > 1 else "")


def _read_headers(paths: Iterable[Path], called: str) -> Iterable[Slice]:
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
                raise _damaged(called) from None
            continue
        found = _slice(path, reader)
        if pixel_bytes is not None and pixel_bytes < found.least_bytes:
            raise _damaged(called)
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
        # Name of the series, of the protocol, and of the sequence: whichever the scanner filled in.
        is_flair=any(FLAIR.search(text(t)) for t in ("0008|103e", "0018|1030", "0018|0024")),
        position=numbers("0020|0032"),
        axes=numbers("0020|0037"),
        spacing=numbers("0028|0030")[::-1],  # DICOM has the distance of rows first
    )


def _nothing_useful(slices: Sequence[Slice], called: str) -> DataError:
    """What is there instead of a series of slices, and what to do about it."""
    found, remedy = f"{len(slices)} DICOM files", "Export the series as the scanner made it."
    if not slices:
        found = "no DICOM file that can be read"
        remedy = "Bring the folder of one axial series, or a zip file of it."
    elif any(found.frames > 1 for found in slices):
        found += ", several pictures in one of them (enhanced or multi-frame DICOM)"
        remedy = "Convert the series to NIfTI, with dcm2niix for instance."
    elif not any(found.is_mr for found in slices):
        found += " of another kind of machine, no MRI"
    elif not any(found.is_grey for found in slices):
        found += " with colour pictures"
    elif not any(found.has_place for found in slices):
        found += " whose headers do not say where in the head they lie"
    else:
        remedy = "Bring all files of one axial series."
    return DataError(
        f"{called}: expected a DICOM series of at least {MIN_SLICES} parallel grey MR slices, "
        f"found {found}. {remedy}"
    )


def _group(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Grey MR slices of one series, one size and one orientation; whatever else there is, not."""
    stacks: list[list[Slice]] = []
    for found in slices:
        if found.frames > 1 or not (found.is_grey and found.is_mr and found.has_place):
            continue
        for stack in stacks:
            first = stack[0]
            if (first.series, first.shape) == (found.series, found.shape) and np.allclose(
                first.axes + first.spacing, found.axes + found.spacing, rtol=0, atol=SAME_AXES
            ):
                stack.append(found)
                break
        else:
            stacks.append([found])
    return stacks


def _choose(stacks: list[list[Slice]], called: str, expect_flair: bool) -> list[Slice]:
    flair = [stack for stack in stacks if stack[0].is_flair] if expect_flair else []
    wanted = flair or stacks
    if len(wanted) > 1:
        wanted = [stack for stack in wanted if _is_axial(stack[0])]
    if len(wanted) == 1:
        return wanted[0]
    listed = ", ".join(
        f"series {stack[0].number} with {len(stack)} slices"
        for stack in sorted(stacks, key=lambda stack: stack[0].number.zfill(9))[:12]
    )
    raise DataError(
        f"{called}: expected one series, found {len(stacks)} and no sign which is meant: {listed}. "
        "Bring the folder of one axial series."
    )


def _is_axial(found: Slice) -> bool:
    return int(np.abs(_normal(found)).argmax()) == 2


def _normal(found: Slice) -> np.ndarray:
    normal = np.cross(*np.reshape(found.axes, (2, 3)))
    return normal / np.linalg.norm(normal)


def _check_stack(stack: Sequence[Slice], called: str) -> np.ndarray:
    """How high each slice lies along the normal of the stack, mm.

    Raises:
        DataError: slices are doubled, missing or shifted: their volume would not be the head's.
    """
    check_size((*stack[0].shape, len(stack)), 1, called)
    normal = _normal(stack[0])
    positions = np.array([found.position for found in stack])
    heights = positions @ normal
    steps = np.diff(np.sort(heights))
    step = float(np.median(steps))
    places = 1 + int((steps > 0.01).sum())
    if places < len(stack):
        raise DataError(
            f"{called}: expected one picture per slice, found {len(stack)} pictures of {places} "
            "slices (several echoes, times or repetitions). Bring one of them."
        )
    if np.abs(steps - step).max() > STEP_TOLERANCE * step:
        raise DataError(
            f"{called}: expected slices at equal distances, found {steps.min():.1f} to "
            f"{steps.max():.1f} mm: slices are missing, or several scans are mixed. "
            "Export the series again."
        )
    aside = (positions - positions[0]) - np.outer(heights - heights[0], normal)
    if np.linalg.norm(aside, axis=1).max() > max(stack[0].spacing):
        raise DataError(
            f"{called}: expected slices straight above each other, found them shifted sideways "
            "(a tilted stack, or several scans). Convert the series to NIfTI, with dcm2niix "
            "for instance."
        )
    return heights


def _read_pixels(stack: list[Slice], called: str) -> np.ndarray:
    """The voxels of a checked stack, in its order; values as the scanner scales them."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)  # each file may have a scale of its own
    voxels = np.empty((len(stack), *stack[0].shape[::-1]), np.float32)
    for plane, found in zip(voxels, stack, strict=True):
        reader.SetFileName(str(found.path))
        try:
            image = reader.Execute()  # has a name because a view does not keep it
            plane[:] = sitk.GetArrayViewFromImage(image).reshape(plane.shape)
        except (RuntimeError, ValueError):
            raise _damaged(called) from None
        np.nan_to_num(plane, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return voxels.transpose(2, 1, 0)


def _affine(first: Slice, heights: np.ndarray) -> np.ndarray:
    """The affine from voxel index to LPS, mm, of a stack from its first slice upwards."""
    affine = np.eye(4)
    step = float((heights[-1] - heights[0]) / (len(heights) - 1))
    affine[:3, :3] = np.stack([*np.reshape(first.axes, (2, 3)), _normal(first)], axis=1)
    affine[:3, :3] *= (*first.spacing, step)
    affine[:3, 3] = first.position
    return affine


def _is_mr_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MR_PICTURE.search(file.read(1024)) is not None
    except OSError:
        return False


def _damaged(called: str) -> DataError:
    return DataError(
        f"{called}: expected whole DICOM files, found one that is damaged or cut short. "
        "Copy the series again.",
        "unreadable",
    )
