"""DICOM files where a slice is expected."""

from formats.dicom_parts import (
    color,
    enhanced,
    named,
    one_file,
    reports,
    single_slice,
    text,
    without,
)
from formats.rows import READ, Row

NOT_FLAIR = "The picture: expected a FLAIR slice, found one whose DICOM header indicates "
DICOM_SLICES = [
    Row("One file of an MR series, with or without a suffix", READ, single_slice),
    Row("compressed", READ, lambda folder: one_file(folder / "a.dcm", name="jpeg2000")),
    Row(
        "without place and pixel size",
        READ,
        lambda f: one_file(f / "a.dcm", [without(0x20, 0x32), without(0x28, 0x30)]),
    ),
    Row(
        "T1, by its header",
        f"{NOT_FLAIR}another sequence (an echo time as short as in T1 or proton density). Provide "
        "the FLAIR slice.",
        lambda folder: one_file(folder / "a.dcm", named("AX", echo="9")),
    ),
    Row(
        "Several pictures in one file",
        "The DICOM file holds 5 frames. Convert it to NIfTI, for example with dcm2niix, and use "
        "that as a scan.",
        enhanced,
    ),
    Row(
        "A screenshot in color",
        "This is a color picture. Provide a gray FLAIR slice.",
        lambda folder: one_file(folder / "a.dcm", [color]),
    ),
    Row(
        "CT",
        "This slice is not an MRI, according to its DICOM header. Provide a FLAIR slice.",
        lambda folder: one_file(folder / "a.dcm", [text(8, 0x60, "CT", "CS")]),
    ),
    Row(
        "A presentation state, a report, a DICOMDIR",
        "The picture: expected a DICOM file with an MR slice, found one without a picture (a "
        "report, a presentation state or an index). Provide the file of one slice.",
        lambda folder: reports(folder) / "SR0001",
    ),
]
