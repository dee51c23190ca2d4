"""DICOM files from a tree of elements: valid series, and ones with odd elements."""

import functools
import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from PIL import Image

from tests.fuzz import odd

MR = "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big": "1.2.840.10008.1.2.2",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "jpeg2000": "1.2.840.10008.1.2.4.90",
    "rle": "1.2.840.10008.1.2.5",
}
LONG = ("OB", "OD", "OF", "OL", "OW", "SQ", "UC", "UN", "UR", "UT")
COLUMNS, ROWS, SLICES = 36, 40, 5
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


@dataclass
class Element:
    """One element of a data set; `content` is bytes, or a list of items of a sequence.

    `length`, if given, is written instead of the true length.
    """

    group: int
    number: int
    vr: str
    content: "bytes | list[Elements]" = b""
    length: int | None = None


Elements: TypeAlias = list[Element]


@dataclass
class Syntax:
    """How elements are written: byte order, and with or without their types."""

    explicit: bool = True
    order: str = "<"
    undefined: bool = False  # whether sequences and items have undefined lengths
    packed: list[bytes] = field(default_factory=list)  # fragments of packed pixels


def element_bytes(one: Element, syntax: Syntax) -> bytes:
    """One element as it is stored in a file."""
    content = one.content
    if isinstance(content, list):
        content = b"".join(_item(elements, syntax) for elements in content)
        if syntax.undefined:
            content += struct.pack(syntax.order + "HHI", 0xFFFE, SEQUENCE_END, 0)
    elif len(content) % 2:
        content += b"\0" if one.vr in ("UI", "OB", "UN") else b" "
    undefined = syntax.undefined and isinstance(one.content, list)
    length = UNDEFINED if undefined else len(content)
    length = odd.fitted(length if one.length is None else one.length, 4)
    if syntax.order == ">":
        length = length[::-1]
    tag = struct.pack(syntax.order + "HH", one.group, one.number)
    if not syntax.explicit:
        return tag + length + content
    if one.vr in LONG:
        return tag + one.vr.encode("latin-1") + b"\0\0" + length + content
    short = length[:2] if syntax.order == "<" else length[2:]
    return tag + one.vr.encode("latin-1")[:2].ljust(2) + short + content


def _item(elements: Elements, syntax: Syntax) -> bytes:
    body = b"".join(element_bytes(one, syntax) for one in elements)
    length = UNDEFINED if syntax.undefined else len(body)
    end = struct.pack(syntax.order + "HHI", 0xFFFE, ITEM_END, 0) if syntax.undefined else b""
    return struct.pack(syntax.order + "HHI", 0xFFFE, ITEM, length) + body + end


def file_bytes(
    elements: Elements, name: str = "explicit", undefined: bool = False, kind: str = MR
) -> bytes:
    """A file in one of `SYNTAXES`, whose head calls it of a kind (its SOP class); pixels of the
    packed ones must already be fragments."""
    meta_syntax = Syntax()
    meta = [
        Element(2, 1, "OB", b"\0\1"),
        Element(2, 2, "UI", kind.encode()),
        Element(2, 3, "UI", b"1.2.3.4"),
        Element(2, 0x10, "UI", SYNTAXES[name].encode()),
        Element(2, 0x12, "UI", b"1.2.3"),
    ]
    head = b"".join(element_bytes(one, meta_syntax) for one in meta)
    size = element_bytes(Element(2, 0, "UL", struct.pack("<I", len(head))), meta_syntax)
    syntax = Syntax(name != "implicit", ">" if name == "big" else "<", undefined)
    body = b"".join(element_bytes(one, syntax) for one in elements)
    if name == "deflated":
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(body) + packer.flush()
    return b"\0" * 128 + b"DICM" + size + head + body


