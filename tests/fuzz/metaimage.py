"""MetaImage files from the lines of a header: valid ones, and ones with odd lines."""

import functools
import zlib
from random import Random

from tests.fuzz import odd
from tests.fuzz.nifti import SHAPE, voxels

SECRET = "@SECRET@"  # stands for the path of a file that no reader may open
Line = tuple[str, str, str]  # key, separator, value
Files = dict[str, bytes]
TYPES = {
    "MET_UCHAR": 2, "MET_CHAR": 256, "MET_SHORT": 4, "MET_USHORT": 512, "MET_INT": 8,
    "MET_UINT": 768, "MET_FLOAT": 16, "MET_DOUBLE": 64, "MET_LONG_LONG": 1024,
}  # fmt: skip
ODD_TYPES = (
    "MET_SHORT_ARRAY", "MET_STRING", "MET_ASCII_CHAR", "MET_NONE", "MET_OTHER", "MET_FLOAT_MATRIX",
    "MET_LONG", "MET_ULONG", "met_short", "",
)  # fmt: skip
PLACES = (
    "LOCAL", "LIST", "LIST 2", "Local", "voxels.raw", "./voxels.raw", "../secret.raw", SECRET,
    "/etc/passwd", "/dev/zero", "/proc/self/mem", "/dev/stdin", "scan.mha", "v%03d.raw 1 6 1",
    "v%d.raw 0 99999999 1", "v%03d.raw 1 6 0", "%s%n.raw 1 6 1", "v%99999d.raw 1 2 1", "", " ",
    "voxels.raw extra", "https://example.org/a.raw", "voxels\0.raw",
)  # fmt: skip
KEYS = (
    "ObjectType", "ObjectSubType", "NDims", "Name", "ID", "ParentID", "Color", "Comment",
    "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData",
    "CompressedDataSize", "TransformMatrix", "Rotation", "Offset", "Position", "Origin",
    "CenterOfRotation", "AnatomicalOrientation", "ElementSpacing", "DimSize", "HeaderSize",
    "HeaderSizePerSlice", "Modality", "ImagePosition", "SequenceID", "ElementMin", "ElementMax",
    "ElementNumberOfChannels", "ElementSize", "ElementNBits", "ElementToIntensityFunctionSlope",
    "ElementToIntensityFunctionOffset", "ElementType", "DistanceUnits", "ElementDataFile",
    "AcquisitionDate", "Unknown_Key",
)  # fmt: skip


def lines(kind: str = "MET_SHORT", **changed: str) -> list[Line]:
    """The lines of a valid header, with some values changed or added."""
    values = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-36 -40 0",
        "ElementSpacing": "2 2 5",
        "DimSize": " ".join(map(str, SHAPE)),
        "ElementType": kind,
    }
    values |= changed
    values["ElementDataFile"] = values.pop("ElementDataFile", "LOCAL")
    return [(key, " = ", value) for key, value in values.items()]


def header_bytes(header: list[Line], ending: str = "\n") -> bytes:
    """The text of a header."""
    return "".join(key + sep + value + ending for key, sep, value in header).encode("latin-1")


