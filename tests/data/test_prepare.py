"""Preparation writes whole cases only, the same output however it is run, persons in one split."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from faults import damage as damage_file
from faults import every_damage, small_files
from PIL import Image
from scans import add_header_text, brain, labels, write_brats, write_lgg, write_scan

from brainai.data.dataset import SliceRecord, assign_split, read_dataset_info, read_records
from brainai.data.images import window
from brainai.data.lock import hold
from brainai.data.prepare import main
from brainai.data.seals import sealed, unsealed
from brainai.errors import DataError

REAL = Path(os.environ.get("BRAINAI_REAL_SCANS", "real-scans"))


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


def command(raw: Path, out: Path, *options: str, workers: int = 1) -> list[str]:
    sources = ["--source", "lgg", "--root", str(raw / "lgg")]
    sources += ["--source", "brats", "--root", str(raw / "brats")]
    return [*sources, "--out", str(out), "--workers", str(workers), *options]


def records_of(out: Path, case_id: str) -> list[SliceRecord]:
    return [record for record in read_records(out) if record.case_id == case_id]


def everything(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file() and ".parts" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


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


def test_a_second_run_rewrites_nothing(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    first = everything(out)
    times = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")}
    assert main(command(raw, out)) == 0
    assert everything(out) == first
    assert {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")} == times


def test_a_run_resumes_from_the_state_a_kill_leaves_to_the_same_output(
    raw: Path, tmp_path: Path
) -> None:
    main(command(raw, tmp_path / "whole"))
    out = tmp_path / "out"
    main(command(raw, out))
    # the state after a kill: one case without its part, one half-written part, no tables
    (out / ".parts" / "BraTS2021_00001.json").unlink()
    (out / "images" / "BraTS2021_00001" / "001.png").write_bytes(b"half")
    (out / ".parts" / "TCGA_CS_4941_19970222.json").write_text('{"case_id": "TCGA')
    (out / ".parts" / "unfinished" / "BraTS2021_00001" / "images").mkdir(parents=True)
    (out / "metadata.csv").unlink()
    (out / "dataset.json").unlink()
    assert main(command(raw, out)) == 0
    assert everything(out) == everything(tmp_path / "whole")
    assert not (out / ".parts" / "unfinished").exists() or not any(
        (out / ".parts" / "unfinished").iterdir()
    )


@pytest.mark.distributed
def test_a_killed_process_resumes_to_the_same_output(raw: Path, tmp_path: Path) -> None:
    for number in range(3, 9):
        write_lgg(raw / "lgg", f"TCGA_CS_494{number}_19970222")
    main(command(raw, tmp_path / "whole"))
    out = tmp_path / "out"
    call = [sys.executable, "-m", "brainai.data.prepare", *command(raw, out, workers=2)]
    process = subprocess.Popen(call, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((out / ".parts").glob("[!.]*.json")) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not (out / "dataset.json").exists()
    assert main(command(raw, out)) == 0
    assert everything(out) == everything(tmp_path / "whole")
    assert not list(out.rglob("*.partial"))


def test_a_second_preparation_of_the_same_folder_is_refused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    before = everything(out)
    with hold(out / ".parts", "held by this test"):
        assert main(command(raw, out)) == 2
    assert "Another preparation is writing to" in capsys.readouterr().err
    assert everything(out) == before


def test_a_full_disk_gives_a_one_sentence_error_and_keeps_finished_cases(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    with small_files(1000):  # the options fit with any path to them, the list of a case does not
        assert main(command(raw, out)) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written or read (File too large)" in said
    assert said.endswith("Finished cases are kept.")
    assert not list((out / ".parts" / "unfinished").iterdir())
    assert main(command(raw, out)) == 0


@every_damage
@pytest.mark.parametrize("name", ["metadata.csv", "dataset.json"])
def test_a_damaged_table_is_refused_and_prepared_again(
    raw: Path, tmp_path: Path, name: str, how: str
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    before = everything(out)
    damage_file(out / name, how)
    with pytest.raises(DataError, match=r"is damaged.*[Pp]repare the data set again"):
        read_records(out)
    assert main(command(raw, out)) == 0
    assert everything(out) == before


@every_damage
@pytest.mark.parametrize("name", ["BraTS2021_00001.json", ".options.json"])
def test_a_damaged_part_is_never_used_but_read_again(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str, how: str
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    before = everything(out)
    damage_file(out / ".parts" / name, how)
    if name == ".options.json":
        assert main(command(raw, out)) == 2
        assert ".options.json is damaged. Delete it" in capsys.readouterr().err
        (out / ".parts" / name).unlink()
    assert main(command(raw, out)) == 0
    assert everything(out) == before


def test_a_part_from_an_older_version_with_fewer_columns_is_read_again(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    before = everything(out)
    part = out / ".parts" / "BraTS2021_00001.json"
    values = unsealed(part.read_bytes())
    for row in values["slices"]:
        del row["slice_step_mm"]
    part.write_text(json.dumps(sealed(values)))
    assert main(command(raw, out)) == 0
    assert everything(out) == before


def test_a_changed_input_is_read_again_and_a_removed_one_is_dropped(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    before = read_dataset_info(out)["content_hash"]
    shutil.rmtree(raw / "lgg" / "TCGA_CS_4941_19970222")
    segmentation = raw / "brats" / "BraTS2021_00001" / "BraTS2021_00001_seg.nii.gz"
    write_scan(segmentation, labels(1, 2))
    assert main(command(raw, out)) == 0
    assert sum(record.tumor_pixels for record in records_of(out, "BraTS2021_00001")) == 8
    assert not records_of(out, "TCGA_CS_4941_19970222")
    assert not (out / "images" / "TCGA_CS_4941_19970222").exists()
    assert read_dataset_info(out)["content_hash"] != before


def test_changed_options_are_refused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    main(command(raw, out))
    first = everything(out)
    assert main(command(raw, out, "--min-tumor-pixels", "9")) == 2
    assert "min_tumor_pixels was 1, is 9" in capsys.readouterr().err
    assert everything(out) == first


def test_a_folder_with_other_files_is_refused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert main(command(raw, tmp_path / "out")) == 2
    assert "a folder with other files" in capsys.readouterr().err


def test_tumors_below_the_minimum_size_keep_their_mask_but_not_the_label(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    main(command(raw, out, "--min-tumor-pixels", "13"))
    records = read_records(out)
    assert not any(record.label for record in records)  # 12 pixels each
    assert any(record.tumor_pixels == 12 and record.mask_file_name for record in records)


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

    monkeypatch.setattr("brainai.phantom.write_studies", begin, raising=False)
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
        "brainai.phantom.write_studies", lambda folder, **_: simulated.append(folder), raising=False
    )
    arguments = ["--source", "phantom", "--root", str(tmp_path / "p"), "--source", "brats"]
    assert main([*arguments, "--root", str(tmp_path / "BRATZ"), "--out", str(tmp_path / "o")]) == 2
    assert "BRATZ: expected a folder, found none." in capsys.readouterr().err
    assert not simulated


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_data_set(raw: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        arguments = command(raw, out, workers=workers)
        run = [sys.executable, "-m", "brainai.data.prepare", *arguments]
        done = subprocess.run(run, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    assert everything(tmp_path / "out1") == everything(tmp_path / "out2")


@pytest.mark.slow
def test_kill_9_leaves_only_complete_cases_and_no_worker(tmp_path: Path) -> None:
    for number in range(24):
        write_brats(tmp_path / "raw", f"BraTS2021_{number:05d}")
    arguments = ["--source", "brats", "--root", str(tmp_path / "raw"), "--workers", "2"]
    run = [sys.executable, "-m", "brainai.data.prepare", *arguments, "--out"]
    out = tmp_path / "out"
    process = subprocess.Popen([*run, str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((out / ".parts").glob("Bra*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path.stem for path in (out / ".parts").glob("Bra*.json")}
    assert 0 < len(finished) < 24
    for case_id in finished:
        assert len(list((out / "images" / case_id).iterdir())) == 5
    assert not (out / "dataset.json").exists()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    for folder in (out, tmp_path / "whole"):
        subprocess.run([*run, str(folder)], check=True, capture_output=True, timeout=300)
    assert everything(out) == everything(tmp_path / "whole")


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("needs /proc to see child processes")
    return [int(child) for child in listed.read_text().split()]


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
