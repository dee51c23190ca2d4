"""A saved mask lies over its scan for whoever believes the sform, the qform, or neither."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from scans import SHAPE, write_scan

from brainai.data.scans import read_scan
from brainai.data.volumes import read_volume, resample, write_mask

SPOT = (slice(3, 5), slice(20, 26), slice(1, 2))  # far from the middle, whatever axis is turned
FIELDS = (
    "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
RAS = np.array([[2.0, 0, 0, -30], [0, 2.0, 0, -40], [0, 0, 5.0, -10], [0, 0, 0, 1]])
LAS = np.array([[-2.0, 0, 0, 32], [0, 2.0, 0, -40], [0, 0, 5.0, -10], [0, 0, 0, 1]])
MOVED = np.array([[2.0, 0, 0, -10], [0, 2.0, 0, -40], [0, 0, 5.0, -10], [0, 0, 0, 1]])  # 20 mm
TURNED = np.array([[0.0, 0, 5.0, -10], [-1.6, 1.2, 0, 20], [1.2, 1.6, 0, -40], [0, 0, 0, 1]])


def voxels() -> np.ndarray:
    """`[X, Y, Z]` int16 in the file's order of axes: a spot of 300 in 100."""
    found = np.full(SHAPE, 100, np.int16)
    found[SPOT] = 300
    return found


def scan(path: Path, qform: tuple, sform: tuple, kind=nibabel.Nifti1Image) -> Path:
    """A file with these affines (None leaves the numbers as nibabel begins them) and codes."""
    image = kind(voxels(), None)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(*qform)
    image.set_sform(*sform)
    nibabel.save(image, path)
    return path


def overwrite(path: Path, at: int, numbers: np.ndarray) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + numbers.nbytes] = numbers.tobytes()
    path.write_bytes(bytes(content))


def in_metres(path: Path) -> Path:
    metres = np.diag([0.001, 0.001, 0.001, 1])
    image = nibabel.Nifti1Image(voxels(), None)
    image.set_qform(metres @ RAS, 1)
    image.set_sform(metres @ MOVED, 2)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, path)
    return path


def without_a_sign_of_hand(path: Path) -> Path:
    """pixdim[0] is 0, which counts as 1."""
    overwrite(scan(path, (RAS, 1), (None, 0)), 76, np.array([0], "<f4"))
    return path


def sizes_below_zero(path: Path) -> Path:
    overwrite(scan(path, (RAS, 1), (MOVED, 1)), 80, np.array([-2, 2, 5], "<f4"))
    return path


KINDS: dict[str, Callable[[Path], Path]] = {
    "sform 20 mm from qform": lambda path: scan(path, (RAS, 1), (MOVED, 1)),
    "aligned sform, turned qform": lambda path: scan(path, (TURNED, 1), (LAS, 2)),
    "codes 0 and 0": lambda path: scan(path, (None, 0), (None, 0)),
    "codes 0 and 0 with numbers": lambda path: scan(path, (RAS, 0), (MOVED, 0)),
    "codes 1 and 0": lambda path: scan(path, (TURNED, 1), (None, 0)),
    "codes 0 and 1": lambda path: scan(path, (RAS, 0), (MOVED, 1)),
    "codes 4 and 1": lambda path: scan(path, (MOVED, 4), (RAS, 1)),
    "codes 1 and 4": lambda path: scan(path, (RAS, 1), (MOVED, 4)),
    "pixdim[0] is -1": lambda path: scan(path, (LAS, 1), (None, 0)),
    "pixdim[0] is 0": without_a_sign_of_hand,
    "sizes below zero": sizes_below_zero,
    "metres": in_metres,
    "radiological": lambda path: scan(path, (LAS, 1), (LAS, 1)),
    "neurological": lambda path: scan(path, (RAS, 1), (RAS, 1)),
    "oblique": lambda path: scan(path, (TURNED, 1), (TURNED, 1)),
    "NIfTI-2": lambda path: scan(path, (RAS, 1), (MOVED, 4), nibabel.Nifti2Image),
}


@pytest.mark.parametrize("suffix", ["nii.gz", "nii"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_nifti_mask_has_the_place_of_its_scan(tmp_path: Path, kind: str, suffix: str) -> None:
    path = KINDS[kind](tmp_path / "flair.nii")
    volume = read_scan(path, "FLAIR") if suffix == "nii" else read_volume(path)
    write_mask(tmp_path / f"mask.{suffix}", volume.voxels == 300, volume.grid)
    flair, mask = nibabel.load(path), nibabel.load(tmp_path / f"mask.{suffix}")
    for field in FIELDS:
        np.testing.assert_array_equal(mask.header[field], flair.header[field], field)
    np.testing.assert_array_equal(mask.affine, flair.affine)
    assert type(mask) is type(flair)
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.argwhere(mask.get_fdata()), np.argwhere(voxels() == 300))


def test_a_field_that_nibabel_would_mend_is_copied_as_it_is(tmp_path: Path) -> None:
    volume = read_volume(without_a_sign_of_hand(tmp_path / "flair.nii"))
    write_mask(tmp_path / "mask.nii", volume.voxels == 300, volume.grid)
    assert (tmp_path / "mask.nii").read_bytes()[76:108] == (tmp_path / "flair.nii").read_bytes()[
        76:108
    ]


def test_a_metaimage_mask_of_a_nifti_lies_where_the_sform_says(tmp_path: Path) -> None:
    volume = read_volume(scan(tmp_path / "flair.nii", (RAS, 1), (MOVED, 1)))
    write_mask(tmp_path / "mask.mha", volume.voxels == 300, volume.grid)
    mask = sitk.ReadImage(str(tmp_path / "mask.mha"))
    # Voxel (3, 20, 1) lies at 3 × 2 - 10, 20 × 2 - 40, 1 × 5 - 10 in RAS: LPS turns x and y.
    assert mask.TransformIndexToPhysicalPoint((3, 20, 1)) == pytest.approx((4, 0, -5))
    assert mask[3, 20, 1] == 1
    assert sitk.GetArrayViewFromImage(mask).sum() == 2 * 6 * 1


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "SAL"])
@pytest.mark.parametrize("suffix", ["nii.gz", "mha"])
def test_a_mask_of_a_metaimage_has_its_place(tmp_path: Path, axes: str, suffix: str) -> None:
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


def test_a_sequence_is_moved_by_the_sform_and_not_by_the_qform(tmp_path: Path) -> None:
    flair = read_volume(scan(tmp_path / "flair.nii", (MOVED, 1), (RAS, 1)))
    t2 = read_volume(scan(tmp_path / "t2.nii", (MOVED, 1), (MOVED, 2)))  # 20 mm: 10 voxels
    # In the file x grows to the right, in LPS to the left: what lies further right has a lower x.
    moved = resample(t2, flair).voxels
    np.testing.assert_array_equal(moved[:-10], t2.voxels[10:])
    assert not moved[-9:].any()


def test_a_rounded_quaternion_is_read(tmp_path: Path) -> None:
    half_a_turn = np.diag([-2.0, -2.0, 5.0, 1.0])  # quaternion 0, 0, 1: of length 1 already
    path = scan(tmp_path / "flair.nii", (half_a_turn, 1), (None, 0))
    overwrite(path, 264, np.array([1.00001], "<f4"))  # quatern_d
    np.testing.assert_allclose(read_volume(path).direction, np.eye(3).ravel(), atol=1e-6)