@functools.cache
def seeds() -> tuple[Files, ...]:
    """Valid files, each as the files it consists of, the header first."""
    files = [{"scan.mha": header_bytes(lines(kind)) + voxels(code)} for kind, code in TYPES.items()]
    short = voxels(4)
    packed = zlib.compress(short)
    sized = lines(CompressedData="True", CompressedDataSize=str(len(packed)))
    beside = header_bytes(lines(ElementDataFile="voxels.raw"))
    msb = header_bytes(lines(BinaryDataByteOrderMSB="True"))
    plane = len(short) // SHAPE[2]
    planes = {f"v{k + 1:03d}.raw": short[k * plane :][:plane] for k in range(SHAPE[2])}
    listed = header_bytes(lines(ElementDataFile="LIST")) + "\n".join(planes).encode() + b"\n"
    pattern = header_bytes(lines(ElementDataFile="v%03d.raw 1 6 1"))
    text = " ".join(["7"] * (SHAPE[0] * SHAPE[1] * SHAPE[2])).encode()
    files += [
        {"scan.mha": header_bytes(sized) + packed},
        {"scan.mha": header_bytes(lines(CompressedData="True")) + packed},
        {"scan.mha": msb + voxels(4, order=">")},
        {"scan.mhd": beside, "voxels.raw": short},
        {"scan.mhd": listed, **planes},
        {"scan.mhd": pattern, **planes},
        {"scan.mha": header_bytes(lines(BinaryData="False")) + text},
        {"scan.mha": header_bytes(lines(), "\r\n") + short},
        {"scan.mha": header_bytes(lines(NDims="4", DimSize="36 40 6 1")) + short},
        {"scan.mha": header_bytes(lines("MET_UCHAR", ElementNumberOfChannels="3")) + short * 2},
        {"scan.mha": header_bytes(lines(HeaderSize="-1")) + short},
        {"scan.mha": header_bytes(lines(AnatomicalOrientation="RAI", ID="3")) + short},
    ]
    return tuple(files)


def odd_lines(rng: Random) -> list[Line]:
    """The lines of a valid header after up to three changes."""
    header = lines(rng.choice(tuple(TYPES)))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        change = rng.choice((_repeat, _other_value, _other_value, _other_place, _added, _moved))
        change(header, rng)
    if rng.random() < 0.05:
        del header[rng.randrange(len(header))]
    return header


def _repeat(header: list[Line], rng: Random) -> None:
    key, sep, _ = rng.choice(header)
    header.insert(rng.randrange(len(header) + 1), (key, sep, _value(key, rng)))


def _other_value(header: list[Line], rng: Random) -> None:
    place = rng.randrange(len(header))
    key, sep, _ = header[place]
    header[place] = (key, rng.choice((sep, "=", ":", " : ", "  =\t", " ")), _value(key, rng))


def _other_place(header: list[Line], rng: Random) -> None:
    header[-1] = ("ElementDataFile", " = ", rng.choice(PLACES))


def _added(header: list[Line], rng: Random) -> None:
    key = rng.choice(KEYS)
    value = _value(key, rng)
    if key == "Comment":
        value = f"ElementDataFile = {rng.choice(PLACES)}"
    header.insert(rng.randrange(len(header)), (key, " = ", value))


def _moved(header: list[Line], rng: Random) -> None:
    header.insert(rng.randrange(len(header)), header.pop(rng.randrange(len(header))))


def _value(key: str, rng: Random) -> str:
    if key == "ElementDataFile":
        return rng.choice(PLACES)
    if key == "ElementType":
        return rng.choice((*TYPES, *ODD_TYPES))
    if rng.random() < 0.3:
        return rng.choice(odd.TEXTS)
    count = rng.choice((1, 1, 2, 3, 3, 4, 9, 40))
    number = rng.choice((odd.integer, lambda r: r.choice(odd.FLOATS), lambda r: r.randrange(9)))
    return " ".join(str(number(rng)) for _ in range(count))


def odd_metaimage(rng: Random) -> Files:
    """A header with odd lines before the voxels, or beside them."""
    short = voxels(rng.choice(tuple(TYPES.values())))
    header = odd_lines(rng)
    if rng.random() < 0.3:
        content = zlib.compress(short)
        header.insert(3, ("CompressedData", " = ", "True"))
        if rng.random() < 0.5:
            size = rng.choice((len(content), len(short), odd.integer(rng)))
            header.insert(4, ("CompressedDataSize", " = ", str(size)))
    else:
        content = short
    text = header_bytes(header, rng.choice(("\n", "\n", "\n", "\r\n", "\r")))
    if rng.random() < 0.7:
        return {"scan.mha": text + content}
    plane = short[: len(short) // SHAPE[2]]
    return {"scan.mhd": text, "voxels.raw": content, "v001.raw": plane, "v002.raw": plane}


def bomb(megabytes: int) -> Files:
    """Few voxels by the header, whose packed data unpack to this many MB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"\0" * 10**6) for _ in range(megabytes)) + packer.flush()
    return {"scan.mha": header_bytes(lines(CompressedData="True")) + packed}
