"""Damaged and odd files: each is read, or refused with a one-sentence error.

The quick form: some thousand cases that are the same each time, and all that ever failed. The long
form is `python -m benchmarks.fuzz`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus, metaimage, nifti, odd_dicom, odd_pictures, strategies, zips
from tests.fuzz.cases import PICTURES, Case
from tests.fuzz.dicom import file_bytes, series
from tests.fuzz.groups import CHILDREN
from tests.fuzz.picture_seeds import gray, pictures
from tests.fuzz.runner import Runner, group_of

SEED = 1
FIXED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def runner_for() -> Iterator[Callable[[str], Runner]]:
    """A child for each group, started when it is first asked for."""
    started: dict[str, Runner] = {}

    def get(group: str) -> Runner:
        if group not in started:
            started[group] = Runner(group)
        return started[group]

    yield get
    for runner in started.values():
        runner.stop()


def came_of(case: Case, runner: Runner) -> str:
    """ "read", "refused", or how the case failed."""
    found = runner.run(case)
    if found["result"] != "failed":
        return found["result"]
    return f"{found['code']} {found['where']}".strip()


def kept() -> list:
    """The corpus, as parameters of a test: those that need a network are slow to start."""
    parameters = []
    for path in corpus.entries():
        marks = () if group_of(corpus.read(path)) == "readers" else (pytest.mark.slow,)
        name = path.name.removesuffix(corpus.SUFFIX)
        parameters.append(pytest.param(path, id=name, marks=marks))
    return parameters


@pytest.mark.parametrize("path", kept())
def test_cases_that_failed_once_are_read_or_refused(path: Path, runner_for) -> None:
    case = corpus.read(path)
    assert came_of(case, runner_for(group_of(case))) in ("read", "refused")


@pytest.mark.parametrize(
    ("group", "indices"),
    [
        ("pictures", range(300)),
        ("scans", range(60)),
        pytest.param("pictures", range(300, 1000), marks=pytest.mark.slow),
        pytest.param("scans", range(60, 200), marks=pytest.mark.slow),
        pytest.param("answers", range(100), marks=pytest.mark.slow),
        pytest.param("requests", range(60), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_cases_of_a_fixed_seed_are_read_or_refused(group: str, indices: range, runner_for) -> None:
    runner = runner_for(CHILDREN[group])
    failed: Counter[str] = Counter()
    read = 0
    for index in indices:
        found = runner.run({"group": group, "seed": SEED, "index": index})
        read += found["result"] == "read"
        if found["result"] == "failed":
            failed[f"{found['kind']} {found['code']} {found['where']}, such as {index}"] += 1
    assert not failed, f"failures of seed {SEED}: {dict(failed)}"
    assert read > len(indices) / 10, "most cases never got past the header"


def picture(content: bytes) -> Case:
    return Case("picture", {"picture": content}, {"flair": "picture"})


def scan(name: str, content: bytes) -> Case:
    return Case("scan file", {name: content}, {"flair": name})


@pytest.mark.parametrize("kind", PICTURES)
def test_undamaged_pictures_of_each_kind_are_read(kind: str, runner_for) -> None:
    extra = odd_pictures.tiff_seeds() if kind == "tiff" else ()
    seeds = (*pictures()[kind], *extra)
    found = Counter(came_of(picture(content), runner_for("readers")) for content in seeds)
    assert found["read"] >= len(seeds) - 1, found  # one has several frames, or color
    assert found["read"] + found["refused"] == len(seeds), found


@pytest.mark.slow
def test_undamaged_scans_of_each_kind_are_read(runner_for) -> None:
    readers = runner_for("readers")
    whole = [Case("dicom", files, {"flair": "series"}) for files in odd_dicom.seeds()]
    assert [came_of(case, readers) for case in whole] == ["read"] * len(whole)
    packed = [scan("scan.zip", content) for content in zips.seeds()[:3]]
    assert [came_of(case, readers) for case in packed] == ["read"] * 3
    single = [scan("scan.nii", content) for content in nifti.seeds()[:12]]
    assert [came_of(case, readers) for case in single] == ["read"] * 12
    lines = [Case("metaimage", files, {"flair": "scan.mha"}) for files in metaimage.seeds()[:10]]
    assert [came_of(case, readers) for case in lines] == ["read"] * 10


@FIXED
@given(chunks=strategies.png_chunks)
def test_png_files_with_odd_chunks_are_read_or_refused(
    chunks: list[odd_pictures.Chunk], runner_for
) -> None:
    content = odd_pictures.png_bytes(chunks)
    assert came_of(picture(content), runner_for("readers")) in ("read", "refused")


@FIXED
@given(directories=st.lists(strategies.tiff_directories, min_size=1, max_size=3))
def test_tiff_files_with_odd_entries_are_read_or_refused(directories: list, runner_for) -> None:
    content = odd_pictures.tiff_bytes(directories, pixels=gray().tobytes() * 2)
    assert came_of(picture(content), runner_for("readers")) in ("read", "refused")


@FIXED
@given(header=strategies.nifti_headers, order=st.sampled_from("<>"), missing=st.integers(-9, 9))
def test_nifti_files_with_odd_headers_are_read_or_refused(
    header, order: str, missing: int, runner_for
) -> None:
    length = max(0, nifti.held_bytes(header) - missing)
    content = nifti.nifti_bytes(header, (nifti.voxels() * 60)[:length], order=order)
    assert came_of(scan("scan.nii", content), runner_for("readers")) in ("read", "refused")


@FIXED
@given(lines=strategies.metaimage_lines, ending=st.sampled_from(("\n", "\r\n")))
def test_metaimage_files_with_odd_lines_are_read_or_refused(lines, ending: str, runner_for) -> None:
    content = metaimage.header_bytes(lines, ending) + nifti.voxels()
    case = Case("metaimage", {"scan.mha": content, "voxels.raw": content}, {"flair": "scan.mha"})
    assert came_of(case, runner_for("readers")) in ("read", "refused")


@FIXED
@given(
    elements=strategies.dicom_elements,
    undefined=st.booleans(),
    name=st.sampled_from(("explicit", "implicit", "deflated")),
)
def test_dicom_series_with_odd_elements_are_read_or_refused(
    elements, undefined: bool, name: str, runner_for
) -> None:
    files = series(name)
    files["series/0000.dcm"] = file_bytes(elements, name, undefined)
    case = Case("dicom", files, {"flair": "series"})
    assert came_of(case, runner_for("readers")) in ("read", "refused")


@FIXED
@given(content=strategies.zip_files)
def test_zip_files_with_odd_records_are_read_or_refused(content: bytes, runner_for) -> None:
    assert came_of(scan("scan.zip", content), runner_for("readers")) in ("read", "refused")


@pytest.mark.slow
@settings(FIXED, max_examples=40)
@given(case=strategies.requests)
def test_requests_with_anything_in_place_of_a_file_are_read_or_refused(
    case: Case, runner_for
) -> None:
    assert came_of(case, runner_for("requests")) in ("read", "refused")


HEAVY: dict[str, Callable[[], Case]] = {  # each is made only when needed
    "nifti": lambda: scan("scan.nii.gz", nifti.bomb(100)),
    "metaimage": lambda: Case("metaimage", metaimage.bomb(300), {"flair": "scan.mha"}),
    "deflate": lambda: Case("dicom", odd_dicom.deflate_bomb(200), {"flair": "series"}),
    "deep": lambda: Case("dicom", odd_dicom.deep_series(3000), {"flair": "series"}),
    "deep-undefined": lambda: Case(
        "dicom", odd_dicom.deep_series(3000, undefined=True), {"flair": "series"}
    ),
    "long": lambda: Case("dicom", odd_dicom.long_series(1200), {"flair": "series"}),
    "zip": lambda: scan("scan.zip", zips.bomb(200)),
    "entries": lambda: scan("scan.zip", zips.many_entries(5001)),
    "overlap": lambda: scan("scan.zip", zips.overlapping()),
    "directories": lambda: picture(odd_pictures.many_directories(40_000)),
}


QUICK = ("deep", "deep-undefined", "entries", "overlap")  # the others take seconds


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in HEAVY]
)
def test_small_files_that_cause_much_work_stay_within_time_and_memory(
    name: str, runner_for
) -> None:
    assert came_of(HEAVY[name](), runner_for("readers")) in ("read", "refused")
