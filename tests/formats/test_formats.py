"""docs/formats.md describes what the readers do."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from formats.all_rows import TABLES
from formats.rows import PAGE, Row, written
from formats.set_rows import SetRow
from nifti_files import PLACE

from brainai.data.images import decode
from brainai.data.scans import read_scan
from brainai.data.slices import open_slice
from brainai.data.sources import check_unique, find_cases
from brainai.data.studies import read_study
from brainai.data.volumes import write_mask
from brainai.errors import DataError

SPOKEN = {"flair": "FLAIR", "t1c": "T1c", "t2": "T2"}


def rows(name: str) -> list:
    return [pytest.param(row, id=row.what) for row in TABLES[name]]


def assert_refused(row: Row, read: Callable[[], object]) -> None:
    with pytest.raises(DataError) as refused:
        read()
    assert row.says(str(refused.value)), str(refused.value)


def test_the_page_contains_the_tested_rows() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, TABLES) == page, "run: python tests/formats/rows.py"


@pytest.mark.parametrize("row", rows("volumes") + rows("folders") + rows("strays"))
def test_reading_a_volume_gives_the_documented_result(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    if row.is_read:
        volume = read_scan(given, "FLAIR", expect_flair=True)
        assert min(volume.voxels.shape) > 1
        assert row.says(volume.note or "read")
    else:
        assert_refused(row, lambda: read_scan(given, "FLAIR", expect_flair=True))


@pytest.mark.parametrize("row", rows("slices"))
def test_reading_a_slice_gives_the_documented_result(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    if row.is_read:
        assert decode(given).shape == (64, 64)
    else:
        assert_refused(row, lambda: decode(given))


def prepared(source: str, root: Path) -> str:
    """What the cases under a folder hold, in words."""
    cases = find_cases(source, root)
    check_unique(cases)
    found = {read_study(case).modalities for case in cases}
    sequences = "; ".join(", ".join(SPOKEN[name] for name in one) for one in found)
    return f"{len(cases)} {'case' if len(cases) == 1 else 'cases'} of {sequences}"


@pytest.mark.parametrize("row", rows("sets"))
def test_preparing_a_folder_gives_the_documented_result(row: SetRow, tmp_path: Path) -> None:
    given = row.build(tmp_path / "set")
    if row.is_read:
        assert row.says(prepared(row.source, given))
    else:
        assert_refused(row, lambda: prepared(row.source, given))


@pytest.mark.parametrize("row", rows("dicom"))
def test_reading_a_dicom_examination_gives_the_documented_result(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    if row.is_read:
        volume = read_scan(given, "FLAIR", expect_flair=True)
        assert min(volume.voxels.shape) == 5  # slices
        assert volume.voxels.min() == 0  # the dark around the disc
        assert volume.voxels.max() > 100
        assert row.says(volume.note or "read")
    else:
        assert_refused(row, lambda: read_scan(given, "FLAIR", expect_flair=True))


@pytest.mark.parametrize("row", rows("dicom slices"))
def test_reading_a_dicom_file_as_a_slice_gives_the_documented_result(
    row: Row, tmp_path: Path
) -> None:
    given = row.build(tmp_path)
    for source in (given, given.read_bytes()):
        if row.is_read:
            assert open_slice(source, expect_flair=True).pixels.shape == (40, 36)
        else:
            assert_refused(row, lambda source=source: open_slice(source, expect_flair=True))


@pytest.mark.parametrize("row", rows("masks"))
def test_a_mask_is_placed_as_documented(row: Row, tmp_path: Path) -> None:
    volume = read_scan(row.build(tmp_path), "FLAIR")
    write_mask(tmp_path / "mask.nii.gz", volume.voxels == 300, volume.grid)
    flair, mask = nibabel.load(tmp_path / "flair.nii"), nibabel.load(tmp_path / "mask.nii.gz")
    for field in PLACE:
        np.testing.assert_array_equal(mask.header[field], flair.header[field], field)
    np.testing.assert_array_equal(mask.get_fdata() == 1, flair.get_fdata() == 300)
    sform, qform = flair.get_sform(coded=True), flair.get_qform(coded=True)
    by = "the sform" if sform[1] else "the qform" if qform[1] else "the sizes of its voxels"
    affine = sform[0] if sform[1] else qform[0] if qform[1] else flair.header.get_base_affine()
    assert row.says(f"placed by {by}")
    # The middle of the spot, in mm: where the volume has it, and where the viewers have it.
    lps = np.argwhere(volume.voxels == 300).mean(axis=0) * volume.spacing_mm
    lps = np.reshape(volume.direction, (3, 3)) @ lps + volume.origin_mm
    unit = 1000 if flair.header.get_xyzt_units()[0] == "meter" else 1
    ras = affine @ [*np.argwhere(flair.get_fdata() == 300).mean(axis=0), 1] * unit
    np.testing.assert_allclose(lps, ras[:3] * (-1, -1, 1), atol=1e-3)
