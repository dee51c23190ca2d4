"""DICOM series and examinations, as a scan where FLAIR is expected."""

import functools
import struct
from pathlib import Path

from formats.dicom_parts import (
    COMPANIONS,
    SEGMENTATION,
    Change,
    color,
    companion,
    directory,
    enhanced,
    named,
    packed,
    put,
    reports,
    series,
    single_slice,
    text,
    without,
)
from formats.rows import READ, Row

from tests.fuzz.dicom import MR, Elements, file_bytes, plane, slice_elements

EXPECTED = "FLAIR: expected a DICOM series of at least 4 parallel gray MR slices, found "
UNCHANGED = "Export the series unchanged from the scanner."


def _in(syntax: str) -> functools.partial:
    return functools.partial(series, name=syntax)


def _changed(*changes: Change) -> functools.partial:
    return functools.partial(_series_with, changes)


def _series_with(changes: tuple[Change, ...], folder: Path) -> Path:
    return series(folder, *changes)


def _exam(*members: list[Change]) -> functools.partial:
    return functools.partial(_exam_of, members)


def _exam_of(members: tuple[list[Change], ...], folder: Path) -> Path:
    for number, changes in enumerate(members, 2):
        series(folder / f"S{number}", *changes, number=number)
    return folder


def _no_preamble(folder: Path) -> Path:
    for path in series(folder, name="implicit").iterdir():
        content = path.read_bytes()
        path.write_bytes(content[content.index(b"\x08\0\x16\0") :])
    return folder


def _disc(folder: Path) -> Path:
    disc = folder / "disc"
    series(disc / "DICOM" / "PAT1" / "ST1" / "SE1", pattern="IM{:04d}")
    (disc / "DICOMDIR").write_bytes(directory())
    (disc / "autorun.inf").write_text("[autorun]\nopen=viewer.exe\n")
    (disc / "viewer.exe").write_bytes(b"MZ\x90\0" + bytes(500))
    (disc / "Thumbs.db").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504))
    (disc / "._IM0001").write_bytes(bytes.fromhex("0005160700020000") + bytes(100))
    return packed(folder / "disc.zip", disc)


def _horos(folder: Path) -> Path:
    series(folder / "PATIENT" / "Brain - 1" / "FLAIR_4", pattern="IM-0001-{:04d}.dcm")
    return folder


def _cancer_archive(folder: Path) -> Path:
    series(folder / "UPENN-GBM-00001" / "01-01-2000-BRAIN" / "4.000-FLAIR", pattern="1-{:03d}.dcm")
    (folder / "LICENSE").write_text("Creative Commons Attribution 4.0\n")
    (folder / "metadata.csv").write_text("Series UID,Collection\n1.2.3.4,UPENN-GBM\n")
    return folder


def _monochrome1(elements: Elements, k: int) -> Elements:
    elements = put(elements, 0x28, 4, "CS", "MONOCHROME1")
    return put(elements, 0x7FE0, 0x10, "OW", (65535 - plane(k)).astype("<u2").tobytes())


def _companions(folder: Path) -> Path:
    series(folder)
    for name, kind in COMPANIONS.items():
        (folder / f"{name}0001").write_bytes(companion(kind, modality=name[:2]))
    (folder / "PR0002").write_bytes(companion(COMPANIONS["PR"], head=MR))  # its head says MR
    return folder


def _segmentation(folder: Path) -> Path:
    series(folder)
    elements = [
        put(put(slice_elements(k), 8, 0x16, "UI", SEGMENTATION), 8, 0x60, "CS", "SEG")
        for k in range(6)
    ]
    for k, one in enumerate(elements):
        one = put(one, 0x20, 0xE, "UI", "1.2.3.77")
        (folder / f"SEG{k}.dcm").write_bytes(file_bytes(one, kind=SEGMENTATION))
    return folder


def _localizer(folder: Path) -> Path:
    series(folder)
    series(folder, *named("localizer"), number=1, pattern="LOC{:d}.dcm", count=3)
    return folder


def _own_series(elements: Elements, k: int) -> Elements:
    return put(elements, 0x20, 0xE, "UI", f"1.2.3.900.{k}")


def _twice(folder: Path) -> Path:
    series(folder / "first")
    return series(folder / "second", text(8, 0x54, "OTHER", "AE"), name="deflated").parent


