"""A DICOM series → `Volume`. SimpleITK's GDCM reader decodes; which files belong together, and
where they lie, is decided here, so that each refusal can say what was found.

Of the headers nothing is kept but geometry, and nothing of theirs is ever quoted but the number of
a series: names, ids and dates of patients end here.
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

MIN_SLICES = 4  # a stack of fewer is a localizer
STEP_TOLERANCE = 0.1  # of the distance of two slices; headers round, missing slices double it


def read_series(paths: Iterable[Path], called: str, expect_flair: bool = False) -> Volume:
    """The one volume among DICOM files, in LPS orientation, float32.

    Localizers, reports and pictures without a place are left out. Where several series are left,
    the one that calls itself FLAIR is taken (if that is expected), else the only axial one; the
    volume's note says which. Where FLAIR is expected, none is taken whose header says otherwise.

    Args:
        paths: files of one series or of a whole examination; others among them are skipped.
        called: what errors call the scan, such as "FLAIR".
    Raises:
        OutOfScope: FLAIR is expected, and the header says plainly that no series is.
        DataError: no series or several, color, several pictures in a file, slices missing,
            doubled or damaged.
    """
    with readable_names(paths) as readable:
        chosen = choose_series(readable, called, expect_flair)
        stored = Stored(_read_pixels(chosen.slices, called), chosen.affine, "")
    return oriented(stored, called, chosen.note)


class Series(NamedTuple):
    """The slices of one series from the first to the last along its normal, the affine from voxel
    index `[X, Y, Z]` to LPS, mm, and which of several series it is, or ""."""

    slices: list[Slice]
    affine: np.ndarray
    note: str


def choose_series(paths: Iterable[Path], called: str, expect_flair: bool = False) -> Series:
    """The one series among DICOM files, by their headers. Arguments and errors as `read_series`."""
    keep_quiet()
    headers = read_headers(paths, called)
    stacks = [stack for stack in _group(headers.slices) if len(stack) >= MIN_SLICES]
    if not stacks:
        raise _nothing_useful(headers, called)
    stack = _choose(stacks, called, expect_flair)
    heights = _check_stack(stack, called)
    note = f"Took series {stack[0].number} ({len(stack)} slices) of {len(stacks)} found."
    stack = [stack[i] for i in np.argsort(heights)]
    affine = _affine(stack[0], np.sort(heights))
    check_place(affine, (*stack[0].shape, len(stack)), called)
    return Series(stack, affine, note if len(stacks) > 1 else "")


def read_picture(path: Path, expect_flair: bool = False) -> np.ndarray:
    """The one gray picture of a DICOM file as it is stored, `[H, W]` float32.

    Raises:
        OutOfScope: several pictures, color, no MRI, or FLAIR is expected and the header says
            plainly that it is none.
        DataError: there is no picture, or it cannot be read.
    """
    keep_quiet()
    with readable_names([path]) as readable:
        found = _single(read_headers(readable, "The picture").slices, expect_flair)
        return np.ascontiguousarray(_read_pixels([found], "The picture")[:, :, 0].T)


def _single(slices: list[Slice], expect_flair: bool) -> Slice:
    """The slice of a file that holds one to judge. Raises as `read_picture`."""
    called = "The picture"
    if not slices:
        raise DataError(
            f"{called}: expected a DICOM file with an MR slice, found one without a picture (a "
            "report, a presentation state or an index). Bring the file of one slice."
        )
    found = slices[0]
    if found.frames > 1:
        held = f"file holds {found.frames} frames"
        raise OutOfScope(
            f"The DICOM {held}: convert it to NIfTI, with dcm2niix for instance, and bring that as "
            "a scan.",
            held,
        )
    if not found.is_gray:
        raise OutOfScope("This is a color picture: bring a gray FLAIR slice.", "color picture")
    if not found.is_mr:
        reason = "by its DICOM header no MRI"
        raise OutOfScope(f"This slice is {reason}: bring a FLAIR slice.", reason)
    if expect_flair and found.kind.not_flair:
        raise _no_flair(found.kind.not_flair, called, "slice")
    check_size((*found.shape, 1), 1, called)
    return found


def _nothing_useful(headers: Headers, called: str) -> DataError:
    """What is there instead of a series of slices, and what to do about it."""
    slices = headers.slices
    found = "1 DICOM file" if len(slices) == 1 else f"{len(slices)} DICOM files"
    remedy = "Export the series as the scanner made it."
    if not slices:
        found = "no DICOM file that can be read"
        remedy = "Bring the folder of one axial series, or a zip file of it."
        if headers.others:
            found = f"{headers.others} DICOM files without a picture of a scanner (reports, "
            found += "presentation states, segmentations or an index)"
    elif any(found.frames > 1 for found in slices):
        found += ", several pictures in one of them (enhanced or multi-frame DICOM)"
        remedy = "Convert the series to NIfTI, with dcm2niix for instance."
    elif not any(found.is_mr for found in slices):
        found += " of another kind of machine, no MRI"
    elif not any(found.is_gray for found in slices):
        found += " with color pictures"
    elif not any(found.has_pixel_size for found in slices):
        found += " whose headers do not say how large a pixel is (no PixelSpacing)"
    elif not any(found.has_place for found in slices):
        found += " whose headers do not say where in the head they lie"
    else:
        remedy = "Bring all files of one axial series."
        if len(slices) == 1:
            remedy = "Bring all files of its series, or have this one judged as a slice."
    return DataError(
        f"{called}: expected a DICOM series of at least {MIN_SLICES} parallel gray MR slices, "
        f"found {found}. {remedy}"
    )


def _group(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Gray MR slices of one series, one size and one orientation; whatever else there is, not."""
    stacks: list[list[Slice]] = []
    # Some programs that take names out of headers give each file a series of its own, or all
    # series of an examination one id.
    each_its_own = len({found.series for found in slices}) == len(slices)
    for found in slices:
        if found.frames > 1 or not (found.is_gray and found.is_mr and found.has_place):
            continue
        for stack in stacks:
            first = stack[0]
            if (
                (each_its_own or first.series == found.series)
                and (first.number, first.shape) == (found.number, found.shape)
                and np.allclose(
                    first.axes + first.spacing, found.axes + found.spacing, rtol=0, atol=SAME_AXES
                )
            ):
                stack.append(found)
                break
        else:
            stacks.append([found])
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
        f"{called}: expected one series, found {len(stacks)} and no sign which is meant: {listed}. "
        "Bring the folder of one axial series."
    )


def _no_flair(why: str, called: str, what: str = "series") -> OutOfScope:
    return OutOfScope(
        f"{called}: expected a FLAIR {what}, found one whose DICOM header says that it is another "
        f"sequence ({why}). Bring the FLAIR {what}.",
        "by its DICOM header another sequence than FLAIR",
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
            raise damaged_series(called) from None
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
