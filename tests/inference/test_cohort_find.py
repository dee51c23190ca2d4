"""Which scans a cohort has, by their names alone: no file is opened."""

from pathlib import Path

import pytest

from brainai.errors import DataError
from brainai.inference.cohort.find import Cohort, find_scans


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(cohort: Cohort) -> dict[str, dict[str, str]]:
    return {scan.name: dict(scan.files) for scan in cohort.scans}


def test_each_bids_flair_becomes_a_scan_with_t1c_and_t2_of_its_session(tmp_path) -> None:
    one, two = "sub-01/ses-1/anat/sub-01_ses-1", "sub-02/anat/sub-02"
    touch(
        tmp_path,
        f"{one}_FLAIR.nii.gz",
        f"{one}_T1w.nii.gz",  # without contrast: no T1c
        f"{one}_ce-gd_T1w.nii.gz",
        f"{one}_T2w.nii.gz",
        f"{two}_FLAIR.nii",
        f"{two}_T1w.nii",
        "sub-03/anat/sub-03_T1w.nii.gz",  # no FLAIR
        "sub-04/func/sub-04_FLAIR.nii.gz",  # not anatomical
        "derivatives/x/sub-01/anat/sub-01_FLAIR.nii.gz",
    )
    cohort = find_scans(tmp_path)
    assert cohort.bids
    assert found(cohort) == {
        "sub-01_ses-1": {
            "flair": f"{one}_FLAIR.nii.gz",
            "t1c": f"{one}_ce-gd_T1w.nii.gz",
            "t2": f"{one}_T2w.nii.gz",
        },
        "sub-02": {"flair": f"{two}_FLAIR.nii"},
    }


def test_bids_runs_are_paired_by_entities_and_ambiguous_files_are_left_out(tmp_path) -> None:
    start = "sub-01/anat/sub-01"
    touch(
        tmp_path,
        *(f"{start}_run-{n}_FLAIR.nii.gz" for n in (1, 2)),
        *(f"{start}_run-{n}_T2w.nii.gz" for n in (1, 2)),
        *(f"{start}_acq-{word}_ce-gd_T1w.nii.gz" for word in ("ax", "cor")),  # which?
    )
    assert found(find_scans(tmp_path)) == {
        f"sub-01_run-{n}": {
            "flair": f"{start}_run-{n}_FLAIR.nii.gz",
            "t2": f"{start}_run-{n}_T2w.nii.gz",
        }
        for n in (1, 2)
    }


def test_compressed_and_uncompressed_copies_of_a_file_are_one_scan(tmp_path) -> None:
    touch(tmp_path, *(f"sub-01/anat/sub-01_FLAIR.nii{end}" for end in ("", ".gz")))
    assert found(find_scans(tmp_path)) == {"sub-01": {"flair": "sub-01/anat/sub-01_FLAIR.nii.gz"}}


def test_files_in_a_folder_get_bids_names_and_their_other_sequences(tmp_path) -> None:
    root = tmp_path / "set"
    a, b, c = "BraTS-7/BraTS-7-", "p_8/p_8_", "x9"
    touch(root, *(f"{a}{end}.nii.gz" for end in ("t2f", "t1c", "t1n", "t2w", "seg")))
    touch(root, f"{b}flair.mha", f"{b}t1ce.mha", f"{c}_FLAIR.nii")
    cohort = find_scans(root)
    assert not cohort.bids
    assert found(cohort) == {
        "sub-BraTS7": {
            "flair": f"{a}t2f.nii.gz",
            "t1c": f"{a}t1c.nii.gz",
            "t2": f"{a}t2w.nii.gz",
        },
        "sub-p8": {"flair": f"{b}flair.mha", "t1c": f"{b}t1ce.mha"},
        "sub-x9": {"flair": f"{c}_FLAIR.nii"},
    }


def test_names_that_would_coincide_in_bids_are_kept_distinct(tmp_path) -> None:
    touch(tmp_path, "a-b_flair.nii", "a_b_flair.nii", "c_flair.nii")
    names = [scan.name for scan in find_scans(tmp_path).scans]
    assert len(set(names)) == 3
    assert "sub-c" in names
    assert "sub-ab" not in names  # neither gets it: which one would depend on their order


def test_a_dicom_study_is_a_folder_of_series(tmp_path) -> None:
    touch(
        tmp_path,
        "anna/2020/flair/1.dcm",
        "anna/2020/t1/1.dcm",
        "anna/2021/flair/1.dcm",
        "bert/series/1",
        "carl/1.dcm",
    )
    assert found(find_scans(tmp_path)) == {
        "sub-anna2020": {"flair": "anna/2020"},
        "sub-anna2021": {"flair": "anna/2021"},
        "sub-bert": {"flair": "bert"},
        "sub-carl": {"flair": "carl"},
    }


def test_a_table_can_name_scans_in_any_folder(tmp_path) -> None:
    table = tmp_path / "scans.csv"
    table.write_text(
        "flair,t2,name\n"
        "p1/flair.nii.gz,,\n"  # the folder's name, because the file has none of its own
        "p2/f.nii,p2/t2.nii,sub-02_ses-1\n"
        "/far/c_flair.nii.gz,,\n"
    )
    cohort = find_scans(table)
    assert cohort.root == tmp_path
    assert found(cohort) == {
        "sub-02_ses-1": {"flair": "p2/f.nii", "t2": "p2/t2.nii"},
        "sub-c": {"flair": "/far/c_flair.nii.gz"},
        "sub-p1": {"flair": "p1/flair.nii.gz"},
    }
    assert cohort.root / "/far/c_flair.nii.gz" == Path("/far/c_flair.nii.gz")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("path\na.nii\n", "expected a column flair .*found path"),
        ("", "found an empty file"),
        ("flair,t2\n,b.nii\n", "line 2 names no FLAIR"),
        ("flair\n", "found none"),
    ],
)
def test_an_invalid_table_is_refused_with_what_was_found(tmp_path, content, words) -> None:
    (tmp_path / "scans.csv").write_text(content)
    with pytest.raises(DataError, match=words):
        find_scans(tmp_path / "scans.csv")


def test_paths_without_scans_are_refused(tmp_path) -> None:
    for place in (tmp_path, tmp_path / "nowhere", touch(tmp_path, "a.txt") / "a.txt"):
        with pytest.raises(DataError, match="--scans"):
            find_scans(place)