def _two_echoes(folder: Path) -> Path:
    one_id = text(8, 0x18, "1.2.3.1", "UI")  # on all files, as de-identifiers leave it
    series(folder, one_id)
    return series(folder, one_id, _twice_as_bright, start=10)


def _twice_as_bright(elements: Elements, k: int) -> Elements:
    return put(elements, 0x7FE0, 0x10, "OW", (2 * plane(k)).astype("<u2").tobytes())


def _gap(folder: Path) -> Path:
    (series(folder) / "0002.dcm").unlink()
    return folder


def _cut(folder: Path) -> Path:
    path = series(folder) / "0004.dcm"
    path.write_bytes(path.read_bytes()[:-500])
    return folder


def _no_pixels(folder: Path) -> Path:
    return series(folder, without(0x7FE0, 0x10))


def _other_compression(folder: Path) -> Path:
    for path in series(folder).iterdir():
        plain, other = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.201\0"
        content = path.read_bytes()
        at = content.index(plain)
        whole = content[: at - 2] + struct.pack("<H", len(other)) + other
        path.write_bytes(whole + content[at + len(plain) :])
    return folder


def _sagittal(elements: Elements, k: int) -> Elements:
    elements = put(elements, 0x20, 0x37, "DS", "0\\1\\0\\0\\0\\-1")
    return put(elements, 0x20, 0x32, "DS", f"{2 * k}\\0\\0")


