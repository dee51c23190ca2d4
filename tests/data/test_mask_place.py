"""A saved mask overlies its scan in programs that use the sform, the qform, or neither."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_files import KINDS, MOVED, PLACE, RAS, overwrite, voxels, without_qfac, write
from scans import write_scan

from brainai.data.scans import read_scan
from brainai.data.volumes import read_volume, resample, write_mask


@pytest.mark.parametrize("suffix", ["nii.gz", "nii"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_nifti_mask_has_the_geometry_of_its_scan(tmp_path: Path, kind: str, suffix: str) -> None:
    path = KINDS[kind](tmp_path / "flair.nii")
    volume = read_scan(path, "FLAIR") if suffix == "nii" else read_volume(path)
    write_mask(tmp_path / f"mask.{suffix}", volume.voxels == 300, volume.grid)
    flair, mask = nibabel.load(path), nibabel.load(tmp_path / f"mask.{suffix}")
    for field in PLACE:
        np.testing.assert_array_equal(mask.header[field], flair.header[field], field)
    np.testing.assert_array_equal(mask.affine, flair.affine)
    assert type(mask) is type(flair)
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.argwhere(mask.get_fdata()), np.argwhere(voxels() == 300))


def test_a_field_that_nibabel_would_correct_is_copied_unchanged(tmp_path: Path) -> None:
    volume = read_volume(without_qfac(tmp_path / "flair.nii"))
    write_mask(tmp_path / "mask.nii", volume.voxels == 300, volume.grid)
    flair, mask = ((tmp_path / name).read_bytes() for name in ("flair.nii", "mask.nii"))
    assert mask[76:108] == flair[76:108]  # pixdim


def test_a_metaimage_mask_of_a_nifti_scan_follows_the_sform(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "flair.nii", (RAS, 1), (MOVED, 1)))
    write_mask(tmp_path / "mask.mha", volume.voxels == 300, volume.grid)
    mask = sitk.ReadImage(str(tmp_path / "mask.mha"))
    # Voxel (3, 20, 1) lies at 3 × 2 - 10, 20 × 2 - 40, 1 × 5 - 10 in RAS: LPS turns x and y.
    assert mask.TransformIndexToPhysicalPoint((3, 20, 1)) == pytest.approx((4, 0, -5))
    assert mask[3, 20, 1] == 1
    assert sitk.GetArrayViewFromImage(mask).sum() == 2 * 6 * 1


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "SAL"])
@pytest.mark.parametrize("suffix", ["nii.gz", "mha"])
def test_a_mask_of_a_metaimage_has_its_geometry(tmp_path: Path, axes: str, suffix: str) -> None:
    stored = voxels()
    path = write_scan(tmp_path / "flair.mha", stored, axes, (2.0, 1.0, 5.0), (3.0, -35.0, 7.0))
    volume = read_volume(path)
    write_mask(tmp_path / f"mask.{suffix}", volume.voxels == 300, volume.grid)
    flair, mask = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / f"mask.{suffix}"))
    assert mask.GetSpacing() == pytest.approx(flair.GetSpacing())
    assert mask.GetOrigin() == pytest.approx(flair.GetOrigin())
    assert mask.GetDirection() == pytest.approx(flair.GetDirection())
    np.testing.assert_array_equal(
        sitk.GetArrayViewFromImage(mask) == 1, sitk.GetArrayViewFromImage(flair) == 300
    )


def test_resampling_follows_the_sform_and_not_the_qform(tmp_path: Path) -> None:
    flair = read_volume(write(tmp_path / "flair.nii", (MOVED, 1), (RAS, 1)))
    t2 = read_volume(write(tmp_path / "t2.nii", (MOVED, 1), (MOVED, 2)))  # 20 mm: 10 voxels
    # In the file x grows to the right, in LPS to the left: what lies further right has a lower x.
    moved = resample(t2, flair).voxels
    np.testing.assert_array_equal(moved[:-10], t2.voxels[10:])
    assert not moved[-9:].any()


def test_a_rounded_quaternion_is_read(tmp_path: Path) -> None:
    half_a_turn = np.diag([-2.0, -2.0, 5.0, 1.0])  # quaternion 0, 0, 1: of length 1 already
    path = write(tmp_path / "flair.nii", (half_a_turn, 1), (None, 0))
    overwrite(path, 264, np.array([1.00001], "<f4"))  # quatern_d
    np.testing.assert_allclose(read_volume(path).direction, np.eye(3).ravel(), atol=1e-6)
