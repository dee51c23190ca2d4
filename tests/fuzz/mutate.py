"""Seeded changes of files: of any bytes, and of the places that a format's parser looks at."""

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.fuzz import odd
from tests.fuzz.nifti import FIELDS
from tests.fuzz.odd_pictures import png_bytes, png_chunks
from tests.fuzz.zips import odd_records

Mutation = Callable[[bytearray, Random], bytearray]


def mutate(data: bytes, rng: Random, other: bytes = b"") -> bytes:
    """One to a few changes that know nothing of the format.

    Args:
        other: a second file, of which a piece may be taken.
    """
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        changed = rng.choice(GENERAL)(changed, rng)
    if other and rng.random() < 0.1:
        cut, start = rng.randrange(len(changed) + 1), rng.randrange(len(other))
        changed = changed[:cut] + other[start:]
    return bytes(changed)


def mutate_as(kind: str, data: bytes, rng: Random, other: bytes = b"") -> bytes:
    """Changes that know the format, general ones, or both."""
    special = FORMATS.get(kind)
    if special is None or rng.random() < 0.3:
        return mutate(data, rng, other)
    changed = special(bytearray(data), rng)
    return mutate(changed, rng, other) if rng.random() < 0.15 else bytes(changed)


def _place(data: bytearray, rng: Random) -> int:
    """Any place, and every second time one near the start, where headers are."""
    return rng.randrange(min(len(data), 400) if rng.random() < 0.5 else len(data))


def _flip(data: bytearray, rng: Random) -> bytearray:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)
    return data


def _number(data: bytearray, rng: Random) -> bytearray:
    if data:
        size, place = rng.choice((1, 2, 4, 4, 8)), _place(data, rng)
        data[place : place + size] = odd.fitted(
            odd.integer(rng), size, rng.choice(("little", "big"))
        )
    return data


def _float(data: bytearray, rng: Random) -> bytearray:
    if data:
        place = _place(data, rng) & ~3
        data[place : place + 4] = struct.pack("<f", rng.choice(odd.FLOATS))
    return data


def _random_bytes(data: bytearray, rng: Random) -> bytearray:
    if data:
        place = _place(data, rng)
        data[place : place + 8] = rng.randbytes(rng.randrange(1, 9))
    return data


def _cut_short(data: bytearray, rng: Random) -> bytearray:
    return data[: rng.randrange(len(data) + 1)]


def _piece(data: bytearray, rng: Random) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, start + rng.choice((1, 2, 4, 16, 64, 512)))


def _remove(data: bytearray, rng: Random) -> bytearray:
    del data[_piece(data, rng)]
    return data


def _repeat(data: bytearray, rng: Random) -> bytearray:
    piece = _piece(data, rng)
    data[piece.start : piece.start] = data[piece] * rng.choice((1, 1, 2, 50))
    return data


def _swap(data: bytearray, rng: Random) -> bytearray:
    first, second = _piece(data, rng), _piece(data, rng)
    data[first], data[second] = data[second], data[first]
    return data


def _insert(data: bytearray, rng: Random) -> bytearray:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice((rng.randbytes(4), b"\0" * 16, b"\xff" * 16, b"A" * 300))
    return data


GENERAL: tuple[Mutation, ...] = (
    _flip, _flip, _number, _number, _float, _random_bytes, _cut_short, _remove, _repeat, _swap,
    _insert,
)  # fmt: skip


