"""A cohort from its files to its tables and page; restarts; the effect of a bad scan."""

import csv
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from accelerate.state import AcceleratorState

from brainai import DISCLAIMER
from brainai.errors import ConfigError, OutOfScope
from brainai.inference.classifier import Classifier
from brainai.inference.cohort import tables
from brainai.inference.cohort.__main__ import main
from brainai.inference.cohort.find import Cohort, Scan, find_scans
from brainai.inference.cohort.judge import read_ahead
from brainai.inference.cohort.ledger import Ledger

ROOT = Path(__file__).parents[2]
PLANTED = "PLANTED^NAME"  # in every header
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
VALIDATOR = shutil.which("bids-validator-deno", path=PROGRAMS)


@pytest.fixture(autouse=True)
def _fresh_accelerator():
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def write_scan(path: Path, slices: int = 4) -> Path:
    """A noisy block of 44 × 44 of 64 × 64 voxels, air in the lowest slice; 1 × 1 × 5 mm."""
    voxels = np.zeros((64, 64, slices), np.int16)
    random = np.random.default_rng(len(path.name))
    voxels[10:54, 10:54, 1:] = random.integers(50, 300, (44, 44, slices - 1))
    image = nibabel.Nifti1Image(voxels, np.diag([-1, -1, 5, 1]))
    image.header["descrip"] = PLANTED.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def write_bids(root: Path, count: int) -> Path:
    for number in range(1, count + 1):
        write_scan(root / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_FLAIR.nii.gz")
    description = {"Name": "toy", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root


def command(scans: Path, out: Path, model: Path, *more: str) -> list[str]:
    return ["--scans", str(scans), "--out", str(out), "--model", str(model), "--cpu", *more]


def rows(out: Path, name: str = "results") -> list[dict[str, str]]:
    with (out / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def judged(monkeypatch) -> list[int]:
    """The number of slices of each judged scan."""
    seen = []
    whole = Classifier.predict_scan

    def watch(self, flair, **others):
        seen.append(flair.voxels.shape[2])
        return whole(self, flair, **others)

    monkeypatch.setattr(Classifier, "predict_scan", watch)
    return seen


def test_a_cohort_gives_masks_tables_and_a_page(model_folder, tmp_path, capsys) -> None:
    scans, out = write_bids(tmp_path / "bids", 2), tmp_path / "out"
    bad = scans / "sub-03" / "anat" / "sub-03_FLAIR.nii.gz"
    bad.parent.mkdir(parents=True)
    bad.write_bytes((scans / "sub-01/anat/sub-01_FLAIR.nii.gz").read_bytes()[:900])
    assert main(command(scans, out, model_folder)) == 0
    printed = capsys.readouterr().out
    assert "1 error, 2 judged" in printed
    assert DISCLAIMER in printed

    first, second, third = rows(out)
    assert [row["scan"] for row in (first, second, third)] == ["sub-01", "sub-02", "sub-03"]
    assert (first["status"], first["slices"], first["slices_judged"]) == ("judged", "4", "3")
    assert (third["status"], third["label"], third["probability"]) == ("error", "", "")
    assert third["reason"].startswith("FLAIR: expected")
    alone = Classifier.load(model_folder, "cpu").predict_scan(scans / first["flair"])
    assert float(first["probability"]) == pytest.approx(alone.probability, abs=1e-6)
    assert float(first["volume_ml"]) == pytest.approx(alone.volume_ml, abs=1e-3)
    mask = nibabel.load(out / first["mask"])
    assert first["mask"] == "sub-01/anat/sub-01_desc-tumor_mask.nii.gz"
    np.testing.assert_array_equal(mask.affine, nibabel.load(scans / first["flair"]).affine)
    assert int(np.asarray(mask.dataobj).sum()) == alone.mask.sum()

    slices = rows(out, "slices")
    assert [row["scan"] for row in slices] == ["sub-01"] * 4 + ["sub-02"] * 4
    assert slices[0]["probability"] == ""  # air
    beside = json.loads((out / "sub-01/anat/sub-01_desc-tumor_mask.json").read_text())
    assert beside["Sources"] == ["bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz"]
    assert beside["BrainAI"]["probability"] == float(first["probability"])
    told = json.loads((out / "dataset_description.json").read_text())
    assert told["DatasetType"] == "derivative"
    assert told["GeneratedBy"][0]["Name"] == "BrainAI"
    assert told["DatasetLinks"] == {"raw": "../bids"}

    page = (out / "index.html").read_text()
    assert DISCLAIMER in page
    assert "2 of 3 scans judged" in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (out / address).is_file(), address  # no server, no other machine
    assert (out / "thumbnails/sub-01.jpg").is_file()
    assert third["reason"].split("'")[0] in page
    for path in out.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        assert b"PLANTED" not in content, path


def test_repeating_the_command_judges_only_new_scans(
    model_folder, tmp_path, judged, capsys
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    write_scan(scans / "a_flair.nii.gz", 4)
    damaged = scans / "b_flair.nii.gz"
    damaged.write_bytes(b"no scan")
    write_scan(scans / "c_flair.nii.gz", 6)
    call = command(scans, out, model_folder)
    assert main([*call, "--limit", "2"]) == 0
    assert judged == [4]
    assert [row["status"] for row in rows(out)] == ["judged", "error"]
    assert main(call) == 0
    assert judged == [4, 6]
    assert main(call) == 0
    assert judged == [4, 6]
    assert [row["scan"] for row in rows(out)] == ["sub-a", "sub-b", "sub-c"]
    write_scan(damaged, 8)  # copied again, this time completely
    assert main(call) == 0
    assert judged == [4, 6, 8]
    assert [row["status"] for row in rows(out)] == ["judged"] * 3


def test_refused_and_failed_scans_become_rows_and_only_failed_ones_are_retried(
    model_folder, tmp_path, monkeypatch, caplog
) -> None:
    scans, out, asked = tmp_path / "scans", tmp_path / "out", []
    write_scan(scans / "a_flair.nii.gz", 4)
    write_scan(scans / "b_flair.nii.gz", 5)

    def fail(self, flair, **others):
        asked.append(flair.voxels.shape[2])
        if asked[-1] == 4:
            raise OutOfScope("FLAIR: …", "looks upside down or turned")
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(Classifier, "predict_scan", fail)
    for _ in range(2):
        assert main(command(scans, out, model_folder)) == 0
    assert asked == [4, 5, 5]
    first, second = rows(out)
    assert (first["status"], first["label"]) == ("refused", "Cannot judge")
    assert first["reason"] == "looks upside down or turned"
    assert (second["status"], second["reason"]) == ("failed", "the program failed (RuntimeError)")
    assert "looks upside down or turned" in (out / "index.html").read_text()


def test_results_of_other_weights_are_not_mixed_in(model_folder, tmp_path, capsys) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    write_scan(scans / "a_flair.nii.gz")
    Ledger(out).claim("another")
    assert main(command(scans, out, model_folder)) == 2
    assert "some of another. Choose another folder" in capsys.readouterr().err
    with pytest.raises(ConfigError):
        Ledger(out).claim("a third")


def record(name: str, status: str = "judged") -> dict:
    return {"scan": name, "files": {"flair": name}, "status": status, "stamps": [None]}


def test_a_line_truncated_by_a_kill_does_not_count(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(1, 0) as one, ledger.writer(1, 1) as two:
        one.add(record("a"))
        two.add(record("b"))
        one.add(record("c"))
    path = ledger.folder / "0001-0000.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    scans = tuple(Scan(name, (("flair", name),)) for name in "abcd")
    assert [scan.name for scan in ledger.pending(Cohort(tmp_path, scans))] == ["c", "d"]
    assert [found["scan"] for found in ledger.records(scans)] == ["a", "b"]
    assert ledger.count(1) == 2
    assert ledger.next_start() == 2
    with ledger.writer(2, 0) as three:
        three.add(record("c"))
        three.add(record("d", "failed"))
        assert (ledger.count(1), ledger.count(2)) == (2, 2)
    assert [scan.name for scan in ledger.pending(Cohort(tmp_path, scans))] == ["d"]
    assert [found["scan"] for found in ledger.records(scans)] == list("abcd")


def test_a_result_for_other_files_does_not_count(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer(1, 0) as writer:
        writer.add(record("a"))
    moved = Cohort(tmp_path, (Scan("a", (("flair", "elsewhere"),)),))
    assert ledger.pending(moved) == list(moved.scans)


def test_scans_are_read_ahead_up_to_the_limit() -> None:
    begun = []

    def read(item: int) -> int:
        begun.append(item)
        return 10 * item

    ahead = read_ahead(range(6), read, 2)
    item, future = next(ahead)
    time.sleep(0.05)
    assert (item, future.result()) == (0, 0)
    assert sorted(begun) == [0, 1, 2]
    assert [(item, future.result()) for item, future in ahead] == [(n, 10 * n) for n in range(1, 6)]
    assert sorted(begun) == [0, 1, 2, 3, 4, 5]


def test_an_unreadable_scan_does_not_stop_the_reading() -> None:
    results = []
    for item, future in read_ahead([1, 0, 2], lambda n: 1 / n, 1):
        results.append((item, type(future.exception()).__name__))
    assert results == [(1, "NoneType"), (0, "ZeroDivisionError"), (2, "NoneType")]


def test_tumor_slices_are_counted_by_their_labels_and_not_by_rounded_probabilities() -> None:
    # The probability 0.4999999 is below the threshold, and rounded to 0.5.
    slices = [{"probability": 0.5, "label": label} for label in ("No Tumor", "Tumor")]
    answer = {"slice_threshold": 0.5, "slices": slices}
    row = tables.scan_row(record("a") | {"answer": answer})
    assert (row["slices_judged"], row["slices_tumor"]) == (2, 1)


def test_parquet_has_the_rows_of_the_csv(tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    slices = [
        {"index": 0, "position_mm": 0.0, "probability": None, "label": None, "area_cm2": None},
        {"index": 1, "position_mm": 5.0, "probability": 0.75, "label": "Tumor", "area_cm2": 1.5},
    ]
    answer = {"label": "Tumor", "probability": 0.75, "slice_threshold": 0.5, "slices": slices}
    whole = record("a") | {"answer": answer, "reason": None, "seconds": 2.5}
    with tables.open_tables(tmp_path) as opened:
        opened.add(whole)
        opened.add(record("b", "error") | {"answer": None, "reason": "damaged"})
    found = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert list(found[0]) == list(tables.SCAN_COLUMNS)
    assert (found[0]["slices"], found[0]["slices_judged"], found[0]["slices_tumor"]) == (2, 1, 1)
    assert (found[1]["slices"], found[1]["reason"]) == (None, "damaged")
    assert parquet.read_table(tmp_path / "slices.parquet").to_pylist() == [
        {"scan": "a", **one} for one in slices
    ]
    for name, table in (("results", found), ("slices", [{"scan": "a", **one} for one in slices])):
        shown = [{k: "" if v is None else str(v) for k, v in one.items()} for one in table]
        assert rows(tmp_path, name) == shown


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_two_killed_processes_resume_without_losing_or_repeating_a_scan(
    model_folder, tmp_path
) -> None:
    count = 60
    scans, out = write_bids(tmp_path / "bids", count), tmp_path / "out"
    call = [*TWO, "-m", "brainai.inference.cohort", *command(scans, out, model_folder)]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    options = {"cwd": ROOT, "env": environment, "stderr": subprocess.PIPE, "text": True}
    ledger, cohort = Ledger(out), find_scans(scans)
    for start, launcher_alone in ((1, True), (2, False)):
        with subprocess.Popen(call, **options) as process:
            deadline = time.monotonic() + 60
            while ledger.count(start) < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
            workers = children(process.pid)
            for victim in [process.pid] if launcher_alone else [process.pid, *workers]:
                os.kill(victim, signal.SIGKILL)
            while any(map(is_running, workers)) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not any(map(is_running, workers))
            assert len(workers) == 2
    before = {one["scan"]: one for one in ledger.records(cohort.scans)}
    assert 8 <= len(before) < count
    done = subprocess.run(call, **options, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert f"{count} scans, {len(before)} already done" in done.stderr
    assert done.stdout.count(f"{count} judged") == 1  # only one process prints
    lines = [
        json.loads(line)["scan"]
        for path in ledger.folder.iterdir()
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    assert sorted(lines) == [scan.name for scan in cohort.scans]  # each once
    assert all(path.stat().st_size for path in ledger.folder.glob("0003-*"))  # both had a share
    assert [row["scan"] for row in rows(out)] == [scan.name for scan in cohort.scans]
    for one in ledger.records(cohort.scans):
        assert before.get(one["scan"], one) == one
        assert (out / one["answer"]["mask"]).is_file()


@pytest.mark.slow
@pytest.mark.skipif(VALIDATOR is None, reason="needs bids-validator-deno, a package of PyPI")
def test_the_output_passes_the_bids_validator(model_folder, tmp_path) -> None:
    scans, out = write_bids(tmp_path / "bids", 2), tmp_path / "out"
    assert main(command(scans, out, model_folder)) == 0
    done = subprocess.run([VALIDATOR, str(out), "--json"], capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [one for one in issues if one.get("severity") == "error"] == []
