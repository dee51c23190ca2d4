"""Sequences that are nested too deeply are found before GDCM sees them."""

import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from dicom_files import write_series
from scans import brain

from brainai.data.dicom_structure import MAX_DEPTH, examine
from brainai.data.scans import read_scan
from brainai.errors import DataError

SYNTAXES = {
    "explicit": b"1.2.840.10008.1.2.1\0",
    "implicit": b"1.2.840.10008.1.2\0",
    "big endian": b"1.2.840.10008.1.2.2\0",
    "deflated": b"1.2.840.10008.1.2.1.99",
}
UNDEFINED = 0xFFFFFFFF


def nested(depth: int, syntax: str, defined: bool, vr: bytes = b"SQ") -> bytes:
    """Nested sequences of one item each."""
    order = ">" if syntax == "big endian" else "<"
    is_implicit = syntax == "implicit" or vr == b"UN"

    def mark(number: int, length: int) -> bytes:
        return struct.pack(f"{order}HHI", 0xFFFE, number, length)

    heads, ends = [], []
    inside = 0  # bytes inside the sequence
    for level in range(depth - 1, -1, -1):  # the innermost first, because the outer ones hold it
        item = mark(0xE000, inside if defined else UNDEFINED)
        head = struct.pack(f"{order}HH", 0x0008, 0x1140)
        length = inside + len(item) if defined else UNDEFINED
        if is_implicit and (syntax == "implicit" or level > 0):
            head += struct.pack(f"{order}I", length)
        else:
            head += vr + struct.pack(f"{order}HI", 0, length)
        heads.append(head + item)
        ends.append(b"" if defined else mark(0xE00D, 0) + mark(0xE0DD, 0))
        inside += len(heads[-1]) + len(ends[-1])
    return b"".join([*reversed(heads), *ends])


def part10(dataset: bytes, syntax: str) -> bytes:
    """A file with its preamble and its transfer syntax."""
    uid = SYNTAXES[syntax]
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    head = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    if syntax == "deflated":
        packer = zlib.compressobj(wbits=-15)
        dataset = packer.compress(dataset) + packer.flush()
    return bytes(128) + b"DICM" + head + meta + dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("defined", [True, False])
def test_depth_is_counted_in_every_transfer_syntax(syntax, defined):
    assert not examine(part10(nested(MAX_DEPTH, syntax, defined), syntax)).is_too_deep
    for depth in (MAX_DEPTH + 1, 20_000):
        if not defined or depth < 20_000 or syntax != "deflated":
            assert examine(part10(nested(depth, syntax, defined), syntax)).is_too_deep


def test_sequences_of_unknown_vr_count_too():
    assert examine(part10(nested(500, "explicit", False, b"UN"), "explicit")).is_too_deep


@pytest.mark.parametrize("defined", [True, False])
def test_many_sibling_items_are_not_deep(defined):
    inside = nested(2, "explicit", defined)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inside)) + inside
    items = item * 2000
    head = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, len(items))
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 6) + bytes(6)
    found = examine(part10(head + items + pixels, "explicit"))
    assert (found.is_too_deep, found.pixel_bytes) == (False, 6)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(10_000), b"\xfe\xff\x00\xe0" * 3000])
def test_examining_a_file_that_is_not_dicom_raises_nothing(content):
    assert examine(content).pixel_bytes is None


def test_a_too_deeply_nested_series_is_refused_and_the_process_survives(tmp_path):
    deep = part10(nested(20_000, "explicit", False), "explicit")
    with zipfile.ZipFile(tmp_path / "deep.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(6):
            packed.writestr(f"{number}.dcm", deep)
    with pytest.raises(DataError, match="more than 64 levels deep"):
        read_scan(tmp_path / "deep.zip", "FLAIR")
    folder = write_series(tmp_path / "series", brain())
    assert read_scan(folder).voxels.shape == brain().shape


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_a_crash_in_gdcm_becomes_a_one_sentence_error(tmp_path):
    """The depth check is skipped, as if it had a gap: the child dies, not the caller."""
    (tmp_path / "a.dcm").write_bytes(part10(nested(100_000, "explicit", False), "explicit"))
    code = (
        "import sys; from brainai.data import reader_pool\n"
        "reader_pool.MODULE = 'brainai.data import dicom_headers, dicom_structure as found; '"
        "'dicom_headers.examine = lambda _: found.Structure(False, None); '"
        "'from brainai.data.reader_process'\n"
        "from brainai.data.scans import read_scan\n"
        "from brainai.errors import DataError\n"
        "try: read_scan(sys.argv[1], 'FLAIR')\n"
        "except DataError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.dcm")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("FLAIR: expected a file that can be opened")


@pytest.mark.parametrize("missing", [2, 200, 2000])
def test_fewer_pixels_than_the_header_says_are_refused_as_damage(tmp_path, missing):
    folder = write_series(tmp_path / "series", brain())
    for path in folder.iterdir():
        content = path.read_bytes()
        head = content.rindex(b"\xe0\x7f\x10\x00") + 4
        head += 4 * content[head : head + 2].isalpha()  # explicit: VR and two empty bytes
        (length,) = struct.unpack("<I", content[head : head + 4])
        assert length == brain()[:, :, 0].nbytes
        left = struct.pack("<I", length - missing) + content[head + 4 : -missing]
        path.write_bytes(content[:head] + left)
    with pytest.raises(DataError, match="damaged or truncated"):
        read_scan(folder, "FLAIR")
