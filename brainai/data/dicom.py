"""Read a DICOM series as a `Volume`.

SimpleITK's GDCM reader decodes the pixels. This module decides which files belong together and
where their slices lie, so that each error can say what was found.

Only the geometry of the headers is kept, and messages quote nothing but the number of a series, so
that names, ids and dates of patients go no further.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from brainai.data.dicom_headers import SAME_AXES, Headers, Slice, damaged_series, read_headers
from brainai.data.file_names import readable_names
from brainai.data.headers import check_place, check_size
from brainai.data.volumes import Volume, keep_quiet, oriented
from brainai.data.voxels import Stored
from brainai.errors import DataError, OutOfScope

MIN_SLICES = 4  # a stack with fewer slices is a localizer
STEP_TOLERANCE = 0.1  # of the distance of slices: rounding changes it less, a missing slice more


def read_series(paths: Iterable[Path], called: str, expect_flair: bool = False) -> Volume:
    """Read the only volume among DICOM files, in LPS orientation, float32.

    Localizers, reports and pictures without a position are left out. If several series remain, the
    one named as FLAIR is used (if FLAIR is expected), else the only axial one; the volume's note
    says which one was used. If FLAIR is expected, a series with a header of another sequence is
    never used.

    Args:
        paths: files of one series or of a whole examination. Files of other kinds are skipped.
        called: the name of the scan in error messages, such as "FLAIR".
        expect_flair: whether the series should be FLAIR.
    Raises:
        OutOfScope: FLAIR is expected, and the headers state that no series is FLAIR.
        DataError: there is no series or more than one, pictures are in color, a file holds several
            pictures, or slices are missing, duplicated or damaged.
    """
    with readable_names(paths) as readable:
        chosen = choose_series(readable, called, expect_flair)
        stored = Stored(_read_pixels(chosen.slices, called), chosen.affine, "")
    return oriented(stored, called, chosen.note)


class Series(NamedTuple):
    """One DICOM series.

    slices: sorted along the normal of the slices.
    affine: `[4, 4]` float, voxel index `[X, Y, Z]` → LPS, mm.
    note: which of several series this is, or "".
    """

    slices: list[Slice]
    affine: np.ndarray
    note: str


def choose_series(paths: Iterable[Path], called: str, expect_flair: bool = False) -> Series:
    """Choose the series to read by the headers of DICOM files.

    Arguments and errors are those of `read_series`.
    """
    keep_quiet()
    headers = read_headers(paths, called)
    stacks = [stack for stack in _group(headers.slices) if len(stack) >= MIN_SLICES]
    if not stacks:
        raise _nothing_useful(headers, called)
    stack = _choose(stacks, called, expect_flair)
    heights = _check_stack(stack, called)
    note = f"Used series {stack[0].number} ({len(stack)} slices), one of {len(stacks)} found."
    stack = [stack[i] for i in np.argsort(heights)]
    affine = _affine(stack[0], np.sort(heights))
    check_place(affine, (*stack[0].shape, len(stack)), called)
    return Series(stack, affine, note if len(stacks) > 1 else "")


class Picture(NamedTuple):
    """One gray slice as it is stored.

    pixels: `[H, W]` float32.
    pixel_mm: side of a pixel in mm; None if the file does not state a plausible one.
    """

    pixels: np.ndarray
    pixel_mm: float | None = None


def read_picture(path: Path, expect_flair: bool = False) -> Picture:
    """Read the only gray picture of a DICOM file.

    Raises:
        OutOfScope: the file holds several pictures, a color picture or no MRI, or FLAIR is expected
            and the header states that the picture is not FLAIR.
        DataError: there is no picture, or it cannot be read.
    """
    keep_quiet()
    with readable_names([path]) as readable:
        header = _single(read_headers(readable, "The picture").slices, expect_flair)
        pixels = _read_pixels([header], "The picture")[:, :, 0].T
        return Picture(np.ascontiguousarray(pixels), header.pixel_mm)


def _single(slices: list[Slice], expect_flair: bool) -> Slice:
    """Return the header of the only slice of a file. Raises the errors of `read_picture`."""
    called = "The picture"
    if not slices:
        raise DataError(
            f"{called}: expected a DICOM file with an MR slice, found one without a picture (a "
            "report, a presentation state or an index). Provide the file of one slice."
        )
    header = slices[0]
    if header.frames > 1:
        reason = f"file holds {header.frames} frames"
        raise OutOfScope(
            f"The DICOM {reason}. Convert it to NIfTI, for example with dcm2niix, and use that as "
            "a scan.",
            reason,
        )
    if not header.is_gray:
        raise OutOfScope("This is a color picture. Provide a gray FLAIR slice.", "color picture")
    if not header.is_mr:
        reason = "not an MRI, according to its DICOM header"
        raise OutOfScope(f"This slice is {reason}. Provide a FLAIR slice.", reason)
    if expect_flair and header.kind.not_flair:
        raise _no_flair(header.kind.not_flair, called, "slice")
    check_size((*header.shape, 1), 1, called)
    return header


def _nothing_useful(headers: Headers, called: str) -> DataError:
    """Return the error that says what was found instead of a series, and what to do."""
    slices = headers.slices
    found = "1 DICOM file" if len(slices) == 1 else f"{len(slices)} DICOM files"
    remedy = "Export the series unchanged from the scanner."
    if not slices:
        found = "no DICOM file that can be read"
        remedy = "Provide the folder of one axial series, or a zip file of it."
        if headers.others:
            found = f"{headers.others} DICOM files without a picture from a scanner (reports, "
            found += "presentation states, segmentations or an index)"
    elif any(header.frames > 1 for header in slices):
        found += " with several pictures in one file (enhanced or multi-frame DICOM)"
        remedy = "Convert the series to NIfTI, for example with dcm2niix."
    elif not any(header.is_mr for header in slices):
        found += " that are not from an MRI scanner"
    elif not any(header.is_gray for header in slices):
        found += " with color pictures"
    elif not any(header.has_pixel_size for header in slices):
        found += " whose headers do not give the size of a pixel (no PixelSpacing)"
    elif not any(header.has_place for header in slices):
        found += " whose headers do not give the position of the slices in the head"
    else:
        remedy = "Provide all files of one axial series."
        if len(slices) == 1:
            remedy = "Provide all files of its series, or use this file as a slice."
    return DataError(
        f"{called}: expected a DICOM series of at least {MIN_SLICES} parallel gray MR slices, "
        f"found {found}. {remedy}"
    )


def _group(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group gray MR slices by series, size and orientation. All other files are left out."""
    stacks: list[list[Slice]] = []
    # Some de-identification programs give each file a series id of its own, or one id to all series
    # of an examination.
    ignore_id = len({header.series for header in slices}) == len(slices)
    for header in slices:
        if header.frames > 1 or not (header.is_gray and header.is_mr and header.has_place):
            continue
        for stack in stacks:
            first = stack[0]
            if (
                (ignore_id or first.series == header.series)
                and (first.number, first.shape) == (header.number, header.shape)
                and np.allclose(
                    first.axes + first.spacing, header.axes + header.spacing, rtol=0, atol=SAME_AXES
                )
            ):
                stack.append(header)
                break
        else:
            stacks.append([header])
    return stacks


