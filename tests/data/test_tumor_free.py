"""Scans of people without a tumor: found in every layout, persons named, lesions counted."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from PIL import Image
from scans import SHAPE, brain, write_scan

from brainai.data.cases import Case
from brainai.data.dataset import read_records
from brainai.data.prepare import main
from brainai.data.sources import find_cases
from brainai.data.studies import read_study
from brainai.errors import DataError


def found(root: Path) -> dict[str, tuple[str, str]]:
    """Patient and site of each case."""
    return {case.case_id: (case.names[0], case.site) for case in find_cases("tumor-free", root)}


def only_case(root: Path) -> Case:
    (case,) = find_cases("tumor-free", root)
    return case


def plaques(count: int, z: int = 3) -> np.ndarray:
    """`[X, Y, Z]`: `count` voxels of 1 in one slice."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[10 : 10 + count, 12, z] = 1
    return voxels


def test_a_case_is_named_after_its_own_folder_or_its_file_in_a_shared_folder(
    tmp_path: Path,
) -> None:
    root = tmp_path / "ms"
    write_scan(root / "msl_test01" / "msl_test01_flair.nii.gz", brain(1))
    write_scan(root / "msl_test01" / "msl_test01_T1.nii.gz", brain(2))
    write_scan(root / "mslong_patient03_1" / "mslong_patient03_1_FLAIR.nii", brain(3))
    write_scan(root / "more" / "a_flair.mha", brain(4))
    write_scan(root / "more" / "b_flair.mha", brain(5))
    assert found(root) == {
        "ms_msl_test01": ("ms_msl_test01", "msl"),
        "ms_mslong_patient03_1": ("ms_mslong_patient03", "mslong"),
        "ms_more_a": ("ms_more", "more"),
        "ms_more_b": ("ms_more", "more"),
    }


