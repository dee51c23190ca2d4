"""DICOM series with odd elements: the tree is changed before it is written, so that lengths fit."""

import dataclasses
import functools
import struct
import zlib
from random import Random

from tests.fuzz import odd
from tests.fuzz.dicom import (
    SLICES,
    SYNTAXES,
    UNDEFINED,
    Element,
    Elements,
    Syntax,
    deep_bytes,
    element_bytes,
    file_bytes,
    nested,
    series,
    slice_elements,
)

TYPES = (
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OW",
    "PN", "SH", "SL", "SQ", "SS", "ST", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "  ", "??",
    "\0\0", "zz",
)  # fmt: skip
NUMBERS = ("nan", "inf", "-inf", "1e308", "1e-320", "-0", "0", "1,5", "1" * 64, "+", "0x1", "")
DEPTHS = (1, 2, 3, 8, 30, 100)
Files = dict[str, bytes]


@functools.cache
def seeds() -> tuple[Files, ...]:
    """Valid series in every transfer syntax, with sequences, and with private elements."""
    files = [series(name) for name in SYNTAXES]
    leaf = [Element(0x8, 0x1150, "UI", b"1.2"), Element(0x8, 0x1155, "UI", b"1.2.3")]
    for undefined in (False, True):
        for name in ("explicit", "implicit", "big"):
            extra = [Element(0x8, 0x1140, "SQ", [leaf, leaf]), nested(6)]
            files.append(_with(extra, name, undefined))
    hidden = element_bytes(nested(3), Syntax(explicit=False))
    files.append(_with([Element(0x29, 0x10, "LO", b"MAKER"), Element(0x29, 0x1010, "UN", hidden)]))
    files.append(_with([Element(0x9, 0x1002, "UT", b"text " * 200)]))
    return tuple(files)


def _with(extra: Elements, name: str = "explicit", undefined: bool = False) -> Files:
    return {
        f"series/{k:04d}.dcm": file_bytes(_placed(slice_elements(k, name), extra), name, undefined)
        for k in range(SLICES)
    }


def _placed(elements: Elements, extra: Elements) -> Elements:
    """Both, in the order of their tags."""
    return sorted([*elements, *extra], key=lambda one: (one.group, one.number))


def odd_series(rng: Random) -> Files:
    """A series in which one slice, or each, has up to three odd elements."""
    name = rng.choice(tuple(SYNTAXES))
    undefined = rng.random() < 0.3
    seed = rng.getrandbits(32)
    touched = range(SLICES) if rng.random() < 0.5 else (rng.randrange(SLICES),)
    files = series(name, undefined=undefined)
    for k in touched:
        elements = slice_elements(k, name)
        changed = odd_elements(elements, Random(seed))
        files[f"series/{k:04d}.dcm"] = file_bytes(changed, name, undefined)
    return files


def odd_elements(elements: Elements, rng: Random) -> Elements:
    """Elements after up to three changes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        change = rng.choice((_odd_value, _odd_value, _odd_number, _odd_type, _odd_length, _added))
        elements = change(list(elements), rng)
    if rng.random() < 0.1:
        rng.shuffle(elements)
    return elements


def _odd_value(elements: Elements, rng: Random) -> Elements:
    """Another value of the right type if the type is numeric, otherwise odd text."""
    place = rng.randrange(len(elements))
    one = elements[place]
    if one.vr == "US":
        content = odd.fitted(odd.integer(rng), 2)
    elif one.vr == "DS":
        parts = [rng.choice(NUMBERS) for _ in range(rng.choice((1, 2, 3, 6, 7)))]
        content = "\\".join(parts).encode()
    elif one.vr in ("OB", "OW"):
        content = _odd_pixels(one.content, rng)
    else:
        content = rng.choice(odd.TEXTS).encode("latin-1") * rng.choice((1, 1, 1, 50))
    elements[place] = dataclasses.replace(one, content=content)
    return elements


def _odd_pixels(content: bytes, rng: Random) -> bytes:
    size = rng.randrange(len(content) + 1)
    return rng.choice((content[:size], content * 2, content[:-1], b"", rng.randbytes(size)))


def _odd_number(elements: Elements, rng: Random) -> Elements:
    """One of several numbers of a position, an orientation or a spacing is odd."""
    places = [i for i, one in enumerate(elements) if one.vr == "DS" and b"\\" in one.content]
    if not places:
        return elements
    place = rng.choice(places)
    parts = elements[place].content.split(b"\\")
    parts[rng.randrange(len(parts))] = rng.choice(NUMBERS).encode()
    elements[place] = dataclasses.replace(elements[place], content=b"\\".join(parts))
    return elements


def _odd_type(elements: Elements, rng: Random) -> Elements:
    place = rng.randrange(len(elements))
    elements[place] = dataclasses.replace(elements[place], vr=rng.choice(TYPES))
    return elements


def _odd_length(elements: Elements, rng: Random) -> Elements:
    place = rng.randrange(len(elements))
    length = rng.choice((UNDEFINED, UNDEFINED - 1, odd.integer(rng), rng.randrange(64)))
    elements[place] = dataclasses.replace(elements[place], length=length)
    return elements


def _added(elements: Elements, rng: Random) -> Elements:
    """A further element: a deep sequence, text, frames, a palette, a private one, one twice."""
    inner = b"".join(element_bytes(nested(2), Syntax(explicit=False)) for _ in range(3))
    extra = rng.choice((
        nested(rng.choice(DEPTHS)),
        Element(0x28, 8, "IS", rng.choice((b"1", b"2", b"0", b"-1", b"99999999"))),
        Element(0x28, 6, "US", struct.pack("<H", rng.choice((0, 1, 2)))),
        Element(0x28, 0x1052, "DS", rng.choice(NUMBERS).encode()),
        Element(0x28, 0x1053, "DS", rng.choice(NUMBERS).encode()),
        Element(0x28, 0x1101, "US", struct.pack("<3H", 256, 0, rng.choice((8, 16, 99)))),
        Element(0x28, 0x1201, "OW", rng.randbytes(512)),
        Element(0x29, 0x1010, "UN", inner, rng.choice((None, UNDEFINED))),
        Element(0x5200, 0x9229, "SQ", [[Element(0x20, 0x9113, "SQ", [[]])]]),
        Element(0x8, 5, "CS", rng.choice((b"ISO 2022 IR 87", b"\\\\", b"ISO_IR 192"))),
        rng.choice(elements),
    ))  # fmt: skip
    return _placed(elements, [extra])


def deep_series(depth: int, undefined: bool = False) -> Files:
    """A series with sequences nested so deeply that a recursive reader runs out of stack."""
    files = series()
    for k, name in enumerate(files):
        whole = files[name]
        pixels = element_bytes(slice_elements(k)[-1], Syntax())
        files[name] = whole[: -len(pixels)] + deep_bytes(depth, undefined) + pixels
    return files


def deflate_bomb(megabytes: int) -> Files:
    """A deflated series; the first file unpacks to this many MB of a private element."""
    files = series("deflated")
    start = file_bytes([], "deflated")[:-2]  # an empty deflate stream takes two bytes
    size = megabytes * 10**6
    text = element_bytes(Element(0x9, 0x1002, "OB", b"", size), Syntax())
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [packer.compress(text)]
    pieces += [packer.compress(b"\0" * 10**6) for _ in range(megabytes)]
    body = b"".join(element_bytes(one, Syntax()) for one in slice_elements(0))
    files["series/0000.dcm"] = b"".join((start, *pieces, packer.compress(body), packer.flush()))
    return files


def long_series(slices: int) -> Files:
    """A valid series of very many slices."""
    return series(slices=slices)
