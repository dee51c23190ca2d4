"""NIfTI files: geometry as nibabel gives it, bounded memory, impossible headers refused."""

import gzip
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scans import brain, write_scan

from brainai.data.scans import read_scan
from brainai.data.volumes import read_volume
from brainai.errors import DataError

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = LPS, kind=nibabel.Nifti1Image):
    nibabel.save(kind(voxels, affine), path)
    return path


def changed(path: Path, at: int, content: bytes) -> Path:
    """Overwrite bytes of a file."""
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(bytes(whole))
    return path


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_data_type_and_byte_order_is_read(tmp_path, dtype, order):
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    voxels = (brain() % 100).astype(dtype)
    nibabel.save(nibabel.Nifti1Image(voxels, LPS, header), tmp_path / "a.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").voxels, brain() % 100)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_1_and_nifti_2_are_read(tmp_path, kind, name):
    np.testing.assert_array_equal(
        read_volume(save(tmp_path / name, brain(), kind=kind)).voxels, brain()
    )


def test_voxels_are_scaled_as_the_header_says(tmp_path):
    image = nibabel.Nifti1Image(brain(), LPS)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    loaded = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii.gz").voxels, loaded, rtol=1e-6)


@pytest.mark.parametrize(
    ("slope", "offset", "expected"),
    [(1, np.nan, (1, 0)), (2, np.inf, (2, 0)), (0, 5, (1, 0)), (np.nan, 5, (1, 0)), (2, 5, (2, 5))],
)
def test_an_invalid_slope_or_intercept_is_ignored(tmp_path, slope, offset, expected):
    path = save(tmp_path / "a.nii", brain())
    changed(path, 112, np.array([slope, offset], "<f4").tobytes())
    factor, added = expected
    np.testing.assert_array_equal(read_volume(path).voxels, brain() * factor + added)


def test_the_sform_takes_precedence_over_the_qform(tmp_path):
    image = nibabel.Nifti1Image(brain(), LPS)
    moved = LPS.copy()
    moved[:3, 3] = (20, -5, 7)
    image.set_qform(LPS, 1)
    image.set_sform(moved, 2)
    nibabel.save(image, tmp_path / "a.nii.gz")
    # Header and nibabel speak of RAS, we of LPS: x and y change their sign.
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii.gz").origin_mm, (-20, 5, 7))


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1)])
def test_other_units_are_converted_to_mm(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(brain(), np.diag([-2 / factor, -2 / factor, 5 / factor, 1]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii.gz").spacing_mm, (2, 2, 5), rtol=1e-5)


def test_a_slightly_sheared_sform_is_made_orthogonal(tmp_path):
    affine = LPS.copy()
    affine[0, 1] = 0.005
    volume = read_volume(save(tmp_path / "a.nii.gz", brain(), affine))
    axes = np.reshape(volume.direction, (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(volume.voxels, brain())


def test_a_sheared_scan_is_refused_and_not_called_damaged(tmp_path):
    affine = LPS.copy()
    affine[0, 1] = 0.5
    with pytest.raises(DataError, match="expected axes at right angles"):
        read_volume(save(tmp_path / "a.nii.gz", brain(), affine))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 1e-30, 0.0, 400.0])
def test_an_implausible_spacing_is_refused(tmp_path, value):
    path = save(tmp_path / "a.nii", brain())
    row = np.array([-1, 0, 0, 0, 0, value, 0, 0, 0, 0, 1, 0], "<f4")  # srow_x to srow_z
    changed(path, 280, row.tobytes())
    with pytest.raises(DataError, match=r"expected voxels of 0\.01 to 100 mm"):
        read_scan(path, "FLAIR")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_an_implausible_position_is_refused(tmp_path, value):
    path = save(tmp_path / "a.nii", brain())
    changed(path, 292, np.array([value], "<f4").tobytes())
    with pytest.raises(DataError):
        read_scan(path, "FLAIR")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, -1.0])
@pytest.mark.parametrize("at", [76, 80, 84, 88, 108, 256, 260, 264])  # pixdim, vox_offset, quatern
def test_odd_values_in_a_qform_header_raise_a_data_error_or_give_finite_geometry(
    tmp_path, at, value
):
    image = nibabel.Nifti1Image(brain(), None)
    image.set_qform(LPS, 1)
    image.set_sform(None, 0)
    nibabel.save(image, tmp_path / "a.nii")
    changed(tmp_path / "a.nii", at, np.array([value], "<f4").tobytes())
    try:
        volume = read_scan(tmp_path / "a.nii", "FLAIR")
    except DataError as error:
        assert str(error).startswith("FLAIR: expected")
    else:
        assert np.isfinite(volume.spacing_mm).all()
        assert np.isfinite(volume.origin_mm).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [0, -1, 32767])
def test_an_empty_or_too_long_axis_raises_a_data_error(tmp_path, axis, size):
    path = save(tmp_path / "a.nii", brain())
    changed(path, 42 + 2 * axis, np.array([size], "<i2").tobytes())
    with pytest.raises(DataError, match=r"^FLAIR: expected"):
        read_scan(path, "FLAIR")


@pytest.mark.parametrize("code", [0, 1, 32, 128, 1536, 1792, 2048, 2304, 999])
def test_unsupported_data_types_raise_a_data_error(tmp_path, code):
    path = save(tmp_path / "a.nii", brain())
    changed(path, 70, np.array([code], "<i2").tobytes())
    with pytest.raises(DataError, match=r"^FLAIR: expected"):
        read_scan(path, "FLAIR")


def test_the_header_of_a_pair_is_refused_without_reading_its_data_file(tmp_path):
    """ITK would read the voxels from a file a.img beside it."""
    path = save(tmp_path / "a.nii", brain())
    (tmp_path / "a.img").write_bytes(brain().tobytes("F"))
    changed(path, 344, b"ni1\0")
    with pytest.raises(DataError, match="header of a pair of files"):
        read_scan(path, "FLAIR")


def test_a_changed_byte_after_the_voxels_is_found_by_the_checksum(tmp_path):
    path = save(tmp_path / "a.nii.gz", brain())
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # of the checksum itself
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="are truncated or corrupted"):
        read_volume(path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts as Linux does")
def test_float64_voxels_are_never_held_in_memory_as_float64(tmp_path):
    """30 million doubles are 240 MB, as float32 120 MB, and pack into 250 kB."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((300, 400, 250))
    header.set_data_dtype(np.float64)
    header.set_sform(LPS, 1)
    header["vox_offset"] = 352
    with gzip.open(tmp_path / "a.nii.gz", "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(240):
            file.write(bytes(1_000_000))
    code = (
        "import sys; from pathlib import Path; from brainai.data.volumes import read_volume\n"
        "volume = read_volume(Path(sys.argv[1])); assert volume.voxels.dtype == 'float32'\n"
        "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.nii.gz")]
    root = Path(__file__).parents[2]
    peak = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert int(peak) * 1024 < 350_000_000


def test_orientation_agrees_with_nibabel(tmp_path):
    path = write_scan(tmp_path / "a.nii.gz", brain(), "PIR", (0.5, 0.75, 3.0))
    loaded = nibabel.as_closest_canonical(nibabel.load(path))
    volume = read_volume(path)
    # RAS and LPS run the other way along x and y.
    np.testing.assert_array_equal(volume.voxels, np.asarray(loaded.dataobj)[::-1, ::-1])
