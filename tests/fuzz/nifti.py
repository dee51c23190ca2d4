"""NIfTI-1 files from a header as a dictionary: valid ones, and ones with odd fields."""

import functools
import gzip
import math
import struct
import zlib
from random import Random

import numpy as np

from tests.fuzz import odd

FIELDS = {
    "sizeof_hdr": "i", "data_type": "10s", "db_name": "18s", "extents": "i", "session_error": "h",
    "regular": "c", "dim_info": "b", "dim": "8h", "intent_p": "3f", "intent_code": "h",
    "datatype": "h", "bitpix": "h", "slice_start": "h", "pixdim": "8f", "vox_offset": "f",
    "scl_slope": "f", "scl_inter": "f", "slice_end": "h", "slice_code": "b", "xyzt_units": "b",
    "cal_max": "f", "cal_min": "f", "slice_duration": "f", "toffset": "f", "glmax": "i",
    "glmin": "i", "descrip": "80s", "aux_file": "24s", "qform_code": "h", "sform_code": "h",
    "quatern": "3f", "qoffset": "3f", "srow": "12f", "intent_name": "16s", "magic": "4s",
}  # fmt: skip
TYPES = {  # code of the type, bits, and numpy's name
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
ODD_TYPES = (0, 1, 32, 128, 255, 1536, 1792, 2048, 2304)  # binary, complex, RGB, long double, RGBA
SHAPE = (36, 40, 6)
MAX_HELD = 2**20  # bytes of voxels that a random file really holds
Header = dict[str, object]


def header(code: int = 4, shape: tuple[int, ...] = SHAPE) -> Header:
    """The header of a valid axial scan of 2 × 2 × 5 mm."""
    bits = np.dtype(TYPES[code]).itemsize * 8 if code in TYPES else 16
    return {
        "sizeof_hdr": 348, "regular": b"r", "dim": (len(shape), *shape, *[1] * (7 - len(shape))),
        "datatype": code, "bitpix": bits, "pixdim": (1.0, 2.0, 2.0, 5.0, 1.0, 1.0, 1.0, 1.0),
        "vox_offset": 352.0, "scl_slope": 1.0, "xyzt_units": 2, "descrip": b"seed",
        "qform_code": 1, "sform_code": 1, "quatern": (0.0, 0.0, 0.0), "qoffset": (-36.0, -40.0, 0),
        "srow": (2.0, 0, 0, -36.0, 0, 2.0, 0, -40.0, 0, 0, 5.0, 0), "magic": b"n+1\0",
    }  # fmt: skip


def voxels(code: int = 4, shape: tuple[int, ...] = SHAPE, order: str = "<") -> bytes:
    """A bright egg in the dark, in the type of this code."""
    x, y, z = np.mgrid[: shape[0], : shape[1], : shape[2]]
    egg = ((x - 18) / 14) ** 2 + ((y - 20) / 16) ** 2 + ((z - 2.5) / 4) ** 2 < 1
    gray = np.where(egg, 40 + x + y // 2, 0)
    return gray.T.astype(np.dtype(TYPES[code]).newbyteorder(order)).tobytes()


def nifti_bytes(fields: Header, content: bytes, extension: bytes = b"", order: str = "<") -> bytes:
    """A file: fields that are not named are zero, and fields that do not fit are cut."""
    packed = b"".join(_pack(order, form, fields.get(name)) for name, form in FIELDS.items())
    flag = b"\1\0\0\0" if extension else b"\0\0\0\0"
    return packed + flag + extension + content


def _pack(order: str, form: str, value: object) -> bytes:
    size = struct.calcsize("=" + form)
    if value is None:
        return b"\0" * size
    if isinstance(value, bytes):
        return value[:size].ljust(size, b"\0")
    values = value if isinstance(value, tuple | list) else (value,)
    kind, one = form[-1], struct.calcsize("=" + form[-1])
    name = "little" if order == "<" else "big"
    if kind == "f":
        return struct.pack(f"{order}{len(values)}f", *values)
    return b"".join(odd.fitted(int(number), one, name) for number in values)


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Valid files of every type and byte order, packed and not, and some of other kinds."""
    files = [nifti_bytes(header(code), voxels(code)) for code in TYPES]
    files += [nifti_bytes(header(code), voxels(code, order=">"), order=">") for code in (4, 16)]
    files += [gzip.compress(files[1], mtime=0), gzip.compress(files[3], 1, mtime=0)]
    text = struct.pack("<ii", 48, 6) + b"<AFNI history='seed'/>".ljust(40, b"\0")
    extended = header() | {"vox_offset": 400.0}
    files.append(nifti_bytes(extended, voxels(), text))
    files.append(nifti_bytes(header(shape=(*SHAPE, 1)), voxels()))
    files.append(nifti_bytes(header(shape=(*SHAPE, 2)), voxels() * 2))
    files.append(nifti_bytes(header() | {"scl_slope": 0.01, "scl_inter": -5.0}, voxels()))
    files.append(nifti_bytes(header() | {"datatype": 128, "bitpix": 24}, voxels(2) * 3))
    oblique = {"quatern": (0.1, 0.2, 0.3), "sform_code": 0}
    files.append(nifti_bytes(header() | oblique, voxels()))
    files.append(gzip.compress(files[1][:9000], mtime=0) + gzip.compress(files[1][9000:], mtime=0))
    return tuple(files)


def odd_header(rng: Random) -> Header:
    """A valid header in which up to three fields hold something else."""
    fields = header(rng.choice(tuple(TYPES)))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        name = rng.choice(tuple(FIELDS))
        fields[name] = _odd_value(name, fields.get(name), rng)
    return fields


def _odd_value(name: str, value: object, rng: Random) -> object:
    form = FIELDS[name]
    if form.endswith("s") or form == "c":
        return rng.choice(odd.TEXTS).encode("latin-1") * rng.choice((1, 1, 20))
    if name == "datatype":
        return rng.choice((*ODD_TYPES, *TYPES))
    count = int(form[:-1] or 1)
    values = list(value) if isinstance(value, tuple) else [value or 0] * count
    for _ in range(rng.choice((1, 1, 2, count))):
        place = rng.randrange(count)
        values[place] = rng.choice(odd.FLOATS) if form.endswith("f") else _small(rng)
    return tuple(values)


def _small(rng: Random) -> int:
    return rng.randrange(9) if rng.random() < 0.5 else odd.integer(rng)


def held_bytes(fields: Header) -> int:
    """How many bytes of voxels a header promises, as far as a small file can hold them."""
    dim = fields["dim"]
    rank = dim[0] if isinstance(dim, tuple) and 1 <= dim[0] <= 7 else 3
    count = math.prod(max(1, number) for number in tuple(dim)[1 : rank + 1])
    bits = fields["bitpix"]
    one = max(1, (bits[0] if isinstance(bits, tuple) else bits) // 8)
    return min(count * one, MAX_HELD)


def odd_nifti(rng: Random) -> bytes:
    """A file with an odd header and most often as many bytes as the header promises."""
    fields = odd_header(rng)
    length = held_bytes(fields)
    content = voxels(4) if rng.random() < 0.7 else rng.randbytes(4096)
    content = (content * (length // len(content) + 1))[:length]
    if rng.random() < 0.1:
        content = content[: rng.randrange(len(content) + 1)]
    extension = rng.randbytes(rng.choice((8, 16, 48))) if rng.random() < 0.1 else b""
    file = nifti_bytes(fields, content, extension, rng.choice("<<<>"))
    return gzip.compress(file, 1, mtime=0) if rng.random() < 0.4 else file


def bomb(megabytes: int) -> bytes:
    """A packed file of a few hundred kB at most whose header promises this many MB of zeros."""
    side = 500
    fields = header(64, (side, side, megabytes * 10**6 // (8 * side * side)))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(nifti_bytes(fields, b""))]
    pieces += [packer.compress(b"\0" * 10**6) for _ in range(megabytes)]
    return b"".join((*pieces, packer.flush()))
