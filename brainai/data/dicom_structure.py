"""The elements of a DICOM file, walked through without recursion before GDCM sees them.

GDCM descends by recursion: a file of 30 kB whose sequences lie 20,000 deep overflows its stack and
ends the process. Scanners write a depth below ten. Where there are fewer pixels than the header
says, GDCM fills the picture with whatever its memory held before. What a file holds stands in one
element at the top level; further down stand things that it refers to.
"""

import zlib
from mmap import mmap
from typing import NamedTuple

MAX_DEPTH = 64
MAX_INFLATED_BYTES = 2**26
MAX_ELEMENTS = 100_000  # of a file with one picture there are some hundreds
PIXEL_DATA = (0x7FE0, 0x0010)
SOP_CLASS = (0x0008, 0x0016)  # what kind of thing a file holds
ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # of an item, in either byte order
UNDEFINED = 0xFFFFFFFF
LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"}
IMPLICIT, BIG_ENDIAN, DEFLATED = (
    b"1.2.840.10008.1.2",
    b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.1.99",
)


class Element(NamedTuple):
    """The head of a DICOM element: its group and number, and where its value lies."""

    group: int
    number: int
    vr: bytes
    start: int
    length: int


class Level(NamedTuple):
    """A sequence or an item that is open: where it ends, None if a mark ends it."""

    end: int | None
    is_explicit: bool


class Structure(NamedTuple):
    """What a walk through a file finds.

    is_too_deep: whether sequences lie more than `MAX_DEPTH` deep in each other.
    pixel_bytes: length of the pixel data; None where they are encapsulated, or there are none.
    sop_class: what the file holds, by its data set, else by its head; "" where neither tells.
    syntax: the transfer syntax that its head names, or "".
    has_pixels: whether there are pixels at the top level.
    is_whole: its elements end where the file ends; False also where that is not known.
    """

    is_too_deep: bool = False
    pixel_bytes: int | None = None
    sop_class: str = ""
    syntax: str = ""
    has_pixels: bool = False
    is_whole: bool = False


def examine(content: bytes | mmap) -> Structure:
    """Walk through the bytes of a file; those of another kind have no depth and no pixels."""
    start, syntax, sop_class = _skip_meta(content)
    told = {"syntax": _uid(syntax), "sop_class": _uid(sop_class)}
    if syntax == DEFLATED:
        try:
            content = zlib.decompressobj(-15).decompress(content[start:], MAX_INFLATED_BYTES)
        except zlib.error:
            return Structure(**told)
        start = 0
    order = "big" if syntax == BIG_ENDIAN else "little"
    found = _walk(content, start, order, syntax != IMPLICIT)
    return found._replace(syntax=told["syntax"], sop_class=found.sop_class or told["sop_class"])


def is_dicom(start: bytes) -> bool:
    """Whether a file that starts so is DICOM: the standard's mark stands at byte 128, or the file
    begins with the elements themselves, as those of old archives do."""
    if start[128:132] == b"DICM":
        return True
    return len(start) > 8 and start[:2] in (b"\x02\0", b"\x08\0") and start[3] < 0x30


def _skip_meta(content: bytes) -> tuple[int, bytes, bytes]:
    """Return where the data set begins, and the transfer syntax and the class that the head of the
    file names."""
    position = 132 if content[128:132] == b"DICM" else 0
    told = {}
    while (head := _read_element(content, position, "little", True)) and head.group == 2:
        position = head.start + head.length
        if head.number in (0x02, 0x10):
            told[head.number] = content[head.start : position].strip(b"\0 ")
    return position, told.get(0x10, b""), told.get(0x02, b"")


def _uid(text: bytes) -> str:
    return text.strip(b"\0 ").decode("ascii", "replace")


def _walk(content: bytes, position: int, order: str, is_explicit: bool) -> Structure:
    pixel_bytes, has_pixels, sop_class, last, count = None, False, "", (-1, -1), 0
    levels: list[Level] = []
    while head := _read_element(content, position, order, is_explicit):
        tag, count = (head.group, head.number), count + 1
        # Elements stand in ascending order; what has another, or none, is no DICOM file.
        if count > MAX_ELEMENTS or (not levels and head.group != 0xFFFE and tag <= last):
            break
        position = head.start
        last = tag if not levels else last
        is_item = head.group == 0xFFFE and head.number == 0xE000
        if is_item or _holds_items(content, head, order):
            end = None if head.length == UNDEFINED else head.start + head.length
            levels.append(Level(end, is_explicit))
            is_explicit = is_explicit and head.vr != b"UN"  # what is inside those is implicit
        elif head.group == 0xFFFE:  # the mark at the end of an item or a sequence
            is_explicit = levels.pop().is_explicit if levels else is_explicit
        elif head.length == UNDEFINED:  # pixels in pieces: no header follows
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


def _holds_items(content: bytes, head: Element, order: str) -> bool:
    """Return whether a value is a sequence: it says so, or it begins with an item."""
    if head.group in (0x7FE0, 0xFFFE):
        return False
    item = ITEM_TAGS[0] if order == "little" else ITEM_TAGS[1]
    return head.vr == b"SQ" or content[head.start : head.start + 4] == item


def _read_element(content: bytes, position: int, order: str, is_explicit: bool) -> Element | None:
    """Return the head of the element at a position, None where the bytes end."""
    if position + 8 > len(content):
        return None

    def whole(start: int, size: int) -> int:
        return int.from_bytes(content[start : start + size], order)

    group, number = whole(position, 2), whole(position + 2, 2)
    vr = content[position + 4 : position + 6]
    if group == 0xFFFE or not is_explicit or not vr.isalpha():
        return Element(group, number, b"", position + 8, whole(position + 4, 4))
    if vr in LONG_VRS:
        return Element(group, number, vr, position + 12, whole(position + 8, 4))
    return Element(group, number, vr, position + 8, whole(position + 6, 2))
