"""MetaImage files are read as MetaIO reads them, without a byte of any other file."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scans import brain, write_scan

from brainai.data.scans import read_scan
from brainai.data.volumes import read_volume
from brainai.errors import DataError

SECRET = b"TOPSECRET-" * 20
HEADER = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "ElementSpacing": "2 2 5",
    "DimSize": "10 5 4",
    "ElementType": "MET_UCHAR",
    "ElementDataFile": "LOCAL",
}
VOXELS = np.arange(200, dtype=np.uint8).reshape(4, 5, 10).transpose(2, 1, 0)


def write(path: Path, *lines: str, voxels: bytes = VOXELS.tobytes("F"), **changed: str) -> Path:
    """Write a MetaImage file of 10 × 5 × 4 voxels, 0 to 199.

    Args:
        lines: put before the others.
        changed: fields with another value.
    """
    fields = HEADER | changed
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # always comes last
    text = "\n".join([*lines, *(f"{name} = {value}" for name, value in fields.items())])
    path.write_bytes(text.encode() + b"\n" + voxels)
    return path


def stored(path: Path) -> np.ndarray:
    """The voxels of a file in the order of its bytes."""
    return read_volume(path).voxels


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret.bin").write_bytes(SECRET)
    return tmp_path / "secret.bin"


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """The path of an uploaded file, in a folder of its own."""
    (tmp_path / "sent").mkdir()
    return tmp_path / "sent" / "scan.mha"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", ["mha", "mhd"])
def test_files_written_by_simpleitk_are_read_as_simpleitk_reads_them(tmp_path, suffix, compressed):
    image = sitk.GetImageFromArray(brain().transpose(2, 1, 0))
    image.SetSpacing((0.5, 0.75, 3.0))
    image.SetOrigin((1.0, -20.0, 3.0))
    image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    image["0008|0060"] = "MR"
    image["a note: with = signs"] = "ElementDataFile = /etc/passwd"
    sitk.WriteImage(image, str(tmp_path / f"scan.{suffix}"), useCompression=compressed)
    volume = read_volume(tmp_path / f"scan.{suffix}")
    expected = sitk.DICOMOrient(image, "LPS")
    np.testing.assert_array_equal(
        volume.voxels, sitk.GetArrayFromImage(expected).transpose(2, 1, 0)
    )
    np.testing.assert_allclose(volume.spacing_mm, expected.GetSpacing())
    np.testing.assert_allclose(volume.origin_mm, expected.GetOrigin())
    np.testing.assert_allclose(volume.direction, expected.GetDirection())


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("MET_CHAR", "i1"), ("MET_USHORT", "u2"), ("MET_SHORT", "i2"), ("MET_INT", "i4"),
     ("MET_UINT", "u4"), ("MET_LONG", "i4"), ("MET_LONG_LONG", "i8"), ("MET_FLOAT", "f4"),
     ("MET_DOUBLE", "f8")],
)  # fmt: skip
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_data_type_and_byte_order_is_read(tmp_path, kind, dtype, order):
    voxels = (VOXELS % 100).astype(order + dtype)
    is_big = str(order == ">")
    path = write(
        tmp_path / "a.mha",
        voxels=voxels.tobytes("F"),
        ElementType=kind,
        BinaryDataByteOrderMSB=is_big,
    )
    np.testing.assert_array_equal(stored(path), VOXELS % 100)


def test_a_data_file_is_read_after_its_own_header(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"x" * 17 + VOXELS.tobytes("F"))
    for skipped in ("17", "-1"):
        path = write(tmp_path / "a.mhd", voxels=b"", ElementDataFile="a.raw", HeaderSize=skipped)
        np.testing.assert_array_equal(stored(path), VOXELS)


@pytest.mark.parametrize(
    "line",
    [
        "Comment = ElementDataFile = LOCAL",
        "Name = ElementDataFile = LOCAL",
        "ElementDataFile: LOCAL #",
        "Comment = ElementDataFile = LOCAL\r",
    ],
)
@pytest.mark.parametrize(
    "place", ["{secret}", "../secret.bin", "LIST\n{secret}", "LIST 2\n{secret}", "%s/secret.bin",
              "../secr%1st.bin 0 1 1", "./../secret.bin"],
)  # fmt: skip
@pytest.mark.parametrize("allow_companion", [True, False])
def test_no_other_file_is_read_whatever_precedes_its_name_in_the_header(
    sent, secret, line, place, allow_companion
):
    write(sent, line, voxels=b"", ElementDataFile=place.format(secret=secret))
    with pytest.raises(DataError) as caught:
        read_scan(sent, "FLAIR", allow_companion=allow_companion)
    assert "SECRET" not in str(caught.value)
    assert str(secret.parent) not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["ElementDataFile = LOCAL", "elementdatafile = LOCAL", "NDims = 2", "ndims = 3",
     "DIMSIZE = 1 1 1", "ElementType = MET_FLOAT", "HeaderSize = 0\nHeaderSize = 0"],
)  # fmt: skip
def test_a_repeated_or_misspelled_field_is_refused(sent, secret, line):
    write(sent, line)
    with pytest.raises(DataError):
        read_scan(sent, "FLAIR")


def test_a_symlink_beside_the_header_is_not_followed(tmp_path, secret, sent):
    (sent.parent / "a.raw").symlink_to(secret)
    write(sent, voxels=b"", ElementDataFile="a.raw")
    with pytest.raises(DataError, match="header alone"):
        read_scan(sent, "FLAIR")


def test_an_uploaded_file_may_not_name_a_file_beside_it(sent):
    (sent.parent / "a.raw").write_bytes(VOXELS.tobytes("F"))
    write(sent, voxels=b"", ElementDataFile="a.raw")
    assert read_scan(sent, "FLAIR").voxels.shape == (10, 5, 4)
    with pytest.raises(DataError, match="names other files"):
        read_scan(sent, "FLAIR", allow_companion=False)


def test_a_header_without_its_data_file_is_refused(sent):
    write(sent, voxels=b"", ElementDataFile="gone.raw")
    with pytest.raises(DataError, match=r"header alone\. Provide its data file too"):
        read_scan(sent, "FLAIR")


@pytest.mark.parametrize(
    "changed",
    [
        {"DimSize": "10 5"},
        {"DimSize": "10 0 4"},
        {"DimSize": "10 -5 4"},
        {"DimSize": "1 0 0 0 0 0"},
        {"DimSize": "ten 5 4"},
        {"DimSize": "100000 100000 100000"},
        {"NDims": "0"},
        {"NDims": "200000"},
        {"ObjectType": "Mesh"},
        {"ElementType": "MET_UCHAR_ARRAY"},
        {"ElementNumberOfChannels": "3"},
        {"BinaryData": "False"},
        {"HeaderSize": "-2"},
        {"HeaderSize": "100"},
        {"HeaderSize": "nan"},
        {"CompressedData": "True"},
        {"ElementSpacing": "2 2"},
        {"ElementSpacing": "a b c"},
        {"TransformMatrix": "1 0 0"},
        {"TransformMatrix": "0 0 0 0 0 0 0 0 0"},
        {"Offset": "1e300 0 0"},
    ],
)
def test_an_impossible_header_raises_a_one_sentence_error(sent, changed):
    write(sent, **changed)
    with pytest.raises(DataError, match=r"^FLAIR: expected .*\.$") as caught:
        read_scan(sent, "FLAIR")
    assert caught.value.code in ("unreadable", "unsuitable", "too_large")


@pytest.mark.parametrize("spacing", ["nan", "inf", "-inf", "1e30", "1e-30", "0", "-2", "500"])
def test_an_implausible_spacing_is_refused(sent, spacing):
    write(sent, ElementSpacing=f"2 {spacing} 5")
    with pytest.raises(DataError, match=r"expected voxels of 0\.01 to 100 mm"):
        read_scan(sent, "FLAIR")


def test_truncated_data_are_refused(sent):
    write(sent, voxels=VOXELS.tobytes("F")[:-1])
    with pytest.raises(DataError, match="holds 199 bytes of voxels instead of 200"):
        read_scan(sent, "FLAIR")


def test_surplus_compressed_data_are_not_unpacked(sent):
    bomb = zlib.compress(VOXELS.tobytes("F") + bytes(50_000_000))
    write(sent, voxels=bomb, CompressedData="True", CompressedDataSize=str(len(bomb)))
    np.testing.assert_array_equal(read_scan(sent, "FLAIR").voxels, VOXELS)


def test_an_endless_header_is_not_read_completely(sent):
    sent.write_bytes(b"Comment = a\n" * 2_000_000)
    with pytest.raises(DataError, match="does not begin with a MetaImage header"):
        read_volume(sent)
    sent.write_bytes(b"Comment = " + b"a" * 100_000)
    with pytest.raises(DataError, match="does not begin with a MetaImage header"):
        read_volume(sent)


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="no such file there")
def test_the_environment_of_the_server_cannot_be_read(sent, monkeypatch):
    for place in ("/proc/self/environ", "/proc/self/environ %d 0 1 1", "LIST\n/proc/self/environ"):
        write(sent, "Comment = ElementDataFile = LOCAL", voxels=b"", ElementDataFile=place)
        with pytest.raises(DataError, match="names other files"):
            read_scan(sent, "FLAIR")


def test_a_metaimage_has_the_same_geometry_as_a_nifti_file(tmp_path):
    nifti = read_volume(write_scan(tmp_path / "a.nii.gz", brain(), "SAL", (0.5, 0.75, 3.0)))
    metaimage = read_volume(write_scan(tmp_path / "a.mhd", brain(), "PIR", (0.5, 0.75, 3.0)))
    np.testing.assert_array_equal(nifti.voxels, metaimage.voxels)
    assert nifti.has_grid_of(metaimage)
