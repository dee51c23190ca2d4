"""docs/formats.md says what the readers do."""

from pathlib import Path

import pytest
from formats.all_rows import TABLES
from formats.rows import PAGE, Row, written
from formats.set_rows import SetRow

from brainai.data.images import decode
from brainai.data.scans import read_scan
from brainai.data.slices import open_slice
from brainai.data.sources import check_unique, find_cases
from brainai.data.studies import read_study
from brainai.errors import DataError

SPOKEN = {"flair": "FLAIR", "t1c": "T1c", "t2": "T2"}


def rows(name: str) -> list:
    return [pytest.param(row, id=row.what) for row in TABLES[name]]


def test_the_page_holds_the_rows_that_are_tested() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, TABLES) == page, "run: python tests/formats/rows.py"


@pytest.mark.parametrize("row", rows("volumes"))
def test_a_volume_gives_what_the_page_says(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    if row.is_read:
        volume = read_scan(given, "FLAIR")
        assert min(volume.voxels.shape) > 1
        assert row.says(volume.note or "read")
    else:
        with pytest.raises(DataError) as refused:
            read_scan(given, "FLAIR")
        assert row.says(str(refused.value)), str(refused.value)


@pytest.mark.parametrize("row", rows("slices"))
def test_a_slice_gives_what_the_page_says(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    if row.is_read:
        assert decode(given).shape == (64, 64)
    else:
        with pytest.raises(DataError) as refused:
            decode(given)
        assert row.says(str(refused.value)), str(refused.value)


def prepared(source: str, root: Path) -> str:
    """What the cases under a folder hold, in words."""
    cases = find_cases(source, root)
    check_unique(cases)
    found = {read_study(case).modalities for case in cases}
    sequences = "; ".join(", ".join(SPOKEN[name] for name in one) for one in found)
    return f"{len(cases)} {'case' if len(cases) == 1 else 'cases'} of {sequences}"


@pytest.mark.parametrize("row", rows("sets"))
def test_a_folder_for_prepare_gives_what_the_page_says(row: SetRow, tmp_path: Path) -> None:
    given = row.build(tmp_path / "set")
    if row.is_read:
        assert row.says(prepared(row.source, given))
    else:
        with pytest.raises(DataError) as refused:
            prepared(row.source, given)
        assert row.says(str(refused.value)), str(refused.value)


@pytest.mark.parametrize("row", rows("dicom"))
def test_a_dicom_examination_gives_what_the_page_says(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    if row.is_read:
        volume = read_scan(given, "FLAIR", expect_flair=True)
        assert min(volume.voxels.shape) == 5  # slices
        assert volume.voxels.min() == 0  # the dark around the disc
        assert volume.voxels.max() > 100
        assert row.says(volume.note or "read")
    else:
        with pytest.raises(DataError) as refused:
            read_scan(given, "FLAIR", expect_flair=True)
        assert row.says(str(refused.value)), str(refused.value)


@pytest.mark.parametrize("row", rows("dicom slices"))
def test_a_dicom_file_gives_a_slice_or_what_the_page_says(row: Row, tmp_path: Path) -> None:
    given = row.build(tmp_path)
    for source in (given, given.read_bytes()):
        if row.is_read:
            assert open_slice(source, expect_flair=True).shape == (40, 36)
        else:
            with pytest.raises(DataError) as refused:
                open_slice(source, expect_flair=True)
            assert row.says(str(refused.value)), str(refused.value)
