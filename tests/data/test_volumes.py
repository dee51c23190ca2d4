"""Scan files are read in one orientation, and damaged ones are refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from scans import SHAPE, add_header_text, brain, write_scan

from brainai.data.volumes import read_volume, resample
from brainai.errors import DataError


@pytest.mark.parametrize("axes", ["LPS", "RAS", "LAS", "RPI", "SAL", "PIR"])
def test_every_stored_orientation_gives_the_same_voxels(tmp_path: Path, axes: str) -> None:
    volume = read_volume(write_scan(tmp_path / "scan.nii.gz", brain(), axes))
    np.testing.assert_array_equal(volume.voxels, brain())
    assert volume.stored_axes == axes
    np.testing.assert_allclose(volume.origin_mm, (0, -35, 0), atol=1e-4)


def test_shown_slice_has_the_front_up_and_the_right_side_on_the_left(tmp_path: Path) -> None:
    voxels = np.zeros(SHAPE, np.int16)
    voxels[2, 5, 3] = 7  # x 2 of 32: far right of the patient; y 5 of 36: far front
    volume = read_volume(write_scan(tmp_path / "scan.nii", voxels, "RAS"))
    row, column = np.argwhere(volume.voxels[:, :, 3].T == 7)[0]
    assert (row, column) == (5, 2)


def test_metaimage_and_nifti_give_the_same_volume(tmp_path: Path) -> None:
    nifti = read_volume(write_scan(tmp_path / "a.nii.gz", brain(), "RAI"))
    metaimage = read_volume(write_scan(tmp_path / "a.mha", brain(), "LPS"))
    np.testing.assert_array_equal(nifti.voxels, metaimage.voxels)
    assert nifti.has_grid_of(metaimage)


def test_spacing_follows_the_axes(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nii.gz", brain(), "SAL", spacing=(0.5, 0.75, 3.0))
    np.testing.assert_allclose(read_volume(path).spacing_mm, (0.5, 0.75, 3.0), rtol=1e-6)


def test_nan_and_infinite_voxels_become_zero(tmp_path: Path) -> None:
    voxels = brain().astype(np.float32)
    voxels[3, 4, 2], voxels[3, 5, 2] = np.nan, np.inf
    volume = read_volume(write_scan(tmp_path / "scan.nii.gz", voxels))
    assert volume.voxels[3, 4, 2] == 0
    assert volume.voxels[3, 5, 2] == 0


def test_header_text_includes_nifti_extensions(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nii", brain())
    assert "TCGA" not in read_volume(path).header_text
    add_header_text(path, "3dcalc -a TCGA-CS-4942_1997.02.22_flair.nii.gz")
    volume = read_volume(path)
    assert "TCGA-CS-4942_1997" in volume.header_text
    np.testing.assert_array_equal(volume.voxels, brain())


def test_a_shifted_scan_is_resampled_by_its_header(tmp_path: Path) -> None:
    grid = read_volume(write_scan(tmp_path / "flair.nii.gz", brain()))
    shifted = read_volume(write_scan(tmp_path / "t2.nii.gz", brain(), origin=(3.0, -35.0, 0.0)))
    moved = resample(shifted, grid).voxels
    np.testing.assert_allclose(moved[3:], brain()[:-3], atol=1e-3)
    assert not moved[:3].any()


def test_a_scan_of_half_the_resolution_is_resampled_to_the_same_positions(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(SHAPE[0])[:, None, None] * 10, SHAPE).astype(np.float32)
    grid = read_volume(write_scan(tmp_path / "flair.nii.gz", ramp))
    coarse = read_volume(write_scan(tmp_path / "t2.nii.gz", ramp[::2], spacing=(2.0, 1.0, 1.0)))
    fine = resample(coarse, grid).voxels
    np.testing.assert_allclose(fine[:31], ramp[:31], atol=1e-3)


def test_a_scan_on_the_same_grid_is_not_resampled(tmp_path: Path) -> None:
    volume = read_volume(write_scan(tmp_path / "flair.nii.gz", brain()))
    assert resample(volume, volume) is volume


@pytest.mark.parametrize("suffix", ["nii.gz", "nii", "mha"])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = write_scan(tmp_path / f"scan.{suffix}", brain())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=rf"scan\.{suffix}: expected a complete scan file.*again"):
        read_volume(path)


def test_one_changed_byte_in_compressed_data_is_refused(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "scan.nii.gz", brain())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        read_volume(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 400, b"\x5c\x01\0\0" + b"\xff" * 400])
@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "mha"])
def test_a_file_that_is_not_a_scan_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"scan.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(DataError, match="scan"):
        read_volume(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("none.nii.gz", "none.mha"):
        with pytest.raises(DataError, match="none"):
            read_volume(tmp_path / name)
