"""Preparation writes slices, masks and records, with each person in one split."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from PIL import Image
from preparation import command, records_of
from scans import brain, labels, write_brats, write_lgg, write_scan

from brainai.data.dataset import assign_split, read_dataset_info, read_records
from brainai.data.images import window
from brainai.data.prepare import main

REAL = Path(os.environ.get("BRAINAI_REAL_SCANS", "real-scans"))


def test_slices_masks_and_records_of_a_case_are_written(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(command(raw, out)) == 0
    records = records_of(out, "BraTS2021_00001")
    # slice 0 of 6 is empty and left out, but counts
    assert [record.slice_index for record in records] == [1, 2, 3, 4, 5]
    assert [record.label for record in records] == [0, 0, 1, 0, 0]
    third = records[2]
    assert (third.tumor_pixels, third.slice_count, third.pixel_area_mm2) == (12, 6, 1.0)
    assert third.modalities == ("flair", "t1c", "t2")
    assert {record.slice_step_mm for record in records} == {1.0}
    assert {r.slice_step_mm for r in records_of(out, "TCGA_CS_4941_19970222")} == {0.0}
    pixels = np.asarray(Image.open(out / third.file_name))
    expected = [np.rint(window(brain(n)[:, :, 3].T) * 255) for n in range(3)]
    np.testing.assert_array_equal(pixels, np.stack(expected, -1))
    mask = np.asarray(Image.open(out / third.mask_file_name))
    np.testing.assert_array_equal(mask, (labels(1, 2, 4)[:, :, 3].T > 0) * np.uint8(255))


def test_flair_only_cases_become_gray_pictures_and_only_tumor_slices_get_masks(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    records = records_of(out, "TCGA_CS_4941_19970222")
    assert [bool(record.mask_file_name) for record in records] == [False, False, True, False]
    assert {record.modalities for record in records} == {("flair",)}
    assert {record.site for record in records} == {"CS"}
    assert Image.open(out / records[0].file_name).mode == "L"
    masks = [path.relative_to(out).as_posix() for path in (out / "masks").rglob("*.png")]
    assert sorted(masks) == sorted(r.mask_file_name for r in read_records(out) if r.mask_file_name)


def test_a_missing_sequence_is_replaced_by_flair(raw: Path, tmp_path: Path) -> None:
    (raw / "brats" / "BraTS2021_00001" / "BraTS2021_00001_t1ce.nii.gz").unlink()
    out = tmp_path / "out"
    main(command(raw, out))
    record = records_of(out, "BraTS2021_00001")[0]
    pixels = np.asarray(Image.open(out / record.file_name))
    assert record.modalities == ("flair", "t2")
    np.testing.assert_array_equal(pixels[..., 1], pixels[..., 0])
    assert (pixels[..., 2] != pixels[..., 0]).any()


def test_a_person_in_two_sources_is_one_patient(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    patients = {record.case_id: record.patient_id for record in read_records(out)}
    assert patients == {
        "TCGA_CS_4941_19970222": "TCGA_CS_4941",
        "TCGA_CS_4942_19970222": "TCGA_CS_4942",
        "BraTS2021_00001": "BraTS-GLI-00001",
        "BraTS2021_01476": "TCGA_CS_4942",
    }
    assert all(record.split == assign_split(record.patient_id) for record in read_records(out))
    shown = capsys.readouterr().out
    assert "TCGA_CS_4942 = BraTS2021_01476, TCGA_CS_4942_19970222" in shown
    assert read_dataset_info(out)["joined_persons"] == {
        "TCGA_CS_4942": ["BraTS2021_01476", "TCGA_CS_4942_19970222"]
    }


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_utf8_are_prepared_and_kept_apart(tmp_path: Path) -> None:
    for byte in (b"\xe4", b"\xfc"):  # ä and ü in Latin-1
        name = os.fsdecode(b"M" + byte + b"ller")
        study = write_brats(tmp_path / "written", f"BraTS2021_000{byte[0]}")
        series = write_series(tmp_path / "written" / "flair", brain(byte[0]))
        for path in list(series.iterdir()):
            path.rename(series / os.fsdecode(byte + path.name.encode()))
        for written, place in ((study, "brats"), (series, "healthy")):  # ITK writes no such name
            (tmp_path / place / name).mkdir(parents=True)
            written.rename(tmp_path / place / name / written.name)
    arguments = ["--source", "brats", "--root", str(tmp_path / "brats")]
    arguments += ["--source", "tumor-free", "--root", str(tmp_path / "healthy")]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    records = read_records(tmp_path / "out")
    assert len({record.patient_id for record in records}) == 4
    assert len({record.case_id for record in records}) == 4


def test_a_table_of_known_pairs_joins_persons(raw: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("Grade,A,B\nLGG,BraTS2021_00001,TCGA-CS-4941\n")
    out = tmp_path / "out"
    assert main(command(raw, out, "--same-patient", str(pairs))) == 0
    assert records_of(out, "BraTS2021_00001")[0].patient_id == "TCGA_CS_4941"


def test_a_site_can_be_reserved_for_the_test_split(tmp_path: Path, capsys) -> None:
    for number in range(8):
        write_lgg(tmp_path / "lgg", f"TCGA_{'DU' if number < 2 else 'CS'}_500{number}_19970222")
    call = ["--source", "lgg", "--root", str(tmp_path / "lgg"), "--workers", "1"]
    assert main([*call, "--out", str(tmp_path / "hashed")]) == 0
    assert main([*call, "--out", str(tmp_path / "out"), "--test-site", "DU"]) == 0
    hashed = {record.patient_id: record.split for record in read_records(tmp_path / "hashed")}
    found = {record.patient_id: record.split for record in read_records(tmp_path / "out")}
    for patient, split in hashed.items():
        if "_DU_" in patient:
            assert found[patient] == "test"
        else:
            assert found[patient] == ("train" if split == "test" else split)
    capsys.readouterr()
    assert main([*call, "--out", str(tmp_path / "none"), "--test-site", "XY"]) == 2
    assert "expected one of CS, DU, found XY" in capsys.readouterr().err


def test_time_points_are_cases_of_one_patient(tmp_path: Path) -> None:
    for point in ("000", "001"):
        name = f"BraTS-GLI-00005-{point}"
        write_scan(tmp_path / "raw" / name / f"{name}-t2f.nii.gz", brain(int(point)))
        write_scan(tmp_path / "raw" / name / f"{name}-seg.nii.gz", labels(3))
    out = tmp_path / "out"
    arguments = ["--source", "brats", "--root", str(tmp_path / "raw"), "--out", str(out)]
    assert main([*arguments, "--workers", "1"]) == 0
    assert {r.patient_id for r in read_records(out)} == {"BraTS-GLI-00005"}
    assert len({r.case_id for r in read_records(out)}) == 2
    assert read_dataset_info(out)["joined_persons"] == {}


def test_summary_counts_by_source_split_and_site(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    main(command(raw, tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:20].strip(): line.split()[-4:] for line in lines}
    assert rows["brats"] == ["2", "2", "10", "2"]
    assert rows["lgg CS"] == ["2", "2", "8", "2"]
    assert rows["all"] == ["3", "4", "18", "4"]
    assert read_dataset_info(tmp_path / "out")["counts"] == {
        "patients": 3, "cases": 4, "slices": 18, "positives": 4,
    }  # fmt: skip


def test_class_folders_become_slices_without_masks(tmp_path: Path) -> None:
    for name, seed in (("yes/1.png", 0), ("yes/2.jpg", 1), ("no/1.png", 2)):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(brain(seed)[:, :, 2].T.clip(0, 255).astype(np.uint8)).save(path)
    shutil.copy(tmp_path / "set" / "yes" / "1.png", tmp_path / "set" / "yes" / "copy.png")
    out = tmp_path / "out"
    arguments = ["--source", "folders", "--root", str(tmp_path / "set"), "--out", str(out)]
    assert main([*arguments, "--workers", "1"]) == 0
    records = {record.case_id: record for record in read_records(out)}
    assert {name: (r.label, r.tumor_pixels, r.mask_file_name) for name, r in records.items()} == {
        "set_yes_1": (1, -1, ""),
        "set_yes_2": (1, -1, ""),
        "set_yes_copy": (1, -1, ""),
        "set_no_1": (0, 0, ""),
    }
    # the same picture twice is the same person twice
    assert records["set_yes_copy"].patient_id == records["set_yes_1"].patient_id == "set_yes_1"


def test_metadata_can_be_read_as_an_image_folder(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    with (out / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all((out / row["file_name"]).is_file() for row in rows)
    pictures = {path.relative_to(out).as_posix() for path in (out / "images").rglob("*.png")}
    assert pictures == {row["file_name"] for row in rows}


@pytest.mark.slow
def test_phantoms_are_simulated_once_if_there_are_none(tmp_path: Path) -> None:
    pytest.importorskip("nilearn")
    out, root = tmp_path / "out", tmp_path / "phantoms"
    arguments = ["--source", "phantom", "--root", str(root), "--out", str(out), "--phantoms", "2"]
    assert main([*arguments, "--workers", "1"]) == 0
    studies = {path: path.stat().st_mtime_ns for path in root.rglob("*.nii.gz")}
    assert {record.case_id for record in read_records(out)} == {p.parent.name for p in studies}
    labels_found = {record.label for record in read_records(out)}
    assert labels_found == {0, 1}
    assert main([*arguments, "--workers", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.nii.gz")} == studies


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "Run the same command again"),
        (OSError(28, "full"), 2, "Finished cases are kept."),
    ],
)
def test_an_interrupted_simulation_leaves_no_study(
    tmp_path: Path, monkeypatch, capsys, fault: BaseException, status: int, words: str
) -> None:
    def begin(folder: Path, **_: object) -> None:
        write_brats(folder, "phantom_0000")
        raise fault

    monkeypatch.setattr("brainai.phantom.source.write_studies", begin)
    arguments = ["--source", "phantom", "--root", str(tmp_path / "p"), "--out", str(tmp_path / "o")]
    try:
        assert main(arguments) == status
    except SystemExit as ended:
        assert ended.code == status
    assert words in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_missing_root_is_reported_before_any_study_is_simulated(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    simulated: list[Path] = []
    monkeypatch.setattr(
        "brainai.phantom.source.write_studies", lambda folder, **_: simulated.append(folder)
    )
    arguments = ["--source", "phantom", "--root", str(tmp_path / "p"), "--source", "brats"]
    assert main([*arguments, "--root", str(tmp_path / "BRATZ"), "--out", str(tmp_path / "o")]) == 2
    assert "BRATZ: expected a folder, found none." in capsys.readouterr().err
    assert not simulated


@pytest.mark.slow
@pytest.mark.skipif(
    not (REAL / "brats").is_dir() or not (REAL / "kaggle_3m").is_dir(),
    reason="set BRAINAI_REAL_SCANS to a folder with kaggle_3m and brats",
)
def test_ten_persons_are_joined_in_the_real_scans(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sources = ["--source", "lgg", "--root", str(REAL / "kaggle_3m")]
    sources += ["--source", "brats", "--root", str(REAL / "brats")]
    assert main([*sources, "--out", str(out)]) == 0
    info = json.loads((out / "dataset.json").read_text())
    assert info["counts"]["cases"] == info["counts"]["patients"] + 10 == 123
    assert len(info["joined_persons"]) == 10
