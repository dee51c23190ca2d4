"""A preparation that is repeated, interrupted or divided gives the same data set."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import damage as damage_file
from faults import every_damage, small_files
from preparation import command, everything, records_of
from scans import labels, write_brats, write_scan

from brainai.data.dataset import read_dataset_info, read_records
from brainai.data.lock import hold
from brainai.data.prepare import main
from brainai.data.seals import sealed, unsealed
from brainai.errors import DataError


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
    main(command(raw, out))
    parts = out / ".parts"
    (parts / "BraTS2021_00001.json").unlink()
    finished = {path: path.stat().st_mtime_ns for path in parts.glob("[!.]*.json")}
    with small_files(1000):  # the list of a case does not fit
        assert main(command(raw, out)) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written or read (File too large)" in said
    assert said.endswith("Finished cases are kept.")
    assert not list((parts / "unfinished").iterdir())
    assert main(command(raw, out)) == 0
    assert len(finished) == 3
    assert all(path.stat().st_mtime_ns == then for path, then in finished.items())


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
    assert main(command(raw, out, "--phantoms", "9")) == 2
    assert "(phantoms was 24, is 9)" in capsys.readouterr().err
    assert everything(out) == first


def test_a_folder_with_other_files_is_refused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert main(command(raw, tmp_path / "out")) == 2
    assert "a folder with other files" in capsys.readouterr().err


def test_any_number_of_workers_gives_the_same_data_set(raw: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        assert main(command(raw, tmp_path / f"out{workers}", workers=workers)) == 0
    assert everything(tmp_path / "out1") == everything(tmp_path / "out2")


@pytest.mark.slow
def test_kill_9_leaves_complete_cases_and_no_worker_and_resumes_to_the_same_output(
    tmp_path: Path,
) -> None:
    for number in range(24):
        write_brats(tmp_path / "raw", f"BraTS2021_{number:05d}")
    arguments = ["--source", "brats", "--root", str(tmp_path / "raw"), "--workers", "2"]
    out = tmp_path / "out"
    call = [sys.executable, "-m", "brainai.data.prepare", *arguments, "--out", str(out)]
    process = subprocess.Popen(call, stderr=subprocess.DEVNULL)
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
        assert main([*arguments, "--out", str(folder)]) == 0
    assert everything(out) == everything(tmp_path / "whole")
    assert not list(out.rglob("*.partial"))


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("needs /proc to see child processes")
    return [int(child) for child in listed.read_text().split()]
