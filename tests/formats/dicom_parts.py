"""DICOM files for the rows: series with changed headers, and the files beside them on a CD."""

import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.fuzz.dicom import (
    MR,
    SLICES,
    Element,
    Elements,
    file_bytes,
    slice_elements,
)

Change = Callable[[Elements, int], Elements]
CLASSES = "1.2.840.10008.5.1.4.1.1"
COMPANIONS = {  # kinds of things that archives write beside a series
    "PR": f"{CLASSES}.11.1", "KO": f"{CLASSES}.88.59", "SR": f"{CLASSES}.88.33",
    "RAW": f"{CLASSES}.66", "CSA": "1.3.12.2.1107.5.9.1", "PDF": f"{CLASSES}.104.1",
}  # fmt: skip
DIRECTORY = "1.2.840.10008.1.3.10"
SEGMENTATION = f"{CLASSES}.66.4"


def put(elements: Elements, group: int, number: int, vr: str, text: str | bytes) -> Elements:
    """Elements with one value set."""
    content = text if isinstance(text, bytes) else text.encode()
    kept = drop(elements, group, number)
    return sorted([*kept, Element(group, number, vr, content)], key=lambda e: (e.group, e.number))


def drop(elements: Elements, group: int, number: int) -> Elements:
    """Elements without one."""
    return [one for one in elements if (one.group, one.number) != (group, number)]


def text(group: int, number: int, value: str, vr: str = "LO") -> Change:
    """The change that gives every slice this value."""
    return lambda elements, _: put(elements, group, number, vr, value)


def named(name: str, inversion: str = "", echo: str = "", sequence: str = "") -> list[Change]:
    """The changes that give a series this name and these times."""
    changes = [text(8, 0x103E, name)]
    if inversion:
        changes.append(text(0x18, 0x82, inversion, "DS"))
    if echo:
        changes.append(text(0x18, 0x81, echo, "DS"))
    if sequence:
        changes.append(text(0x18, 0x24, sequence, "SH"))
    return changes


def series(
    folder: Path,
    *changes: Change,
    name: str = "explicit",
    number: int = 4,
    pattern: str = "{:04d}.dcm",
    count: int = SLICES,
    start: int = 0,
) -> Path:
    """A series as one file per slice; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        elements = slice_elements(k, name, number)
        for change in changes:
            elements = change(elements, k)
        (folder / pattern.format(start + k)).write_bytes(file_bytes(elements, name))
    return folder


def companion(kind: str, *, modality: str = "PR", head: str | None = None) -> bytes:
    """A whole DICOM file without pixels that refers to a slice of an MR series."""
    reference = [Element(8, 0x1150, "UI", MR.encode()), Element(8, 0x1155, "UI", b"1.2.3.4.1")]
    elements = [
        Element(8, 0x16, "UI", kind.encode()),
        Element(8, 0x18, "UI", b"1.2.3.99.1"),
        Element(8, 0x60, "CS", modality.encode()),
        Element(8, 0x1115, "SQ", [[Element(8, 0x1140, "SQ", [reference])]]),
        Element(0x10, 0x10, "PN", b"A^B"),
        Element(0x20, 0xE, "UI", b"1.2.3.99"),
    ]
    return file_bytes(elements, kind=kind if head is None else head)


def directory() -> bytes:
    """A DICOMDIR that lists a slice."""
    record = [
        Element(4, 0x1430, "CS", b"IMAGE"),
        Element(4, 0x1510, "UI", MR.encode()),
        Element(4, 0x1511, "UI", b"1.2.3.4.1"),
    ]
    elements = [Element(4, 0x1130, "CS", b"DISC"), Element(4, 0x1220, "SQ", [record])]
    return file_bytes(elements, kind=DIRECTORY)


def packed(archive: Path, folder: Path) -> Path:
    """A folder as a zip file."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            file.write(path, str(path.relative_to(folder)))
    return archive


def one_file(path: Path, changes: Iterable[Change] = (), name: str = "explicit") -> Path:
    """The file of one slice from the middle of a series."""
    elements = slice_elements(2, name)
    for change in changes:
        elements = change(elements, 2)
    path.write_bytes(file_bytes(elements, name))
    return path


def without(group: int, number: int) -> Change:
    """The change that takes one element out of every slice."""
    return lambda elements, _: drop(elements, group, number)


def frames(elements: Elements, _: int) -> Elements:
    """The change that puts five pictures into one file."""
    content = b"".join(slice_elements(k)[-1].content for k in range(5))
    elements = put(elements, 0x28, 8, "IS", "5")
    return put(elements, 0x7FE0, 0x10, "OW", content)


def color(elements: Elements, _: int) -> Elements:
    """The change that makes a picture of red, green and blue."""
    for number, value in ((2, 3), (0x100, 8), (0x101, 8), (0x102, 7), (0x6, 0)):
        elements = put(elements, 0x28, number, "US", struct.pack("<H", value))
    elements = put(elements, 0x28, 4, "CS", "RGB")
    return put(elements, 0x7FE0, 0x10, "OB", bytes(range(240)) * 18)  # 36 × 40 × 3


def enhanced(folder: Path) -> Path:
    """A file with all slices of an enhanced MR series."""
    return one_file(folder / "enhanced.dcm", [frames, text(8, 0x16, f"{MR}.1", "UI")])


def reports(folder: Path) -> Path:
    """A DICOMDIR and a report without the pictures."""
    (folder / "DICOMDIR").write_bytes(directory())
    (folder / "SR0001").write_bytes(companion(COMPANIONS["SR"], modality="SR"))
    return folder


def single_slice(folder: Path) -> Path:
    """The file of one slice, without a suffix."""
    return one_file(folder / "IM0001")
