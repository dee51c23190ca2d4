"""Zip files: valid ones of scans, and ones that lie about what they hold."""

import functools
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from random import Random

from tests.fuzz import metaimage, nifti, odd, odd_dicom

NAMES = (
    "../outside.dcm", "/absolute.dcm", "C:\\x.dcm", "..\\x.dcm", "a/../../b.dcm", "", ".", "/",
    "folder/", "x" * 300, "ä.dcm", "a\0b.dcm", "scan.nii", "scan.nii.gz", "scan.mha", "inner.zip",
    "\x1b[31m.dcm", "CON", "a" + "/a" * 200,
)  # fmt: skip
Members = list[tuple[str, bytes]]
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def zip_bytes(members: Iterable[tuple[str, bytes]], packed: bool = True, **options: bool) -> bytes:
    """A zip file with these members, all of one date."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x", (2000, 1, 1, 0, 0, 0))
            info.filename, info.compress_type = name, method  # as they are: ZipInfo cuts at NUL
            if options.get("links"):
                info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.NameToInfo.pop(name, None)  # otherwise duplicate names cause a warning
            with archive.open(info, "w", force_zip64=options.get("zip64", False)) as file:
                file.write(content)
    return buffer.getvalue()


def packed_series() -> Members:
    """The members of a zip file of a valid series."""
    return list(odd_dicom.seeds()[1].items())


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Zip files of series, of other scans, and of members that should not be there."""
    series = packed_series()
    scan = ("scan.nii", nifti.seeds()[1])
    header = ("scan.mha", next(iter(metaimage.seeds()[2].values())))
    inner = ("inner.zip", zip_bytes(series))
    readme = ("README.txt", b"text" * 10)
    links = [("link.dcm", b"/etc/passwd"), ("link2.dcm", b"../../secret.raw")]
    return (
        zip_bytes(series),
        zip_bytes(series, packed=False),
        zip_bytes(series, zip64=True),
        zip_bytes([*series, readme, ("folder/", b"")]),
        zip_bytes([scan]),
        zip_bytes([header]),
        zip_bytes([*series, scan]),
        zip_bytes([inner]),
        zip_bytes([*series, inner]),
        zip_bytes(links, links=True),
        zip_bytes([*series, *series]),
        zip_bytes([(f"../{name}", content) for name, content in series]),
        zip_bytes([(f"/{name}", content) for name, content in series]),
        zip_bytes([]),
        zip_bytes(series) + b"trailing" * 4,
        b"leading" * 4 + zip_bytes(series),
    )


def odd_zip(rng: Random) -> bytes:
    """A zip file of a series, perhaps an odd one, with odd names, members or records."""
    files = odd_dicom.odd_series(rng) if rng.random() < 0.4 else dict(packed_series())
    members = list(files.items())
    for _ in range(rng.choice((0, 1, 1, 2))):
        place = rng.randrange(len(members))
        content = rng.choice((b"", rng.randbytes(40), members[place][1]))
        members.insert(place, (rng.choice(NAMES), content))
    if rng.random() < 0.1:
        members = [(rng.choice(NAMES), content) for _, content in members]
    if rng.random() < 0.1:
        members *= rng.choice((2, 3))
    links, zip64 = rng.random() < 0.1, rng.random() < 0.1
    file = zip_bytes(members, rng.random() < 0.7, links=links, zip64=zip64)
    return odd_records(file, rng) if rng.random() < 0.6 else file


def odd_records(file: bytes, rng: Random) -> bytes:
    """A zip file with odd numbers in its records: flags, methods, sizes, offsets, counts."""
    changed = bytearray(file)
    for _ in range(rng.choice((1, 1, 2, 3))):
        magic, length = rng.choice(((LOCAL, 30), (CENTRAL, 46), (END, 22)))
        places = _places(file, magic)
        if not places:
            continue
        place = rng.choice(places) + rng.randrange(4, length - 1, 2)
        value = rng.choice((1, 2, 8, 9, 12, 14, 93, 0x800, odd.integer(rng)))
        changed[place : place + 2] = odd.fitted(value, 2)
    return bytes(changed)


def _places(file: bytes, magic: bytes) -> list[int]:
    places, place = [], file.find(magic)
    while place >= 0:
        places.append(place)
        place = file.find(magic, place + 1)
    return places


def many_entries(count: int) -> bytes:
    """A zip file of `count` empty members."""
    return zip_bytes(((str(number), b"") for number in range(count)), packed=False)


def bomb(megabytes: int, members: int = 1) -> bytes:
    """A zip file whose members unpack to `megabytes` MB of zeros each."""
    one = zip_bytes([("a.dcm", b"")])
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = b"".join(packer.compress(b"\0" * 10**6) for _ in range(megabytes)) + packer.flush()
    size = megabytes * 10**6
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(b"\0" * 10**6, checksum)
    sizes = struct.pack("<III", checksum, len(content), size)
    name = b"a.dcm"
    local = one[:14] + sizes + one[26:30] + name + content
    central_start = one.find(CENTRAL)
    record = one[central_start : one.find(END)]
    central, body = b"", b""
    for _ in range(members):
        place = struct.pack("<I", len(body))
        central += record[:16] + sizes + record[28:42] + place + record[46:]
        body += local
    end = END + struct.pack("<4H2IH", 0, 0, members, members, len(central), len(body), 0)
    return body + central + end


def overlapping(entries: int = 200) -> bytes:
    """A zip file whose entries all name the same packed bytes."""
    one = zip_bytes([("a.dcm", b"\0" * 10**6)])
    start, end = one.find(CENTRAL), one.find(END)
    central = one[start:end] * entries
    tail = struct.pack("<4H2IH", 0, 0, entries, entries, len(central), start, 0)
    return one[:start] + central + END + tail