def test_scans_without_flair_in_their_names_count_if_no_name_has_it(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_scan(root / "p1.nii.gz", brain(1))
    write_scan(root / "p2.mha", brain(2))
    write_scan(root / "p2_mask.mha", plaques(3))
    assert list(found(root)) == ["set_p1", "set_p2"]


def test_bids_visits_are_cases_of_one_patient(tmp_path: Path) -> None:
    root = tmp_path / "ds1"
    for visit in ("01", "02"):
        folder = root / "sub-nyu07" / f"ses-{visit}" / "anat"
        write_scan(folder / f"sub-nyu07_ses-{visit}_FLAIR.nii.gz", brain(int(visit)))
        write_scan(folder / f"sub-nyu07_ses-{visit}_T1w.nii.gz", brain(9))
    write_scan(root / "sub-08" / "anat" / "sub-08_flair.nii", brain(3))
    copy = root / "derivatives" / "spm" / "sub-08" / "sub-08_space-MNI_FLAIR.nii.gz"
    write_scan(copy, brain(4))
    (root / "README").write_text("plain words")
    assert found(root) == {
        "ds1_sub-08": ("ds1_sub-08", "unknown"),
        "ds1_sub-nyu07_ses-01": ("ds1_sub-nyu07", "nyu"),
        "ds1_sub-nyu07_ses-02": ("ds1_sub-nyu07", "nyu"),
    }


def test_visits_in_subfolders_are_one_patient(tmp_path: Path) -> None:
    for visit in ("visit1", "visit2"):
        write_scan(tmp_path / "set" / "anna" / visit / "flair.nii.gz", brain())
    assert found(tmp_path / "set") == {
        "set_anna_visit1": ("set_anna", "anna"),
        "set_anna_visit2": ("set_anna", "anna"),
    }


@pytest.mark.parametrize(
    ("files", "persons"),
    [
        # as the longitudinal challenge of ISBI 2015 names its scans
        (
            ["training01_01_flair_pp.nii", "training01_02_flair_pp.nii", "training02_01_flair.nii"],
            ["training01", "training01", "training02"],
        ),
        (
            ["training01/orig/training01_01_flair.nii", "training01/pp/training01_01_flair_pp.nii"],
            ["training01", "training01"],
        ),
        (["anna/before/flair.nii", "anna/after/flair.nii"], ["anna", "anna"]),
        (["anna/x_flair.nii", "anna/y_flair.nii", "bert/x_flair.nii"], ["anna", "anna", "bert"]),
        (["p1_flair_brain.nii", "p1_flair_n4.nii", "p2_flair.nii"], ["p1", "p1", "p2"]),
        (["p1_20240131_flair.nii", "p1_2024-02-28_flair.nii"], ["p1", "p1"]),
        (["p1_v1_flair.nii", "p1_study2_FLAIRreg.nii"], ["p1", "p1"]),
        (["p1_02/flair.nii", "p1_03/flair.nii"], ["p1", "p1"]),
        # numbers that distinguish people
        (["ms_001_flair.nii", "ms_002_flair.nii"], ["ms_001", "ms_002"]),
        (["002_S_0295/flair.nii", "002_S_0413/flair.nii"], ["002_S_0295", "002_S_0413"]),
        (["flair_anna.nii", "flair_bert.nii"], ["flair_anna", "flair_bert"]),
        (["flair/anna.nii", "flair/bert.nii"], ["anna", "bert"]),
        (["x/patient07/flair.nii", "x/patient08/flair.nii"], ["x_patient07", "x_patient08"]),
    ],
)
def test_files_are_assigned_to_the_right_persons(
    tmp_path: Path, files: list[str], persons: list[str]
) -> None:
    for file in files:
        write_scan(tmp_path / "set" / file, brain())
    found = {
        case.file("flair").relative_to(tmp_path / "set").as_posix(): case.names
        for case in find_cases("tumor-free", tmp_path / "set")
    }
    assert [found[file] for file in files] == [(f"set_{person}",) for person in persons]


@pytest.mark.parametrize(
    "copy",
    ["p1_flair_stripped.nii.gz", "p1_FLAIR_n4_noneck.mha", "p1_flairreg.nii", "p1_flair.nii"],
)
def test_a_scan_beside_a_processed_copy_is_refused(tmp_path: Path, copy: str) -> None:
    for name in ("p1_flair.nii.gz", "p1_flair_brainmask.nii.gz", "p1_T1.nii.gz", copy):
        write_scan(tmp_path / "p1" / name, brain())
    write_scan(tmp_path / "p2" / "p2_flair.nii.gz", brain())
    words = rf"p1: expected one FLAIR scan .*, found (?=.*p1_flair\.nii\.gz)(?=.*{copy}).*Keep one"
    with pytest.raises(DataError, match=words) as refused:
        find_cases("tumor-free", tmp_path)
    assert "brainmask" not in str(refused.value)


def test_scans_whose_names_share_a_prefix_are_separate_cases(tmp_path: Path) -> None:
    for name in ("p1", "p10", "anna", "annabel", "p1_02", "p1_v3"):
        write_scan(tmp_path / "set" / f"{name}.nii", brain())
    assert len(find_cases("tumor-free", tmp_path / "set")) == 6


@pytest.mark.parametrize(
    "mask",
    [
        "a_brainmask.nii.gz",
        "a_brain_mask.nii.gz",
        "a_flair_brain-mask.mha",
        "brainmask.nii",
        "a_flair_brainmask1.nii",
    ],
)
def test_a_brain_mask_is_neither_a_scan_nor_a_lesion_mask(tmp_path: Path, mask: str) -> None:
    for scan in ("a", "a_flair", "a_flair_brain", "brain"):
        write_scan(tmp_path / scan / f"{scan}.nii.gz", brain())
        write_scan(tmp_path / scan / mask, plaques(9))
        assert only_case(tmp_path / scan).files == (("flair", tmp_path / scan / f"{scan}.nii.gz"),)


def test_a_study_has_no_tumor_and_the_pixel_area_of_its_axial_slices(tmp_path: Path) -> None:
    write_scan(tmp_path / "p1" / "flair.nii.gz", brain(1), spacing=(0.5, 0.5, 3.0))
    study = read_study(only_case(tmp_path))
    np.testing.assert_array_equal(study.sequences[0].transpose(2, 1, 0), brain(1))
    assert (study.modalities, study.pixel_area_mm2) == (("flair",), 0.25)
    assert study.slice_step_mm == 3.0
    assert not study.masks.any()
    assert study.lesions is None


@pytest.mark.parametrize("axes", ["RAS", "PIR"])  # PIR: a stack of sagittal slices
def test_other_axes_in_the_file_give_the_same_axial_slices(tmp_path: Path, axes: str) -> None:
    write_scan(tmp_path / "p1" / "flair.nii.gz", brain(1), axes, spacing=(1.0, 1.0, 2.0))
    study = read_study(only_case(tmp_path))
    np.testing.assert_array_equal(study.sequences[0].transpose(2, 1, 0), brain(1))
    assert (study.pixel_area_mm2, study.slice_step_mm) == (1.0, 2.0)


def test_pixels_are_resampled_to_squares_of_their_smaller_side(tmp_path: Path) -> None:
    # 32 pixels of 2 mm beside 36 of 1 mm: 64 × 36 of 1 mm; a plaque of 3 × 2 mm has 6 pixels.
    write_scan(tmp_path / "p1" / "flair.nii.gz", brain(1), spacing=(2.0, 1.0, 1.0))
    write_scan(tmp_path / "p1" / "flair_lesion.nii.gz", plaques(3), spacing=(2.0, 1.0, 1.0))
    study = read_study(only_case(tmp_path))
    assert study.sequences[0].shape == study.masks.shape == (6, 36, 64)
    assert study.pixel_area_mm2 == 1.0
    assert study.lesions.sum(axis=(1, 2)).tolist() == [0, 0, 0, 6, 0, 0]


def test_axial_slices_across_thick_sagittal_ones_are_refused(tmp_path: Path) -> None:
    write_scan(tmp_path / "p1" / "flair.nii.gz", brain(), "PIR", spacing=(5.0, 1.0, 1.0))
    with pytest.raises(DataError, match=r"at most 2\.5 mm, found 5\.0 × 1\.0 mm"):
        read_study(only_case(tmp_path))


@pytest.mark.parametrize(
    "mask",
    [
        "p1/p1_flair_mask.nii.gz",
        "p1/p1_lesion.mha",
        "p1/p1-Seg.nii",
        "p1/p1_mask1.nii.gz",
        "p1/p1_flair_lesion_2.nii.gz",
        "p1/p1_lesionmask.nii.gz",
        "p1/p1_consensus_gt.nii.gz",
        "p1/p1_label-lesion_mask.nii.gz",
    ],
)
def test_a_mask_named_like_the_scan_marks_lesions_and_not_tumor(tmp_path: Path, mask: str) -> None:
    write_scan(tmp_path / "raw" / "p1" / "p1_flair.nii.gz", brain(1))
    write_scan(tmp_path / "raw" / mask, plaques(5))
    write_scan(tmp_path / "raw" / "p2" / "p2_flair.nii.gz", brain(2))
    write_scan(tmp_path / "raw" / "p2" / "p2_brain_mask.nii.gz", plaques(9))
    out = tmp_path / "out"
    source = ["--source", "tumor-free", "--root", str(tmp_path / "raw")]
    assert main([*source, "--out", str(out), "--workers", "1"]) == 0
    slices = {name: [r for r in read_records(out) if r.case_id == name]
              for name in ("raw_p1", "raw_p2")}  # fmt: skip
    # slice 0 is empty and left out
    assert [record.lesion_pixels for record in slices["raw_p1"]] == [0, 0, 5, 0, 0]
    assert {record.lesion_pixels for record in slices["raw_p2"]} == {-1}
    for record in slices["raw_p1"] + slices["raw_p2"]:
        assert (record.label, record.tumor_pixels, record.mask_file_name) == (0, 0, "")
        assert (record.source, record.has_mask) == ("tumor-free", True)


def test_bids_lesion_masks_are_found_under_derivatives(tmp_path: Path) -> None:
    for person in ("1", "10"):
        name = f"sub-{person}_ses-1"
        write_scan(tmp_path / f"sub-{person}" / "anat" / f"{name}_FLAIR.nii.gz", brain())
        masks = tmp_path / "derivatives" / "lesions" / f"sub-{person}"
        write_scan(masks / f"{name}_space-FLAIR_label-lesion_mask.nii.gz", plaques(int(person)))
        write_scan(masks / f"{name}_desc-brain_mask.nii.gz", plaques(20))
    cases = find_cases("tumor-free", tmp_path)
    assert {case.file("flair").name: read_study(case).lesions.sum() for case in cases} == {
        "sub-1_ses-1_FLAIR.nii.gz": 1,
        "sub-10_ses-1_FLAIR.nii.gz": 10,
    }


def test_a_lesion_mask_of_another_shape_or_a_second_one_is_refused(tmp_path: Path) -> None:
    write_scan(tmp_path / "p1" / "p1_flair.nii.gz", brain())
    write_scan(tmp_path / "p1" / "p1_mask.nii.gz", plaques(2)[:, :, :4])
    with pytest.raises(DataError, match=r"p1_mask\.nii\.gz: expected the shape of FLAIR"):
        read_study(only_case(tmp_path))
    write_scan(tmp_path / "p1" / "p1_lesion.nii.gz", plaques(2))
    with pytest.raises(DataError, match=r"one file for lesions, found p1_lesion.*, p1_mask"):
        read_study(only_case(tmp_path))


def test_the_flair_series_of_a_dicom_examination_is_used(tmp_path: Path) -> None:
    spacing = (0.5, 0.5, 4.0)
    exam = tmp_path / "set" / "patient07"
    write_series(exam / "a", brain(1), spacing, series=1, description="t1")
    write_series(exam / "b", brain(2), spacing, series=2, description="t2 flair tra")
    for path in (exam / "b").iterdir():
        path.rename(path.with_suffix(""))  # as many scanners name them
    assert found(tmp_path / "set") == {"set_patient07": ("set_patient07", "unknown")}
    study = read_study(only_case(tmp_path / "set"))
    np.testing.assert_array_equal(study.sequences[0].transpose(2, 1, 0), brain(2))
    assert study.pixel_area_mm2 == 0.25


def test_copies_of_one_scan_are_one_person(tmp_path: Path) -> None:
    for name, seed in (("anna", 1), ("bert", 1), ("carl", 2)):
        write_scan(tmp_path / f"{name}_flair.nii.gz", brain(seed))
    pixels = [read_study(case).names for case in find_cases("tumor-free", tmp_path)]
    assert pixels[0] == pixels[1] != pixels[2]


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    write_scan(tmp_path / "p1" / "p1_mask.nii.gz", plaques(1))
    with pytest.raises(DataError, match="found no case of the source 'tumor-free'"):
        find_cases("tumor-free", tmp_path)


def test_single_slices_are_used_if_there_are_no_scans(tmp_path: Path) -> None:
    """Loose pictures belong to a person each; those in one folder belong to one person."""
    root = tmp_path / "spots"
    for name in ("no_0043.png", "no_0044.png", "anna/a.png", "anna/b.png", "anna/b_mask.png"):
        write_picture(root / name)
    assert found(root) == {
        "spots_no_0043": ("spots_no_0043", "no"),
        "spots_no_0044": ("spots_no_0044", "no"),
        "spots_anna_a": ("spots_anna", "anna"),
        "spots_anna_b": ("spots_anna", "anna"),
    }
    study = read_study(find_cases("tumor-free", root)[0])
    assert study.masks.shape == (1, 40, 36) and not study.masks.any()
    write_scan(root / "p1.nii.gz", brain(1))
    assert list(found(root)) == ["spots_p1"]


def test_a_brats_picture_is_refused_as_tumor_free(tmp_path: Path) -> None:
    write_picture(tmp_path / "spots" / "BraTS2021_00001_flair_80.png")
    with pytest.raises(DataError, match="expected a scan of a person without a tumor"):
        find_cases("tumor-free", tmp_path / "spots")


def write_picture(path: Path) -> None:
    """A gray picture of 36 × 40 pixels that differs with the name."""
    levels = np.random.default_rng(len(str(path))).integers(0, 255, (40, 36), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)