def _nifti(data: bytearray, rng: Random) -> bytearray:
    """Odd numbers in the fields of the header."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        name, place = rng.choice(_nifti_places())
        size = struct.calcsize("=" + name[-1])
        value = struct.pack("<f", rng.choice(odd.FLOATS))
        if name[-1] != "f":
            value = odd.fitted(rng.choice((odd.integer(rng), rng.randrange(9))), size)
        data[place : place + size] = value
    return data


def _nifti_places() -> list[tuple[str, int]]:
    places, place = [], 0
    for form in FIELDS.values():
        size, one = struct.calcsize("=" + form), struct.calcsize("=" + form[-1])
        places += [(form, place + start) for start in range(0, size, one)]
        place += size
    return places


def _png(data: bytearray, rng: Random) -> bytearray:
    """Chunks changed, moved, doubled or left out, with right checksums."""
    chunks = png_chunks(bytes(data))
    if not chunks:
        return data
    place = rng.randrange(len(chunks))
    kind, content = chunks[place]
    way = rng.randrange(5)
    if way == 0 and kind == b"IDAT":
        chunks[place] = (kind, _repacked(content, rng))
    elif way <= 2:
        chunks[place] = (kind, mutate(content, rng))
    elif way == 3:
        chunks.insert(rng.randrange(len(chunks) + 1), (kind, content))
    else:
        del chunks[place]
    return bytearray(png_bytes(chunks))


def _repacked(content: bytes, rng: Random) -> bytes:
    """Packed bytes unpacked, changed and packed again, so that the change gets past zlib."""
    try:
        return zlib.compress(mutate(zlib.decompress(content), rng))
    except zlib.error:
        return mutate(content, rng)


def _tiff(data: bytearray, rng: Random) -> bytearray:
    """Odd numbers in the entries of the first directory, or in its link to the next."""
    if len(data) < 16:
        return data
    order = "big" if data[:2] == b"MM" else "little"
    start = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[start : start + 2], order)
    for _ in range(rng.choice((1, 1, 2, 3))):
        entry = start + 2 + 12 * rng.randrange(max(1, min(count + 1, 40)))
        offset, size = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2), (8, 4)))
        value = rng.choice((odd.integer(rng), rng.randrange(20), rng.randrange(len(data))))
        data[entry + offset : entry + offset + size] = odd.fitted(value, size, order)
    return data


def _jpeg(data: bytearray, rng: Random) -> bytearray:
    """Segments whose length, marker or content is odd."""
    places = [i for i in range(2, len(data) - 4) if data[i] == 0xFF and data[i + 1] >= 0xC0]
    if not places:
        return data
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice(places)
        way = rng.randrange(4)
        if way == 0:
            data[place + 1] = rng.randrange(0xC0, 0x100)
        elif way == 1:
            data[place + 2 : place + 4] = odd.fitted(odd.integer(rng), 2, "big")
        else:
            inside = place + 4 + rng.randrange(16)
            data[inside : inside + 1] = bytes([rng.choice((0, 1, 2, 4, 17, 127, 128, 255))])
    return data


def _metaimage(data: bytearray, rng: Random) -> bytearray:
    """Lines of the header changed, doubled, moved or left out."""
    start = data.find(b"ElementDataFile")
    lines = data[: start if start >= 0 else 400].split(b"\n")
    place = rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        lines.insert(rng.randrange(len(lines)), lines[place])
    elif way == 1:
        del lines[place]
    elif way == 2:
        key = lines[place].partition(b"=")[0]
        lines[place] = bytearray(key + b"= " + rng.choice(odd.TEXTS).encode("latin-1"))
    else:
        lines[place] = bytearray(mutate(bytes(lines[place]), rng))
    return bytearray(b"\n".join(lines)) + (data[start:] if start >= 0 else data[400:])


def _dicom(data: bytearray, rng: Random) -> bytearray:
    """The type or the length of an element of the explicit form is odd."""
    known = (b"UI", b"CS", b"DS", b"US", b"LO", b"OW", b"OB", b"SQ", b"IS", b"UN")
    places = [i for i in range(132, len(data) - 8) if bytes(data[i : i + 2]) in known]
    if not places:
        return data
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice(places)
        if rng.random() < 0.3:
            data[place : place + 2] = rng.choice(known)
        else:
            start, size = rng.choice(((2, 2), (4, 4)))
            data[place + start : place + start + size] = odd.fitted(odd.integer(rng), size)
    return data


def _zip(data: bytearray, rng: Random) -> bytearray:
    return bytearray(odd_records(bytes(data), rng))


FORMATS: dict[str, Mutation] = {
    "nifti": _nifti, "png": _png, "tiff": _tiff, "jpeg": _jpeg, "metaimage": _metaimage,
    "dicom": _dicom, "zip": _zip,
}  # fmt: skip
