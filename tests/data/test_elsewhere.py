"""Folders of pictures and scans that are not axial FLAIR slices."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from brainai.data.elsewhere import is_kept_out, read_decoys
from brainai.errors import DataError


def write_scan(path: Path, voxels: np.ndarray, spacing: tuple[float, float, float]) -> None:
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])  # LPS voxels in nibabel's RAS
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_pictures_and_scans_are_read_in_path_order(tmp_path: Path) -> None:
    picture(tmp_path / "b" / "head.png", np.tile(np.arange(64, dtype=np.uint8), (64, 1)))
    scan = np.zeros((40, 20, 5), np.int16)  # of pixels of 3 × 6 mm, thicker than a scan may have
    scan[10:20, 5:10, 1:4] = np.array([100, 200, 300])
    write_scan(tmp_path / "a.nii.gz", scan, (3.0, 6.0, 4.0))
    found = list(read_decoys(tmp_path, 32))
    assert [(f.name, f.is_scan, len(f.planes)) for f in found] == [
        ("a.nii.gz", True, 3),  # of five slices the first and the last are of one gray level
        ("head.png", False, 1),
    ]
    assert found[0].planes.shape == (3, 32, 32)
    assert found[0].planes.dtype == np.uint8
    # 40 pixels of 3 mm and 20 of 6 mm: a square. Columns 10 to 19 of 40 are 8 to 15 of 32, rows 5
    # to 9 of 20 are 8 to 15 of 32.
    bright = found[0].planes[1] > 100
    assert np.flatnonzero(bright.any(axis=1)).tolist() == list(range(8, 16))
    assert np.flatnonzero(bright.any(axis=0)).tolist() == list(range(8, 16))


def test_files_that_cannot_be_decoys_are_skipped_and_counted(tmp_path: Path, capsys) -> None:
    gray = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    picture(tmp_path / "gray.png", gray)
    picture(tmp_path / "gray.webp", gray)
    (tmp_path / "damaged.WEBP").write_bytes(b"no picture")
    picture(tmp_path / "color.png", np.stack([gray * 4, 255 - gray * 4, gray], -1))
    write_scan(tmp_path / "series.nii.gz", np.ones((8, 8, 4, 10), np.int16), (1.0, 1.0, 1.0))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [found.name for found in read_decoys(tmp_path, 32)] == [
        "gray.png",
        "gray.webp",
    ]
    assert "left out 3 files" in capsys.readouterr().err


def test_a_folder_without_decoys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="other than axial FLAIR slices, found none"):
        list(read_decoys(tmp_path, 32))


def test_the_same_quarter_of_the_files_is_always_kept_out() -> None:
    assert is_kept_out("MNI152_T1_2mm.nii.gz")
    assert not is_kept_out("chris_PD.nii.gz")
    share = np.mean([is_kept_out(f"Tr-gl_{number:04d}.jpg") for number in range(2000)])
    assert share == pytest.approx(0.25, abs=0.03)
