"""PNG files from lists of chunks and TIFF files from lists of directories: valid and odd ones."""

import struct
import zlib
from random import Random
from typing import NamedTuple

from tests.fuzz import odd
from tests.fuzz.picture_seeds import gray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]  # type and content
HEIGHT, WIDTH = gray().shape
PNG_TYPES = (  # bits of a channel, and color type
    (8, 0), (8, 0), (16, 0), (1, 0), (2, 0), (4, 0), (8, 2), (16, 2), (1, 3), (4, 3), (8, 3),
    (8, 4), (16, 4), (8, 6), (16, 6),
)  # fmt: skip


def png_bytes(chunks: list[Chunk]) -> bytes:
    """A PNG file with these chunks, each with its right checksum."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )  # fmt: skip


def png_chunks(file: bytes) -> list[Chunk]:
    """The chunks of a PNG file, as far as its lengths make sense."""
    chunks, place = [], len(SIGNATURE)
    while place + 8 <= len(file):
        (length,) = struct.unpack(">I", file[place : place + 4])
        chunks.append((file[place + 4 : place + 8], file[place + 8 : place + 8 + length]))
        place += length + 12
    return chunks


def odd_png(rng: Random) -> bytes:
    """A PNG file with an odd header, filters, chunks, or amount of pixels."""
    depth, color = rng.choice(PNG_TYPES)
    if rng.random() < 0.1:
        depth, color = rng.choice((0, 3, 8, 16, 32)), rng.choice((0, 1, 3, 5, 255))
    interlace = rng.choice((0, 0, 0, 0, 1, 2))
    width, height = (_side(side, rng) for side in (WIDTH, HEIGHT))
    channels = {2: 3, 4: 2, 6: 4}.get(color, 1)
    row = (min(width, 4000) * channels * depth + 7) // 8
    filters = bytearray(rng.choice((0, 0, 1, 2, 3, 4)) for _ in range(HEIGHT))
    if rng.random() < 0.05:
        filters[rng.randrange(HEIGHT)] = 9
    lines = (bytes([way]) + (gray().tobytes() * (row // 1440 + 1))[:row] for way in filters)
    content = zlib.compress(b"".join(lines), rng.choice((0, 1, 9)))
    if rng.random() < 0.1:
        content = content[: rng.randrange(len(content))]
    method, filtering = (int(rng.random() < 0.03) for _ in range(2))
    header = struct.pack(">II", width, height) + bytes((depth, color, method, filtering))
    chunks: list[Chunk] = [(b"IHDR", header + bytes([interlace])), *_extra_chunks(rng)]
    if color == 3 and rng.random() < 0.9:
        chunks.append((b"PLTE", rng.randbytes(3 * rng.choice((1, 16, 255, 256, 257)))))
    half = rng.randrange(len(content) + 1)
    parts = [(b"IDAT", content[:half]), (b"IDAT", content[half:])]
    chunks += parts if rng.random() < 0.5 else [(b"IDAT", content)]
    chunks += [*_extra_chunks(rng), (b"IEND", b"")]
    if rng.random() < 0.1:
        rng.shuffle(chunks)
    return png_bytes(chunks)


def _side(usual: int, rng: Random) -> int:
    """The length of a side: usually `usual`, otherwise any that 32 bits can hold."""
    return usual if rng.random() < 0.8 else odd.integer(rng) % 2**32


def _extra_chunks(rng: Random) -> list[Chunk]:
    number = struct.pack(">I", odd.integer(rng) % 2**32)
    packed = zlib.compress(b"\0" * rng.choice((10, 10**5, 2 * 10**6)), 9)
    choices: list[Chunk] = [
        (b"tRNS", rng.randbytes(rng.choice((0, 1, 2, 6, 300)))),
        (b"gAMA", number), (b"pHYs", number * 2 + b"\1"), (b"tIME", number * 2),
        (b"iCCP", b"name\0\0" + packed), (b"iCCP", b"no end" * 20), (b"zTXt", b"key\0\0" + packed),
        (b"tEXt", b"key\0" + b"t" * rng.choice((0, 100, 70000))), (b"tEXt", b"no separator"),
        (b"iTXt", b"key\0\1\0en\0key\0" + packed), (b"iTXt", b"\0" * 4),
        (b"eXIf", rng.randbytes(30)), (b"eXIf", tiff_bytes([odd_entries(rng)])),
        (b"acTL", struct.pack(">I", rng.choice((0, 1, 2, 2**31))) + number),
        (b"fcTL", number * 6 + b"\0\0"), (b"fdAT", number + b"data"), (b"sBIT", b"\0"),
        (b"PLTE", b"abc"), (b"IHDR", number * 3 + b"\0"), (b"abcd", b"private"), (b"ABCD", b"new"),
        (b"cHRM", rng.randbytes(32)), (b"sRGB", b"\0"), (b"IEND", b""),
    ]  # fmt: skip
    return rng.sample(choices, rng.choice((0, 0, 0, 1, 1, 3)))


class Entry(NamedTuple):
    """One entry of a TIFF directory; `count` is how many values the file says there are."""

    tag: int
    kind: int  # 1 byte, 2 text, 3 short, 4 long, 5 rational, 12 double
    content: bytes
    count: int


KIND_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TAGS = (
    254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 283, 284, 285, 292,
    296, 305, 317, 320, 322, 323, 324, 325, 330, 332, 336, 338, 339, 340, 341, 347, 512, 513, 514,
    529, 530, 531, 532, 700, 33432, 33723, 34377, 34665, 34675, 34853, 37724, 40961, 65000,
)  # fmt: skip
COMPRESSIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34676, 34925, 50000, 50001)


def tiff_bytes(
    directories: list[list[Entry]], order: str = "little", pixels: bytes = b"", loop: int = 0
) -> bytes:
    """A TIFF file: header, pixels, directories one after another.

    Args:
        pixels: stand at byte 8.
        loop: where the last directory says the next one lies; 0 ends the chain.
    """
    mark = b"II*\0" if order == "little" else b"MM\0*"
    place = 8 + len(pixels) + len(pixels) % 2
    file = bytearray(mark + place.to_bytes(4, order) + pixels + b"\0" * (len(pixels) % 2))
    for number, entries in enumerate(directories):
        values = b""
        start = len(file) + 2 + 12 * len(entries) + 4
        records = b""
        for entry in entries:
            content = entry.content
            if len(content) > 4:
                where = start + len(values)
                values += content + b"\0" * (len(content) % 2)
                content = where.to_bytes(4, order)
            fields = ((entry.tag, 2), (entry.kind, 2), (entry.count, 4))
            records += b"".join(odd.fitted(value, size, order) for value, size in fields)
            records += content.ljust(4, b"\0")
        last = number == len(directories) - 1
        following = loop if last else start + len(values)
        file += len(entries).to_bytes(2, order) + records
        file += odd.fitted(following, 4, order) + values
    return bytes(file)


def numbers(tag: int, *values: int, kind: int = 4, order: str = "little") -> Entry:
    """An entry of whole numbers."""
    size = KIND_BYTES.get(kind, 4)
    return Entry(tag, kind, b"".join(odd.fitted(v, size, order) for v in values), len(values))


def strip_entries(order: str = "little", tiled: bool = False) -> list[Entry]:
    """The directory of a gray picture whose pixels start at byte 8, in one strip or in tiles."""
    count = gray().size
    fields = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 277: 1}
    entries = [numbers(tag, value, order=order) for tag, value in fields.items()]
    if not tiled:
        fields = {273: 8, 278: HEIGHT, 279: count}
        return entries + [numbers(tag, value, order=order) for tag, value in fields.items()]
    places = [8 + 256 * tile for tile in range(9)]  # tiles of 16 × 16, three by three
    entries += [numbers(322, 16, order=order), numbers(323, 16, order=order)]
    return [
        *entries, numbers(324, *places, order=order), numbers(325, *[256] * 9, order=order),
    ]  # fmt: skip


def tiff_seeds() -> tuple[bytes, ...]:
    """Valid files that Pillow does not write: big-endian ones and tiled ones."""
    tiles = b"".join(bytes([40 + 20 * tile]) * 256 for tile in range(9))
    files = [
        tiff_bytes([strip_entries(order)], order, gray().tobytes()) for order in ("little", "big")
    ]
    files += [tiff_bytes([strip_entries(order, True)], order, tiles) for order in ("little", "big")]
    return tuple(files)


def odd_entries(rng: Random, order: str = "little") -> list[Entry]:
    """The directory of a picture after up to five changes."""
    entries = strip_entries(order, rng.random() < 0.3)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        value = rng.randrange(20) if rng.random() < 0.5 else odd.integer(rng)
        kind = rng.choice((*KIND_BYTES, 4, 4, 4, 3, 3, 0, 14, 99))
        tag = rng.choice((*TAGS, 258, 259, 262, 273, 277, 278, 279, 317, 339))
        if tag == 259:
            value = rng.choice(COMPRESSIONS)
        if tag == 258:
            value = rng.choice((1, 2, 4, 8, 12, 16, 24, 32, 64, 0, value))
        new = numbers(tag, *[value] * rng.choice((1, 1, 1, 2, 3, 4, 40)), kind=kind, order=order)
        if rng.random() < 0.15:
            new = new._replace(count=odd.integer(rng))
        places = [i for i, entry in enumerate(entries) if entry.tag == tag]
        if places and rng.random() < 0.9:
            entries[places[0]] = new
        else:
            entries.append(new)
    if rng.random() < 0.9:
        entries.sort(key=lambda entry: entry.tag)
    return entries


def odd_tiff(rng: Random) -> bytes:
    """A TIFF file with odd entries, several directories, or a chain that bites its tail."""
    order = rng.choice(("little", "little", "big"))
    pixels = rng.choice((gray().tobytes() * 2, zlib.compress(gray().tobytes()), b"\x80" * 3000))
    count = rng.choice((1, 1, 1, 1, 1, 2, 3))
    directories = [odd_entries(rng, order) for _ in range(count)]
    loop = 0 if rng.random() < 0.9 else rng.choice((8, 10 + len(pixels), odd.integer(rng)))
    return tiff_bytes(directories, order, pixels, loop)


def many_directories(count: int) -> bytes:
    """A TIFF file of `count` frames, all of the same pixels."""
    return tiff_bytes([strip_entries()] * count, pixels=gray().tobytes())