def _choose(stacks: list[list[Slice]], called: str, expect_flair: bool) -> list[Slice]:
    wanted = stacks
    if expect_flair:
        possible = [stack for stack in stacks if not stack[0].kind.not_flair]
        if not possible:
            raise _no_flair(stacks[0][0].kind.not_flair, called)
        wanted = [stack for stack in possible if stack[0].kind.is_flair] or possible
    if len(wanted) > 1:
        wanted = [stack for stack in wanted if _is_axial(stack[0])]
    if len(wanted) == 1:
        return wanted[0]
    listed = ", ".join(
        f"series {stack[0].number} with {len(stack)} slices"
        for stack in sorted(stacks, key=lambda stack: stack[0].number.zfill(9))[:12]
    )
    raise DataError(
        f"{called}: expected one series, found {len(stacks)} and cannot tell which one to use: "
        f"{listed}. Provide the folder of one axial series."
    )


def _no_flair(why: str, called: str, what: str = "series") -> OutOfScope:
    return OutOfScope(
        f"{called}: expected a FLAIR {what}, found one whose DICOM header indicates another "
        f"sequence ({why}). Provide the FLAIR {what}.",
        "not FLAIR, according to its DICOM header",
    )


def _is_axial(header: Slice) -> bool:
    return int(np.abs(_normal(header)).argmax()) == 2


def _normal(header: Slice) -> np.ndarray:
    normal = np.cross(*np.reshape(header.axes, (2, 3)))
    return normal / np.linalg.norm(normal)


def _check_stack(stack: Sequence[Slice], called: str) -> np.ndarray:
    """Return the position of each slice along the normal of the stack, mm.

    Raises:
        DataError: slices are duplicated, missing or shifted, so that their volume would not have
            the shape of the head.
    """
    check_size((*stack[0].shape, len(stack)), 1, called)
    normal = _normal(stack[0])
    positions = np.array([header.position for header in stack])
    heights = positions @ normal
    steps = np.diff(np.sort(heights))
    step = float(np.median(steps))
    places = 1 + int((steps > 0.01).sum())
    if places < len(stack):
        raise DataError(
            f"{called}: expected one picture per slice, found {len(stack)} pictures of {places} "
            "slices (several echoes, time points or repetitions). Provide one of them."
        )
    if np.abs(steps - step).max() > STEP_TOLERANCE * step:
        raise DataError(
            f"{called}: expected slices at equal distances, found distances of {steps.min():.1f} "
            f"to {steps.max():.1f} mm: slices are missing, or several scans are mixed. "
            "Export the series again."
        )
    aside = (positions - positions[0]) - np.outer(heights - heights[0], normal)
    if np.linalg.norm(aside, axis=1).max() > max(stack[0].spacing):
        raise DataError(
            f"{called}: expected slices directly above each other, found slices that are shifted "
            "sideways (a tilted stack, or several scans). Convert the series to NIfTI, for example "
            "with dcm2niix."
        )
    return heights


def _read_pixels(stack: list[Slice], called: str) -> np.ndarray:
    """Read the voxels of a checked stack in its order, with the scanner's rescaling applied."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)  # each file may have its own rescale slope
    voxels = np.empty((len(stack), *stack[0].shape[::-1]), np.float32)
    for plane, header in zip(voxels, stack, strict=True):
        reader.SetFileName(str(header.path))
        try:
            image = reader.Execute()  # keeps the image alive, which its view does not
            plane[:] = sitk.GetArrayViewFromImage(image).reshape(plane.shape)
        except (RuntimeError, ValueError):
            raise damaged_series(called) from None
        np.nan_to_num(plane, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return voxels.transpose(2, 1, 0)


def _affine(first: Slice, heights: np.ndarray) -> np.ndarray:
    """Return the affine from voxel index to LPS, mm, of a stack sorted by height."""
    affine = np.eye(4)
    step = float((heights[-1] - heights[0]) / (len(heights) - 1))
    affine[:3, :3] = np.stack([*np.reshape(first.axes, (2, 3)), _normal(first)], axis=1)
    affine[:3, :3] *= (*first.spacing, step)
    affine[:3, 3] = first.position
    return affine