DICOM = [
    Row("Folder of a series, one file per slice, explicit little endian", READ, series),
    Row("implicit little endian", READ, _in("implicit")),
    Row("explicit big endian", READ, _in("big")),
    Row("deflated", READ, _in("deflated")),
    Row("JPEG", READ, _in("jpeg")),
    Row("JPEG 2000", READ, _in("jpeg2000")),
    Row("RLE", READ, _in("rle")),
    Row(
        "HTJ2K, JPEG XL or another compression",
        "FLAIR: expected DICOM files without compression, or with JPEG, JPEG-LS, JPEG 2000 or "
        "RLE, found another compression. Export the series without compression.",
        _other_compression,
    ),
    Row("Files of an old archive, without preamble", READ, _no_preamble),
    Row("MONOCHROME1, where high numbers are dark", READ, _changed(_monochrome1)),
    Row("Export of Horos or OsiriX: folders of patient, study and series", READ, _horos),
    Row(
        "Download of The Cancer Imaging Archive, with its LICENSE and table", READ, _cancer_archive
    ),
    Row("Sagittal 3D FLAIR", READ, _changed(_sagittal)),
    Row("Zip file of a CD: DICOMDIR, a viewer, hidden files, names without suffix", READ, _disc),
    Row(
        "A series with presentation states, key objects, structured reports, raw data, an "
        "encapsulated PDF and Siemens' non-image objects",
        READ,
        _companions,
    ),
    Row("A series with a DICOM SEG of it (3D Slicer, OHIF, OsiriX)", READ, _segmentation),
    Row("A series with a localizer of 3 slices", READ, _localizer),
    Row(
        "Siemens: T1 MPRAGE, T2 TSE, `t2_tirm_tra_dark-fluid`",
        f"{READ}: Used series 4 (5 slices), one of 3 found.",
        _exam(
            named("t1_mprage_sag", "900", "2.3", "*tfl3d1"),
            named("t2_tse_tra", echo="95", sequence="*tse2d1_15"),
            named("t2_tirm_tra_dark-fluid", "2500", "81", "*tir2d1_16"),
        ),
    ),
    Row(
        "Siemens: `t2_space_da-fl` beside `t2_tirm_cor`, a STIR",
        f"{READ}: Used series 2 (5 slices), one of 2 found.",
        _exam(named("t2_space_da-fl", "1800", "388"), named("t2_tirm_cor", "220", "60")),
    ),
    Row(
        "GE: `Ax T1 FLAIR` beside `Ax T2 FLAIR`",
        f"{READ}: Used series 3 (5 slices), one of 2 found.",
        _exam(named("Ax T1 FLAIR"), named("Ax T2 FLAIR")),
    ),
    Row(
        "Philips: `sT1W_3D_FFE`, `T2W_TSE`, `3D FLAIR VISTA`",
        f"{READ}: Used series 4 (5 slices), one of 3 found.",
        _exam(named("sT1W_3D_FFE"), named("T2W_TSE"), named("3D FLAIR VISTA", "1650", "300")),
    ),
    Row(
        "An examination whose names are gone; its times are there",
        f"{READ}: Used series 3 (5 slices), one of 3 found.",
        _exam(named("", echo="100"), named("", "2400", "120"), named("", echo="98")),
    ),
    Row(
        "Several series without a sign which is FLAIR",
        "FLAIR: expected one series, found 2 and cannot tell which one to use: series 2 with 5 "
        "slices, series 3 with 5 slices. Provide the folder of one axial series.",
        _exam(named("AX"), named("AX 2")),
    ),
    Row(
        "T1 FLAIR alone",
        "FLAIR: expected a FLAIR series, found one whose DICOM header indicates another "
        "sequence (a name that contains T1). Provide the FLAIR series.",
        _changed(*named("Ax T1 FLAIR")),
    ),
    Row(
        "T1 or proton density alone, by its times",
        "FLAIR: expected a FLAIR series, found one whose DICOM header indicates another "
        "sequence (an echo time as short as in T1 or proton density). Provide the FLAIR series.",
        _changed(*named("AX", echo="9")),
    ),
    Row(
        "De-identified: one SOPInstanceUID on all files",
        READ,
        _changed(text(8, 0x18, "1.2.3.1", "UI")),
    ),
    Row("De-identified: a SeriesInstanceUID of its own on each file", READ, _changed(_own_series)),
    Row(
        "De-identified: one SeriesInstanceUID on all series",
        f"{READ}: Used series 3 (5 slices), one of 2 found.",
        _exam(
            [*named("t2_tse"), text(0x20, 0xE, "1.2.3.9", "UI")],
            [*named("FLAIR"), text(0x20, 0xE, "1.2.3.9", "UI")],
        ),
    ),
    Row("Every file twice, in two transfer syntaxes", READ, _twice),
    Row(
        "Two echoes or repetitions",
        "FLAIR: expected one picture per slice, found 10 pictures of 5 slices (several echoes, "
        "time points or repetitions). Provide one of them.",
        _two_echoes,
    ),
    Row(
        "A slice missing",
        "FLAIR: expected slices at equal distances, found distances of 5.0 to 10.0 mm: slices are "
        "missing, or several scans are mixed. Export the series again.",
        _gap,
    ),
    Row(
        "A file cut short",
        "FLAIR: expected complete DICOM files, found one that is damaged or truncated. Copy the "
        "series again.",
        _cut,
    ),
    Row(
        "No PixelSpacing",
        f"{EXPECTED}5 DICOM files whose headers do not give the size of a pixel (no PixelSpacing). "
        f"{UNCHANGED}",
        _changed(without(0x28, 0x30)),
    ),
    Row(
        "No place (ImagePositionPatient)",
        f"{EXPECTED}5 DICOM files whose headers do not give the position of the slices in the "
        f"head. {UNCHANGED}",
        _changed(without(0x20, 0x32)),
    ),
    Row(
        "3D Slicer's export left at its default modality, CT; any CT",
        f"{EXPECTED}5 DICOM files that are not from an MRI scanner. {UNCHANGED}",
        _changed(text(8, 0x60, "CT", "CS")),
    ),
    Row(
        "Screenshots in color (secondary capture)",
        f"{EXPECTED}5 DICOM files with color pictures. {UNCHANGED}",
        _changed(color),
    ),
    Row(
        "Enhanced MR, all slices in one file",
        f"{EXPECTED}1 DICOM file with several pictures in one file (enhanced or multi-frame "
        "DICOM). Convert the series to NIfTI, for example with dcm2niix.",
        enhanced,
    ),
    Row(
        "A DICOMDIR or reports without the pictures",
        f"{EXPECTED}2 DICOM files without a picture from a scanner (reports, presentation states, "
        "segmentations or an index). Provide the folder of one axial series, or a zip file of it.",
        reports,
    ),
    Row(
        "Headers of a series without pixels",
        f"{EXPECTED}5 DICOM files without a picture from a scanner (reports, presentation states, "
        "segmentations or an index). Provide the folder of one axial series, or a zip file of it.",
        _no_pixels,
    ),
    Row(
        "One DICOM file of a slice where a scan is expected",
        f"{EXPECTED}1 DICOM file. Provide all files of its series, or use this file as a slice.",
        single_slice,
    ),
]
