"""Scans as files, folders and zip files: what is read, what is refused, and with which error."""

import errno
import gzip
import os
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import PLANTED, write_series
from scans import SHAPE, brain, write_scan

from brainai.data import packed
from brainai.data import scans as reading
from brainai.data.scans import is_scan, read_scan
from brainai.data.sources import find_cases
from brainai.errors import DataError


def pack(archive: Path, folder: Path, inside: str = "PLANTED/") -> Path:
    """A zip file of a folder's files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in folder.iterdir():
            packed.write(path, inside + path.name)
    return archive


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    ("name", "answer"),
    [("a.nii", True), ("a.NII.GZ", True), ("a.mha", True), ("a.mhd", True), ("a.zip", True),
     ("a.dcm", False), ("a.png", False), ("a.gz", False), ("", True)],
)  # fmt: skip
def test_scans_are_distinguished_from_pictures_by_name(
    tmp_path: Path, name: str, answer: bool
) -> None:
    assert is_scan(tmp_path / name) is answer


@pytest.mark.parametrize(
    ("content", "answer"),
    [(b"NRRD0004\n", True), (b"\x5c\x01\0\0" + bytes(344), True), (b"%PDF-1.7", True),
     (b"\x89PNG\r\n\x1a\n", False), (bytes(128) + b"DICM", False), (b"text", False)],
)  # fmt: skip
def test_files_without_a_suffix_are_classified_by_content(
    tmp_path: Path, content: bytes, answer: bool
) -> None:
    (tmp_path / "IM0001").write_bytes(content)
    assert is_scan(tmp_path / "IM0001") is answer


def test_a_zip_file_reads_like_its_folder_and_leaves_no_temporary_files(
    tmp_path: Path, scratch: Path
) -> None:
    folder = write_series(tmp_path / "series", brain())
    volume = read_scan(pack(tmp_path / "series.zip", folder))
    np.testing.assert_array_equal(volume.voxels, brain())
    assert list(scratch.iterdir()) == []


def test_paths_inside_a_zip_file_cannot_escape(tmp_path: Path, scratch: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    archive = pack(tmp_path / "series.zip", folder, inside="../../outside_")
    before = set(tmp_path.rglob("*"))
    np.testing.assert_array_equal(read_scan(archive).voxels, brain())
    assert set(tmp_path.rglob("*")) == before


def test_a_zip_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_UNPACKED_BYTES", 5_000_000)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in "abc":
            packed.writestr(name, bytes(2_000_000))
    with pytest.raises(DataError, match="at most 5 MB"):
        read_scan(archive)
    assert list(scratch.iterdir()) == []


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILES", 5)
    folder = write_series(tmp_path / "series", brain())  # 6 files
    for place in (folder, pack(tmp_path / "series.zip", folder)):
        with pytest.raises(DataError, match="at most 5 files"):
            read_scan(place)


def test_a_damaged_zip_file_is_refused_without_naming_its_contents(tmp_path: Path) -> None:
    archive = pack(tmp_path / "series.zip", write_series(tmp_path / "series", brain()))
    content = bytearray(archive.read_bytes())
    content[400:600] = bytes(200)
    damaged = tmp_path / "damaged.zip"
    for case in (bytes(content), bytes(content[:3000]), b"", b"PK"):
        damaged.write_bytes(case)
        with pytest.raises(DataError, match="complete zip file") as caught:
            read_scan(damaged)
        assert PLANTED[0] not in str(caught.value)
        assert caught.value.__suppress_context__


def test_an_encrypted_zip_file_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "series.zip", write_series(tmp_path / "series", brain()))
    content = archive.read_bytes()
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # bit 0 of the flags means encrypted
        parts = content.split(mark)
        parts[1:] = [part[: at - 4] + b"\1" + part[at - 3 :] for part in parts[1:]]
        content = mark.join(parts)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="password"):
        read_scan(archive)


def packed_or_not(folder: Path) -> tuple[Path, Path]:
    return folder, pack(folder.parent / f"{folder.name}.zip", folder)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "Müller 1.mhd", "a.hdr"])
def test_the_only_scan_in_a_folder_or_a_zip_file_is_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "dcm2niix"
    write_scan(folder / name, brain())
    for other in ("a.json", ".DS_Store", f"._{name}", "README"):
        (folder / other).write_bytes(b"{}")
    for place in packed_or_not(folder):
        volume = read_scan(place, "FLAIR", expect_flair=True, allow_companion=False)
        np.testing.assert_array_equal(volume.voxels, brain())
        assert volume.note == ""


def test_the_scan_named_flair_is_chosen_among_several_if_flair_is_expected(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "BraTS20_Training_001"
    for seed, name in enumerate(("flair", "seg", "t1ce", "t2")):
        write_scan(folder / f"BraTS20_Training_001_{name}.nii.gz", brain(seed))
    for place in packed_or_not(folder):
        volume = read_scan(place, "FLAIR", expect_flair=True)
        np.testing.assert_array_equal(volume.voxels, brain(0))
        assert volume.note == "Used the only one of 4 scans that is named as FLAIR."
        with pytest.raises(DataError, match=r"found 4 NIfTI .*_flair\.nii\.gz, .*_t2\.nii\.gz\."):
            read_scan(place, "T2")


@pytest.mark.parametrize(("flair", "other"), [("01t2f", "01t2w"), ("p1_t2f2", "p1_t2fse")])
def test_digits_beside_t2f_are_no_part_of_the_word(tmp_path: Path, flair: str, other: str) -> None:
    write_scan(tmp_path / "p1" / f"{flair}.nii.gz", brain(0))
    write_scan(tmp_path / "p1" / f"{other}.nii.gz", brain(1))
    volume = read_scan(tmp_path / "p1", "FLAIR", expect_flair=True)
    np.testing.assert_array_equal(volume.voxels, brain(0))
    (case,) = find_cases("tumor-free", tmp_path)
    assert case.file("flair") == tmp_path / "p1" / f"{flair}.nii.gz"


def test_two_scans_named_flair_are_refused_and_listed(tmp_path: Path) -> None:
    for name in ("sub-01_FLAIR.nii.gz", "sub-02_FLAIR.nii.gz"):
        write_scan(tmp_path / "bids" / name, brain())
    with pytest.raises(DataError, match=r"sub-01_FLAIR\.nii\.gz, sub-02_FLAIR\.nii\.gz"):
        read_scan(tmp_path / "bids", "FLAIR", expect_flair=True)


def test_a_dicom_series_is_preferred_to_a_nifti_file_beside_it(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    write_scan(folder / "flair.nii.gz", brain(1))
    np.testing.assert_array_equal(read_scan(folder).voxels, brain())


def test_files_with_the_same_name_in_a_zip_file_are_all_unpacked(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, "series/IM")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.zip").voxels, brain())


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
@pytest.mark.parametrize("kind", ["nifti", "metaimage", "series", "zip"])
def test_a_file_whose_name_is_not_utf8_is_read(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    folder.mkdir()
    if kind == "series":
        for path in write_series(tmp_path / "series", brain()).iterdir():
            path.rename(folder / path.name)
        place = folder
    elif kind == "zip":
        place = pack(tmp_path / "a.zip", write_series(tmp_path / "series", brain()))
        place = place.rename(folder / os.fsdecode(b"\xe4.zip"))
    else:
        written = write_scan(tmp_path / {"nifti": "a.nii", "metaimage": "a.mha"}[kind], brain())
        place = written.rename(folder / os.fsdecode(b"\xe4" + written.suffix.encode()))
    np.testing.assert_array_equal(read_scan(place, "FLAIR").voxels, brain())


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_data_file_with_a_latin_1_name_is_found_by_its_header(tmp_path: Path) -> None:
    header = write_scan(tmp_path / "a.mhd", brain())
    (tmp_path / "a.raw").rename(tmp_path / os.fsdecode(b"M\xfcller.raw"))
    header.write_bytes(header.read_bytes().replace(b"a.raw", b"M\xfcller.raw"))
    np.testing.assert_array_equal(read_scan(header).voxels, brain())


@pytest.mark.parametrize("name", ["PLANTED.nii.gz", "PLANTED.mha", "PLANTED.txt", "PLANTED.dcm"])
def test_refusals_name_no_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for content in (None, b"hello"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match="FLAIR: expected") as caught:
            read_scan(path, "FLAIR")
        assert "PLANTED" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def test_several_volumes_in_one_nifti_are_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((*SHAPE, 3), np.int16), np.eye(4)), path)
    with pytest.raises(DataError, match=r"found 3 volumes in one file\. Save the sequence"):
        read_scan(path, "FLAIR")


def test_a_single_volume_with_a_fourth_axis_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(brain()[..., None], np.diag([-1, -1, 1, 1])), path)
    np.testing.assert_array_equal(read_scan(path).voxels, brain())


def test_a_small_compressed_file_that_claims_to_be_huge_is_refused_unread(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nii", brain())
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([2000, 2000, 2000], "<i2").tobytes()
    packed = tmp_path / "scan.nii.gz"
    packed.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match="at most 100 million voxels, found 2000 × 2000 × 2000"):
        read_scan(packed, "FLAIR")


def test_a_metaimage_header_reads_voxels_only_from_a_file_beside_it(tmp_path: Path) -> None:
    header = write_scan(tmp_path / "scan.mhd", brain())
    np.testing.assert_array_equal(read_scan(header).voxels, brain())
    text = header.read_text()
    (tmp_path / "raw.bin").write_bytes(brain().tobytes())
    (tmp_path / "deeper").mkdir()
    for place in (tmp_path / "raw.bin", "../raw.bin", "LIST", "%03d.bin 1 6 1"):
        other = tmp_path / "deeper" / "scan.mhd"
        other.write_text(text.replace("scan.raw", str(place)))
        assert str(place) in other.read_text()
        with pytest.raises(DataError, match="in one file beside it"):
            read_scan(other, "FLAIR")


@pytest.mark.skipif(os.name == "nt", reason="no links there")
def test_a_dangling_link_in_a_folder_is_ignored(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    (folder / "gone.dcm").symlink_to(tmp_path / "nowhere")
    np.testing.assert_array_equal(read_scan(folder).voxels, brain())


def test_a_full_disk_is_not_blamed_on_the_zip_file(tmp_path: Path, monkeypatch) -> None:
    archive = pack(tmp_path / "series.zip", write_series(tmp_path / "series", brain()))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packed, "_copy", full)
    with pytest.raises(DataError, match="not enough disk space to unpack") as caught:
        packed.unpack(archive, tmp_path, "FLAIR", 100, 10**9)
    assert caught.value.code == "full"
