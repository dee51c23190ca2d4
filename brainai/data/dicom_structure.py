"""Walk through the elements of a DICOM file without recursion, before GDCM opens it.

GDCM is recursive: a file of 30 kB with sequences nested 20,000 levels deep overflows its stack and
ends the process. Scanners nest less than ten levels. If a file has fewer pixels than its header
says, GDCM fills the picture with whatever its memory held before. One element at the top level says
what kind of object a file holds; elements further down describe objects that it refers to.
"""

import zlib
from mmap import mmap
from typing import Literal, NamedTuple, TypeAlias

Content: TypeAlias = bytes | mmap
ByteOrder: TypeAlias = Literal["little", "big"]

MAX_DEPTH = 64
MAX_INFLATED_BYTES = 2**26
MAX_ELEMENTS = 100_000  # a file with one picture has some hundreds
PIXEL_DATA = (0x7FE0, 0x0010)
SOP_CLASS = (0x0008, 0x0016)  # the kind of object that a file holds
ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # start of an item, in either byte order
UNDEFINED = 0xFFFFFFFF
LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"}
IMPLICIT, BIG_ENDIAN, DEFLATED = (
    b"1.2.840.10008.1.2",
    b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.1.99",
)


class Element(NamedTuple):
    """The head of a DICOM element: its group and number, and the place of its value."""

    group: int
    number: int
    vr: bytes
    start: int
    length: int


class Level(NamedTuple):
    """An open sequence or item. `end` is None if a delimiter ends it."""

    end: int | None
    is_explicit: bool


class Structure(NamedTuple):
    """The structure of a DICOM file.

    is_too_deep: whether sequences are nested more than `MAX_DEPTH` levels deep.
    pixel_bytes: length of the pixel data; None if they are encapsulated or missing.
    sop_class: the SOP class in the data set, else in the file meta information, else "".
    syntax: the transfer syntax in the file meta information, or "".
    has_pixels: whether there are pixels at the top level.
    is_whole: whether the last element ends where the file ends; False also if that is unknown.
    """

    is_too_deep: bool = False
    pixel_bytes: int | None = None
    sop_class: str = ""
    syntax: str = ""
    has_pixels: bool = False
    is_whole: bool = False


def examine(content: Content) -> Structure:
    """Return the structure of a file from its bytes.

    For bytes that are not DICOM, it has no pixels and is not too deep.
    """
    start, syntax, sop_class = _read_meta(content)
    meta = Structure(syntax=_uid(syntax), sop_class=_uid(sop_class))
    if syntax == DEFLATED:
        try:
            content = zlib.decompressobj(-15).decompress(content[start:], MAX_INFLATED_BYTES)
        except zlib.error:
            return meta
        start = 0
    order: ByteOrder = "big" if syntax == BIG_ENDIAN else "little"
    structure = _walk(content, start, order, syntax != IMPLICIT)
    return structure._replace(syntax=meta.syntax, sop_class=structure.sop_class or meta.sop_class)


def is_dicom(start: bytes) -> bool:
    """Return whether a file with these first bytes is DICOM.

    It has the signature at byte 128, or begins with elements, as files of old archives do.
    """
    if start[128:132] == b"DICM":
        return True
    return len(start) > 8 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] < 0x30


def _read_meta(content: Content) -> tuple[int, bytes, bytes]:
    """Return where the data set begins, and transfer syntax and SOP class of the file meta
    information."""
    position = 132 if content[128:132] == b"DICM" else 0
    values = {}
    while (head := _read_element(content, position, "little", True)) and head.group == 2:
        position = head.start + head.length
        if head.number in (0x02, 0x10):
            values[head.number] = content[head.start : position].strip(b"\0 ")
    return position, values.get(0x10, b""), values.get(0x02, b"")


def _uid(text: bytes) -> str:
    return text.strip(b"\0 ").decode("ascii", "replace")


def _walk(content: Content, position: int, order: ByteOrder, is_explicit: bool) -> Structure:
    pixel_bytes, has_pixels, sop_class, last, count = None, False, "", (-1, -1), 0
    levels: list[Level] = []
    while head := _read_element(content, position, order, is_explicit):
        tag, count = (head.group, head.number), count + 1
        # Elements of a DICOM file are in ascending order.
        if count > MAX_ELEMENTS or (not levels and head.group != 0xFFFE and tag <= last):
            break
        position = head.start
        last = tag if not levels else last
        is_item = head.group == 0xFFFE and head.number == 0xE000
        if is_item or _holds_items(content, head, order):
            end = None if head.length == UNDEFINED else head.start + head.length
            levels.append(Level(end, is_explicit))
            is_explicit = is_explicit and head.vr != b"UN"  # their content is implicit
        elif head.group == 0xFFFE:  # the delimiter at the end of an item or a sequence
            is_explicit = levels.pop().is_explicit if levels else is_explicit
        elif head.length == UNDEFINED:  # encapsulated pixels, which end the walk
            has_pixels = has_pixels or tag == PIXEL_DATA
            break
        else:
            position += head.length
            if tag == PIXEL_DATA and not levels:
                pixel_bytes, has_pixels = head.length, head.length > 0
            if tag == SOP_CLASS and not levels:
                sop_class = _uid(content[head.start : position])
        if len(levels) > 2 * MAX_DEPTH:  # a sequence and its item are two levels
            return Structure(is_too_deep=True)
        while levels and levels[-1].end is not None and position >= levels[-1].end:
            is_explicit = levels.pop().is_explicit
    is_whole = position == len(content) and not levels
    return Structure(False, pixel_bytes, sop_class, "", has_pixels, is_whole)


def _holds_items(content: Content, head: Element, order: ByteOrder) -> bool:
    """Return whether a value is a sequence, by its VR or because it begins with an item."""
    if head.group in (0x7FE0, 0xFFFE):
        return False
    item = ITEM_TAGS[0] if order == "little" else ITEM_TAGS[1]
    return head.vr == b"SQ" or content[head.start : head.start + 4] == item


def _read_element(
    content: Content, position: int, order: ByteOrder, is_explicit: bool
) -> Element | None:
    """Return the head of the element at a position, or None at the end of the bytes."""
    if position + 8 > len(content):
        return None

    def integer(start: int, size: int) -> int:
        return int.from_bytes(content[start : start + size], order)

    group, number = integer(position, 2), integer(position + 2, 2)
    vr = content[position + 4 : position + 6]
    if group == 0xFFFE or not is_explicit or not vr.isalpha():
        return Element(group, number, b"", position + 8, integer(position + 4, 4))
    if vr in LONG_VRS:
        return Element(group, number, vr, position + 12, integer(position + 8, 4))
    return Element(group, number, vr, position + 8, integer(position + 6, 2))