def plane(k: int) -> np.ndarray:
    """A bright disc in the dark, `[40, 36]` uint16."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    disc = (x - 18) ** 2 + (y - 20) ** 2 < 200
    return np.where(disc, 60 + x + 3 * (k % 40), 0).astype(np.uint16)


def slice_elements(k: int, name: str = "explicit", series: int = 4) -> Elements:
    """The elements of slice `k` of an axial MR series that calls itself FLAIR."""
    bits = 8 if name in ("jpeg", "jpeg2000", "rle") else 16
    order = ">" if name == "big" else "<"

    def short(group: int, number: int, value: int) -> Element:
        return Element(group, number, "US", struct.pack(order + "H", value))

    texts = (
        (8, 0x16, "UI", MR), (8, 0x18, "UI", f"1.2.3.{series}.{k + 1}"), (8, 0x60, "CS", "MR"),
        (8, 0x103E, "LO", "AX T2 FLAIR"), (0x10, 0x10, "PN", "A^B"), (0x10, 0x20, "LO", "1"),
        (0x18, 0x50, "DS", "5"), (0x20, 0xD, "UI", "1.2.3"), (0x20, 0xE, "UI", f"1.2.3.{series}"),
        (0x20, 0x11, "IS", str(series)), (0x20, 0x13, "IS", str(k + 1)),
        (0x20, 0x32, "DS", f"-36\\-40\\{5 * k}"), (0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0"),
    )  # fmt: skip
    elements = [Element(group, number, vr, text.encode()) for group, number, vr, text in texts]
    elements += [short(0x28, 2, 1), Element(0x28, 4, "CS", b"MONOCHROME2")]
    elements += [short(0x28, 0x10, ROWS), short(0x28, 0x11, COLUMNS)]
    elements.append(Element(0x28, 0x30, "DS", b"2\\2"))
    elements += [short(0x28, 0x100, bits), short(0x28, 0x101, bits), short(0x28, 0x102, bits - 1)]
    elements += [short(0x28, 0x103, 0), _pixels(k, name)]
    return elements


def _pixels(k: int, name: str) -> Element:
    gray = plane(k)
    if name not in ("jpeg", "jpeg2000", "rle"):
        return Element(0x7FE0, 0x10, "OW", gray.astype(">u2" if name == "big" else "<u2").tobytes())
    if name == "rle":
        fragment = struct.pack("<16I", 1, 64, *[0] * 14) + _literal_runs(gray.astype(np.uint8))
    else:
        buffer = io.BytesIO()
        options = {"no_jp2": True} if name == "jpeg2000" else {}
        Image.fromarray(gray.astype(np.uint8)).save(buffer, name.upper(), **options)
        fragment = buffer.getvalue()
    return Element(0x7FE0, 0x10, "OB", fragments(fragment), UNDEFINED)


def _literal_runs(gray: np.ndarray) -> bytes:
    """PackBits without any repetition, row by row."""
    return b"".join(bytes([len(row) - 1]) + row.tobytes() for row in gray)


def fragments(*parts: bytes) -> bytes:
    """Packed pixels: an empty table of offsets, the fragments, the end."""
    items = (part + b"\0" * (len(part) % 2) for part in (b"", *parts))
    packed = b"".join(struct.pack("<HHI", 0xFFFE, ITEM, len(item)) + item for item in items)
    return packed + struct.pack("<HHI", 0xFFFE, SEQUENCE_END, 0)


def nested(depth: int, leaf: Elements | None = None) -> Element:
    """Private sequences nested `depth` levels deep."""
    inner: Elements = leaf or [Element(0x11, 0x1010, "LO", b"leaf")]
    for _ in range(depth):
        inner = [Element(0x11, 0x1001, "SQ", [inner])]
    return inner[0]


@functools.cache
def deep_bytes(depth: int, undefined: bool = False) -> bytes:
    """The bytes of `nested(depth)`, made from the inside so that any depth can be built."""
    syntax = Syntax(undefined=undefined)
    parts_before, parts_after, length = [], [], 0
    for _ in range(depth):
        before = element_bytes(Element(0x11, 0x1001, "SQ", b"", UNDEFINED), syntax)
        before += struct.pack("<HHI", 0xFFFE, ITEM, UNDEFINED)
        if not undefined:
            before = before[:8] + struct.pack("<IHHI", length + 8, 0xFFFE, ITEM, length)
        else:
            parts_after.append(struct.pack("<HHIHHI", 0xFFFE, ITEM_END, 0, 0xFFFE, SEQUENCE_END, 0))
        parts_before.append(before)
        length += 20
    return b"".join((*reversed(parts_before), *parts_after))


def series(name: str = "explicit", slices: int = SLICES, **options: bool) -> dict[str, bytes]:
    """The files of a valid series, in the folder `series`."""
    return {
        f"series/{k:04d}.dcm": file_bytes(slice_elements(k, name), name, **options)
        for k in range(slices)
    }
