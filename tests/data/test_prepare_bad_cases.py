"""Cases that cannot be read are reported together, or left out."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from preparation import command, everything
from scans import labels, write_brats, write_lgg, write_scan

from brainai.data.cases import Case
from brainai.data.dataset import read_records
from brainai.data.prepare import main


def damage(raw: Path) -> None:
    """Three bad cases of four: cut short, an unknown label, a missing mask."""
    path = raw / "brats" / "BraTS2021_00001" / "BraTS2021_00001_flair.nii.gz"
    path.write_bytes(path.read_bytes()[:-300])
    write_scan(raw / "brats" / "BraTS2021_01476" / "BraTS2021_01476_seg.nii", labels(3))
    (raw / "lgg" / "TCGA_CS_4941_19970222" / "TCGA_CS_4941_19970222_1_mask.tif").unlink()


def test_all_bad_cases_are_reported_together(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    damage(raw)
    out = tmp_path / "out"
    assert main(command(raw, out)) == 2
    complaint = capsys.readouterr().err
    assert "3 cases are bad:" in complaint
    for words in ("BraTS2021_00001_flair.nii.gz: expected a complete scan file", "found [3]",
                  "expected a mask for each number from 1 to 4", "--skip-bad"):  # fmt: skip
        assert words in complaint
    assert "Traceback" not in complaint
    assert not (out / "metadata.csv").exists()
    assert [path.name for path in (out / "images").iterdir()] == ["TCGA_CS_4942_19970222"]


def test_skip_bad_leaves_bad_cases_out(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    damage(raw)
    out = tmp_path / "out"
    assert main(command(raw, out, "--skip-bad")) == 0
    assert "3 cases are bad:" in capsys.readouterr().err
    assert {record.case_id for record in read_records(out)} == {"TCGA_CS_4942_19970222"}


def test_an_error_of_the_disk_names_the_file_that_cannot_be_read(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def read(case: Case) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(raw / "scan.dcm"))

    monkeypatch.setattr("brainai.data.parts.read_study", read)
    assert main(command(raw, tmp_path / "out", "--skip-bad")) == 2
    assert f"{raw / 'scan.dcm'} cannot be written or read" in capsys.readouterr().err


def test_a_repaired_case_joins_a_finished_data_set(raw: Path, tmp_path: Path) -> None:
    main(command(raw, tmp_path / "whole"))
    kept = raw / "kept"
    shutil.copytree(raw / "brats", kept)
    damage(raw)
    out = tmp_path / "out"
    assert main(command(raw, out, "--skip-bad")) == 0
    shutil.copytree(kept, raw / "brats", dirs_exist_ok=True)
    lgg = raw / "lgg" / "TCGA_CS_4941_19970222"
    shutil.rmtree(lgg)
    write_lgg(raw / "lgg", lgg.name)
    assert main(command(raw, out)) == 0
    assert everything(out) == everything(tmp_path / "whole")


def test_no_data_set_is_written_if_every_case_is_bad(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for path in raw.rglob("*_seg.nii*"):
        path.unlink()
    arguments = ["--source", "brats", "--root", str(raw / "brats"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--workers", "1", "--skip-bad"]) == 2
    assert "every case is bad or empty" in capsys.readouterr().err
    assert not (tmp_path / "out" / "metadata.csv").exists()


def test_a_case_without_tumor_is_accepted_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_brats(tmp_path / "raw", "phantom_0001", np.zeros_like(labels(1)))
    write_brats(tmp_path / "raw", "phantom_0002")
    out = tmp_path / "out"
    arguments = ["--source", "phantom", "--root", str(tmp_path / "raw"), "--out", str(out)]
    assert main([*arguments, "--workers", "1"]) == 0
    assert "Cases without a slice with tumor (1): phantom_0001" in capsys.readouterr().out
    assert {r.patient_id for r in read_records(out)} == {"phantom_0001", "phantom_0002"}
    assert {(r.source, r.site) for r in read_records(out)} == {("phantom", "phantom")}


@pytest.mark.parametrize(
    "arguments",
    [[], ["--source", "lgg", "--out", "x"], ["--source", "lgg", "--root", "a", "--root", "b",
     "--out", "x"], ["--source", "moon", "--root", "a", "--out", "x"]],
)  # fmt: skip
def test_a_wrong_command_line_exits_with_status_2(arguments: list[str]) -> None:
    try:
        assert main(arguments) == 2  # the arguments contradict each other
    except SystemExit as ended:  # a required argument is missing
        assert ended.code == 2
