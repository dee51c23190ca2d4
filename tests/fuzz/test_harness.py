"""The fuzz runner detects every kind of failure, and the figures count all results."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz
from brainai.data.volumes import Volume
from tests.fuzz import corpus, zips
from tests.fuzz.cases import Case
from tests.fuzz.groups import CHILDREN, make_case
from tests.fuzz.minimize import smaller
from tests.fuzz.picture_seeds import pictures
from tests.fuzz.reading import SECRET_BYTE, Wrong, check_volume, message_fault, run_case
from tests.fuzz.runner import ROOT, Runner

PICTURE = Case("png", {"picture": pictures()["png"][1]}, {"flair": "picture"})
EMPTY = Case("zip", {"scan.zip": b""}, {"flair": "scan.zip"})


@pytest.fixture(scope="module")
def slow() -> Case:
    """A small file that takes a second to read."""
    return Case("zip", {"scan.zip": zips.bomb(200)}, {"flair": "scan.zip"})


@pytest.mark.parametrize("group", CHILDREN)
def test_a_case_number_gives_the_same_case_in_every_process(group: str) -> None:
    code = f"from tests.fuzz.groups import make_case; print(make_case({group!r}, 3, 5).digest)"
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == make_case(group, 3, 5).digest
    assert make_case(group, 3, 5).digest != make_case(group, 4, 5).digest


@pytest.mark.slow
def test_a_case_that_takes_too_long_is_stopped_and_the_next_one_runs(slow: Case) -> None:
    with Runner("readers", seconds=0.1) as runner:
        assert runner.run(PICTURE)["result"] == "read"
        assert runner.run(slow)["code"] == "no answer within 0.1 s"
        assert runner.run(PICTURE)["result"] == "read"


def test_a_case_that_takes_too_much_memory_is_stopped(slow: Case) -> None:
    with Runner("readers", megabytes=20) as runner:
        found = runner.run(slow)
    assert (found["result"], found["code"], found["kind"]) == ("failed", "more than 20 MB", "zip")


def test_a_crash_is_reported_and_the_next_case_runs() -> None:
    with Runner("readers") as runner:
        runner.run(PICTURE)
        os.kill(runner._child.pid, signal.SIGSEGV)
        assert runner.run(PICTURE)["code"] == "ended by signal 11"
        assert runner.run(PICTURE)["result"] == "read"


def test_the_child_cannot_exceed_its_memory_limit() -> None:
    code = "from tests.fuzz.child import limit_memory; limit_memory(); bytearray(3 * 2**30)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "MemoryError" in done.stderr


def test_an_unexpected_exception_fails_with_its_location(tmp_path, monkeypatch) -> None:
    def decode(path: Path) -> None:
        raise KeyError("Bug")

    monkeypatch.setattr("tests.fuzz.reading.decode", decode)
    found = run_case(PICTURE, tmp_path)
    assert (found["result"], found["code"]) == ("failed", "KeyError")
    assert found["where"] == "test_harness.py:decode"


def test_leftover_temporary_files_fail(tmp_path, monkeypatch) -> None:
    def decode(path: Path) -> np.ndarray:
        (tmp_path / "brainai-left").mkdir()
        return np.ones((40, 40), np.float32)

    monkeypatch.setattr("tests.fuzz.reading.decode", decode)
    assert run_case(PICTURE, tmp_path)["code"] == "wrong: temporary files are left"


def test_voxels_from_another_file_fail() -> None:
    voxels = np.full((4, 4, 4), SECRET_BYTE, np.uint8)
    place = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    with pytest.raises(Wrong, match="another file"):
        check_volume(Volume(voxels, *place))
    check_volume(Volume(voxels // 2, *place))


@pytest.mark.parametrize(
    "message",
    [
        "", "Line\nline.", "One. Two. Three.", "a" * 401, "There is no /tmp/brainai-x.",
        "itk::ERROR: bad.", "The file scan.zip is bad.", "At <object at 0x7f12ab34cd>.",
    ],
)  # fmt: skip
def test_a_message_unfit_for_a_visitor_fails(message: str) -> None:
    assert message_fault(message, EMPTY)


def test_a_plain_sentence_is_fit_for_a_visitor() -> None:
    sentence = "FLAIR: expected steps of 1.5 mm, found 3.0 mm. Export the series again."
    assert message_fault(sentence, EMPTY) == ""


def test_a_failing_case_is_minimized() -> None:
    files = {"a": b"x" * 40 + b"BAD" + b"y" * 50, "b": b"not needed"}
    found = smaller(files, lambda files: b"BAD" in files["a"], deadline=float("inf"))
    assert set(found) == {"a"}
    assert b"BAD" in found["a"]
    assert len(found["a"]) <= 6


def test_a_kept_case_is_read_back_unchanged(tmp_path: Path) -> None:
    case = make_case("answers", 0, 1)
    path = corpus.keep(case, {"code": "KeyError", "where": "here"}, tmp_path)
    assert corpus.read(path) == case
    assert corpus.about(path)["failed"] == "KeyError"


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for path in corpus.entries()) < 300_000


def result(result: str, recognized: bool = True, **others: object) -> fuzz.Result:
    found = {"kind": "png", "code": result, "where": "", "digest": "a", "seconds": 0.5}
    return found | {"result": result, "recognized": recognized, "peak_mb": 100} | others


def test_figures_count_the_results_of_the_cases() -> None:
    found = [
        result("read"),
        result("refused", False, code="unreadable", digest="b", seconds=2.0),
        result("refused", True, code="unreadable", digest="c"),
        result("failed", digest="c", peak_mb=300),
    ]
    assert fuzz.figures(found) == {
        "cases": 4, "distinct": 3, "read": 1, "refused_early": 1, "refused_late": 1, "failed": 1,
        "codes": {"unreadable": 2}, "peak_mb": 300, "slowest_seconds": 2.0,
    }  # fmt: skip


def test_the_table_has_one_row_for_each_kind_and_each_failure() -> None:
    failure = {"group": "pictures", "kind": "png", "code": "KeyError", "where": "a.py:f"}
    failure |= {"count": 3, "fails_again": True, "kept": None, "index": 7}
    groups = {"pictures": fuzz.summarized({0: result("read"), 1: result("failed")})}
    lines = fuzz.fuzz_table({"groups": groups, "failures": [failure]}).splitlines()
    assert lines[2] == "| pictures: png | 2 | 1 | 1 | 0 | 0 | 1 | 100 | 0.50 |"
    assert lines[-1] == "| KeyError a.py:f | 3 | pictures: png | case 7 |"
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert "No case failed." in fuzz.fuzz_table({"groups": groups, "failures": []})


@pytest.mark.slow
def test_an_interrupted_run_resumes_where_it_stopped(tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    first = fuzz.fuzz({"pictures": 3}, seed=0, workers=1, journal=journal)
    with journal.open("a") as file:
        file.write('{"seed": 0, "gro')  # the last line of a run that was killed
    second = fuzz.fuzz({"pictures": 5}, seed=0, workers=1, journal=journal)
    assert {index: second["pictures"][index] for index in range(3)} == first["pictures"]
    assert len(second["pictures"]) == 5
    lines = journal.read_text().splitlines()
    assert sum(line.startswith('{"seed": 0, "group"') for line in lines) == 5


def test_cases_that_took_too_long_are_repeated_alone() -> None:
    late = result("failed", code="no answer within 10 s")
    results = {"pictures": {0: late, 1: result("failed", code="KeyError")}}
    assert fuzz.repeat_slow(results, seed=0) == 1
    assert results["pictures"][0]["repeated"]
    assert results["pictures"][0]["digest"] == make_case("pictures", 0, 0).digest
    assert results["pictures"][1]["code"] == "KeyError"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "reply", "expected"),
    [
        (200, 'event: complete\ndata: [{"label": "Tumor"}]', "read"),
        (200, 'event: error\ndata: {"error": "Expected a file.", "title": "no_upload"}', "refused"),
        (200, 'event: error\ndata: {"error": "Try again.", "title": "internal"}', "failed"),
        (200, 'event: error\ndata: {"error": "Not /srv/x/a.png.", "title": "a"}', "failed"),
        (200, "event: heartbeat", "failed"),
        (422, '{"detail": []}', "refused"),
        (500, "Internal Server Error", "failed"),
    ],
)
def test_a_reply_is_an_answer_a_refusal_or_a_failure(status: int, reply: str, expected) -> None:
    from tests.fuzz.endpoints import judged

    assert judged(status, reply, ("/srv/x",))["result"] == expected
