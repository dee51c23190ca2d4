"""How patients are assigned to splits: by hash, by site, or by a file."""

from pathlib import Path

import pytest
from scans import write_lgg

from brainai.data.dataset import assign_split, read_records
from brainai.data.prepare import main

PATIENTS = [f"TCGA_CS_500{number}" for number in range(6)]


@pytest.fixture
def lgg(tmp_path: Path) -> list[str]:
    """The command that prepares six patients, without --out."""
    for patient in PATIENTS:
        write_lgg(tmp_path / "lgg", f"{patient}_19970222", slices=3)
    return ["--source", "lgg", "--root", str(tmp_path / "lgg"), "--workers", "1"]


def test_only_pinned_patients_change_their_split(lgg: list[str], tmp_path: Path) -> None:
    hashed = {patient: assign_split(patient) for patient in PATIENTS}
    moved = {PATIENTS[0]: "test", PATIENTS[1]: "valid", PATIENTS[2]: "train"}
    splits = tmp_path / "splits.csv"
    rows = [f"{PATIENTS[0]},test", f"{PATIENTS[1]}_19970222, valid", "", f"{PATIENTS[2]},train"]
    splits.write_text("\n".join(["name,split", *rows]))
    out = tmp_path / "out"
    assert main([*lgg, "--out", str(out), "--split-file", str(splits)]) == 0
    assert {r.patient_id: r.split for r in read_records(out)} == hashed | moved
    assert any(hashed[patient] != split for patient, split in moved.items())


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("TCGA_CS_5000,dev", r"splits.csv, row 1: expected a name and one of train, valid, test"),
        ("name,split\nTCGA_CS_5000", "splits.csv, row 2: expected a name"),
        ("TCGA_CS_9999,train", "expected names of patients or cases"),
        ("TCGA_CS_5000,train\nTCGA_CS_5000,test", "row 2: expected one split for TCGA_CS_5000"),
        ("TCGA_CS_5000,train\nTCGA_CS_5000_19970222,test", "expected one split for TCGA_CS_5000"),
    ],
)
def test_a_wrong_split_file_is_refused(
    lgg: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, rows: str, told: str
) -> None:
    splits = tmp_path / "splits.csv"
    splits.write_text(rows)
    assert main([*lgg, "--out", str(tmp_path / "out"), "--split-file", str(splits)]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out" / "metadata.csv").exists()


def test_a_missing_split_file_is_refused(lgg: list[str], tmp_path: Path, capsys) -> None:
    assert main([*lgg, "--out", str(tmp_path / "out"), "--split-file", str(tmp_path / "no")]) == 2
    assert (
        "expected a CSV file of names and splits, found one that cannot be read"
        in capsys.readouterr().err
    )


def test_a_bad_pinned_case_can_be_skipped(lgg: list[str], tmp_path: Path) -> None:
    (tmp_path / "lgg" / f"{PATIENTS[0]}_19970222" / f"{PATIENTS[0]}_19970222_1.tif").unlink()
    splits, out = tmp_path / "splits.csv", tmp_path / "out"
    splits.write_text(f"{PATIENTS[0]},test\n{PATIENTS[1]},test\n")
    call = [*lgg, "--out", str(out), "--split-file", str(splits), "--skip-bad"]
    assert main(call) == 0
    assert {r.split for r in read_records(out) if r.patient_id == PATIENTS[1]} == {"test"}
    assert PATIENTS[0] not in {record.patient_id for record in read_records(out)}
