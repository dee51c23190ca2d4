"""Fixtures for the tests of data."""

from pathlib import Path

import pytest
from scans import add_header_text, labels, write_brats, write_lgg, write_scan


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two LGG cases, and two BraTS cases of which one is a person of the LGG set."""
    for number in (1, 2):
        write_lgg(tmp_path / "lgg", f"TCGA_CS_494{number}_19970222")
    write_brats(tmp_path / "brats", "BraTS2021_00001")
    folder = write_brats(tmp_path / "brats", "BraTS2021_01476", t1c=False, t2=False)
    (folder / "BraTS2021_01476_seg.nii.gz").unlink()
    path = write_scan(folder / "BraTS2021_01476_seg.nii", labels(1, 2, 4))
    add_header_text(path, "3dcalc -a /scratch/TCGA-CS-4942_1997.02.22_GlistrBoost.hdr")
    return tmp_path
