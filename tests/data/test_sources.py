"""Layouts and names of every release become the same cases."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scans import brain, labels, write_brats, write_lgg, write_scan

from brainai.data.cases import Case
from brainai.data.releases import (
    BRATS_2013,
    BRATS_2017,
    BRATS_2023,
    BRATS_PED,
    person_name,
    release_of,
    site_name,
)
from brainai.data.sources import check_unique, find_cases
from brainai.data.studies import read_study, whole_tumor
from brainai.errors import DataError


def only_case(source: str, root: Path) -> Case:
    (case,) = find_cases(source, root)
    return case


def test_lgg_case_takes_patient_and_site_from_its_folder(tmp_path: Path) -> None:
    write_lgg(tmp_path / "kaggle_3m", "TCGA_CS_4941_19960909")
    case = only_case("lgg", tmp_path)
    assert (case.case_id, case.site, case.names) == (
        "TCGA_CS_4941_19960909",
        "CS",
        ("TCGA_CS_4941",),
    )
    study = read_study(case)
    assert study.modalities == ("flair",)  # the other channels repeat it
    assert study.masks.sum(axis=(1, 2)).tolist() == [0, 0, 12, 0]


def test_lgg_slices_are_sorted_by_number(tmp_path: Path) -> None:
    folder = write_lgg(tmp_path, "TCGA_CS_4941_19960909", slices=11)
    study = read_study(only_case("lgg", tmp_path))
    last = np.asarray(Image.open(folder / "TCGA_CS_4941_19960909_11.tif"))[..., 1]
    np.testing.assert_array_equal(study.sequences[0][10], last)


def test_lgg_third_channel_is_t1c_if_it_differs_from_flair(tmp_path: Path) -> None:
    folder = write_lgg(tmp_path, "TCGA_CS_4941_19960909", t1c=True)
    study = read_study(only_case("lgg", tmp_path))
    assert study.modalities == ("flair", "t1c")
    stored = np.asarray(Image.open(folder / "TCGA_CS_4941_19960909_1.tif"))
    np.testing.assert_array_equal(study.sequences[1][0], stored[..., 2])


def nifti(root: Path, name: str, flair: str, t1c: str, t2: str, seg: str) -> None:
    for number, ending in enumerate((flair, t1c, t2)):
        write_scan(root / name / f"{name}{ending}", brain(number))
    write_scan(root / name / f"{name}{seg}", labels(1, 2))


@pytest.mark.parametrize(
    ("name", "endings", "release"),
    [
        ("Brats17_CBICA_AXN_1", ("_flair.nii.gz", "_t1ce.nii.gz", "_t2.nii.gz", "_seg.nii.gz"),
         BRATS_2017),
        ("BraTS20_Training_355", ("_flair.nii", "_t1ce.nii", "_t2.nii", "_Segm.nii"), BRATS_2017),
        ("BraTS-GLI-00000-000", ("-t2f.nii.gz", "-t1c.nii.gz", "-t2W.nii.gz", "-seg.nii.gz"),
         BRATS_2023),
        ("BraTS-PED-00001-000", ("-t2f.nii.gz", "-t1c.nii.gz", "-t2w.nii.gz", "-seg.nii.gz"),
         BRATS_PED),
    ],
)  # fmt: skip
def test_cases_of_the_nifti_releases_are_read(
    tmp_path: Path, name: str, endings: tuple, release: object
) -> None:
    nifti(tmp_path / "HGG", name, *endings)
    case = only_case("brats", tmp_path)
    study = read_study(case)
    assert (case.case_id, case.release) == (name, release)
    assert study.modalities == ("flair", "t1c", "t2")
    for number, sequence in enumerate(study.sequences):
        np.testing.assert_array_equal(sequence.transpose(2, 1, 0), brain(number))
    assert study.masks[3].sum() == 8


@pytest.mark.parametrize("own_folders", [True, False])
def test_cases_of_the_metaimage_release_are_read(tmp_path: Path, own_folders: bool) -> None:
    study_folder = tmp_path / "LGG" / "brats_2013_pat0001_1"
    for number, kind in enumerate(("MR_Flair", "MR_T1c", "MR_T2", "OT")):
        name = f"VSD.Brain{'_3more' if kind == 'OT' else ''}.XX.O.{kind}.54{number}"
        folder = study_folder / name if own_folders else study_folder
        write_scan(folder / f"{name}.mha", labels(1, 2, 3, 4) if kind == "OT" else brain(number))
    write_scan(study_folder / "VSD.Brain.XX.O.MR_T1.7" / "VSD.Brain.XX.O.MR_T1.7.mha", brain(9))
    case = only_case("brats", tmp_path)
    assert (case.case_id, case.site, case.release) == (
        "LGG_brats_2013_pat0001_1",
        "2013",
        BRATS_2013,
    )
    assert case.names == ("Brats_2013_LGG_1",)
    study = read_study(case)
    np.testing.assert_array_equal(study.sequences[1].transpose(2, 1, 0), brain(1))
    assert study.masks.sum() == 16


@pytest.mark.parametrize(
    ("name", "person", "site"),
    [
        ("Brats17_TCIA_201_1", "Brats_TCIA_201", "TCIA"),
        ("Brats18_TCIA01_201_1", "Brats_TCIA_201", "TCIA01"),
        ("BraTS19_CBICA_AXN_1", "Brats_CBICA_AXN", "CBICA"),
        ("BraTS19_2013_20_1", "Brats_2013_20", "2013"),
        ("BraTS19_TMC_06290_1", "Brats_TMC_06290", "TMC"),
        ("HGG_brats_tcia_pat201_0043", "Brats_TCIA_201", "TCIA"),
        ("HG_0001", "Brats_2013_HGG_1", "2013"),
        ("BraTS20_Training_001", "BraTS20_Training_001", "unknown"),
        ("BraTS2021_00006", "BraTS-GLI-00006", "unknown"),
        ("BraTS-GLI-00006-001", "BraTS-GLI-00006", "unknown"),
        ("BraTS-MEN-RT-0012-1", "BraTS-MEN-RT-0012", "unknown"),
        ("BraTS-GoAT-00012", "BraTS-GoAT-00012", "unknown"),
    ],
)
def test_person_and_site_are_derived_from_names(name: str, person: str, site: str) -> None:
    assert (person_name(name), site_name(name)) == (person, site)


@pytest.mark.parametrize(
    ("name", "dashed", "tumor"),
    [
        ("BraTS2021_00000", False, [1, 2, 4]),
        ("BraTS-GLI-02062-100", True, [1, 2, 3]),  # 4 is the resection cavity
        ("BraTS-GLI-00006-001", True, [1, 2, 3]),
        ("BraTS-PED-00001-000", True, [1, 2, 3, 4]),
    ],
)
def test_whole_tumor_labels_follow_the_release(
    tmp_path: Path, name: str, dashed: bool, tumor: list[int]
) -> None:
    release = release_of(name, dashed)
    values = np.array(release.known(release.tumor))
    assert values[whole_tumor(values, release, tmp_path)].tolist() == tumor


@pytest.mark.parametrize(("name", "label"), [("BraTS2021_00001", 3), ("BraTS2021_00001", 5)])
def test_a_label_unknown_to_the_release_is_refused(tmp_path: Path, name: str, label: int) -> None:
    write_brats(tmp_path, name, labels(1, label))
    with pytest.raises(DataError, match=rf"_seg\.nii\.gz: expected the labels .*found \[{label}\]"):
        read_study(only_case("brats", tmp_path))


def dashed(root: Path, name: str, *values: int) -> Path:
    """A study as BraTS 2023 names it, with these labels of 4 voxels each."""
    write_scan(root / name / f"{name}-t2f.nii.gz", brain(0))
    write_scan(root / name / f"{name}-seg.nii.gz", labels(*values))
    return root


@pytest.mark.parametrize(
    ("name", "values", "tumor_voxels"),
    [
        ("BraTS-GLI-00006-000", (1, 2, 3), 12),
        ("BraTS-GLI-00006-000", (2,), 4),
        ("BraTS-GLI-00006-100", (1, 2, 4), 8),  # a cavity, and no enhancing tumor is left
        ("BraTS-MET-00006-000", (1, 2, 3, 4), 12),
    ],
)
def test_labels_are_interpreted_by_the_release_of_the_name(
    tmp_path: Path, name: str, values: tuple[int, ...], tumor_voxels: int
) -> None:
    study = read_study(only_case("brats", dashed(tmp_path, name, *values)))
    assert study.masks.sum() == tumor_voxels


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("BraTS-GLI-00006-000", (1, 2, 4)),
        ("BraTS-GLI-00006-000", (4,)),
        ("BraTS-GLI-00006", (1, 2, 4)),
        ("BraTS-MET-00006-000", (2, 4)),
        ("study", (1, 2, 4)),
    ],
)
def test_brats_2017_labels_under_a_2023_name_are_refused(
    tmp_path: Path, name: str, values: tuple[int, ...]
) -> None:
    case = only_case("brats", dashed(tmp_path, name, *values))
    with pytest.raises(DataError, match=r" 2, 3\), found \[4\] .*may be those of BraTS 2017"):
        read_study(case)


def write_decathlon(root: Path, order: tuple[int, ...] = (0, 9, 1, 2)) -> Path:
    """Task01_BrainTumour with one case for training, FLAIR, T1, T1c and T2 by number."""
    task = root / "Task01_BrainTumour"
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (task / folder).mkdir(parents=True)
        (task / folder / "._BRATS_001.nii.gz").write_bytes(b"of macOS")
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])  # stored as LPS
    four = nib.Nifti1Image(np.stack([brain(number) for number in order], -1), turned)
    nib.save(four, task / "imagesTr" / "BRATS_001.nii.gz")
    nib.save(four, task / "imagesTs" / "BRATS_485.nii.gz")
    nib.save(nib.Nifti1Image(labels(1, 2, 3), turned), task / "labelsTr" / "BRATS_001.nii.gz")
    return task


def test_a_decathlon_case_with_four_sequences_in_one_file_is_read(tmp_path: Path) -> None:
    write_decathlon(tmp_path)
    case = only_case("brats", tmp_path)
    study = read_study(case)
    assert (case.case_id, study.modalities) == ("BRATS_001", ("flair", "t1c", "t2"))
    for number, sequence in enumerate(study.sequences):
        np.testing.assert_array_equal(sequence.transpose(2, 1, 0), brain(number))
    assert study.masks.sum() == 12


def test_a_decathlon_case_with_fewer_volumes_is_refused(tmp_path: Path) -> None:
    write_decathlon(tmp_path, order=(0, 9, 1))
    with pytest.raises(DataError, match=r"expected 4 volumes in one file, found 3"):
        read_study(only_case("brats", tmp_path))


def test_folders_named_like_files_are_read_as_files(tmp_path: Path) -> None:
    name = "BraTS2021_00000"
    for ending, inner, voxels in (
        ("flair", "00000057_brain_flair", brain(0)),
        ("t1", "00000057_brain_t1", brain(9)),
        ("t1ce", "00000057_brain_t1ce", brain(1)),
        ("t2", "00000057_brain_t2", brain(2)),
        ("seg", "00000057_final_seg", labels(1, 2, 4)),
    ):
        write_scan(tmp_path / name / f"{name}_{ending}.nii" / f"{inner}.nii", voxels)
    case = only_case("brats", tmp_path)
    study = read_study(case)
    assert (case.case_id, case.release, study.masks.sum()) == (name, BRATS_2017, 12)
    assert study.modalities == ("flair", "t1c", "t2")
    np.testing.assert_array_equal(study.sequences[1].transpose(2, 1, 0), brain(1))


def test_a_folder_named_like_a_file_must_hold_exactly_one_scan(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_00001")
    t2 = folder / "BraTS2021_00001_t2.nii.gz"
    t2.unlink()
    t2.mkdir()
    with pytest.raises(
        DataError, match=r"_t2\.nii\.gz: expected a file, found a folder without a scan"
    ):
        read_study(only_case("brats", tmp_path))
    for number in (1, 2):
        write_scan(t2 / f"{number}.nii", brain(2))
    with pytest.raises(DataError, match=r"expected one file for t2, found 1\.nii, 2\.nii"):
        read_study(only_case("brats", tmp_path))


def test_identical_copies_of_a_case_count_once(tmp_path: Path) -> None:
    write_lgg(tmp_path / "kaggle_3m", "TCGA_CS_4941_19960909")
    copy = tmp_path / "lgg-mri-segmentation" / "kaggle_3m"
    shutil.copytree(tmp_path / "kaggle_3m", copy)
    (tmp_path / "__MACOSX" / "kaggle_3m" / "TCGA_CS_4941_19960909").mkdir(parents=True)
    case = only_case("lgg", tmp_path)
    assert case.folder == tmp_path / "kaggle_3m" / "TCGA_CS_4941_19960909"
    picture = copy / case.case_id / f"{case.case_id}_2.tif"
    changed = np.asarray(Image.open(picture)).copy()
    changed[16, 16] += 1
    Image.fromarray(changed).save(picture)
    with pytest.raises(
        DataError, match=f"The first one is in {case.folder} and {copy / case.case_id}"
    ):
        check_unique(find_cases("lgg", tmp_path))


@pytest.mark.parametrize(
    ("source", "name", "sentence"),
    [
        (
            "brats",
            "data/volume_1_slice_0.h5",
            r"holds \.h5 files \(1\), which are scaled slices.*BraTS2020_Train",
        ),
        ("brats", "BraTS2021_Training_Data.tar", r"holds archives \(1\): unpack them first"),
        ("lgg", "archive.zip", r"holds archives \(1\): unpack them first"),
        ("lgg", "cvind.mat", r"Most of its 1 files are \.mat"),
        ("lgg", "BraTS2021_00000/BraTS2021_00000_flair.nii", "looks like --source brats"),
        ("brats", "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif", "looks like --source lgg"),
    ],
)
def test_the_error_for_a_folder_without_cases_says_what_it_holds(
    tmp_path: Path, source: str, name: str, sentence: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=rf"found no case of the source '{source}'.*{sentence}"):
        find_cases(source, tmp_path)


def test_flipped_axes_give_the_same_study(tmp_path: Path) -> None:
    straight = read_study(only_case("brats", write_brats(tmp_path / "a", "BraTS2021_00001").parent))
    folder = write_brats(tmp_path / "b", "BraTS2021_00001")
    write_scan(folder / "BraTS2021_00001_flair.nii.gz", brain(0), "RAI")
    write_scan(folder / "BraTS2021_00001_seg.nii.gz", labels(1, 2, 4), "LAS")
    flipped = read_study(only_case("brats", folder.parent))
    for mine, other in zip(straight.sequences, flipped.sequences, strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(straight.masks, flipped.masks)


def test_a_sequence_that_repeats_flair_counts_as_absent(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_00001")
    write_scan(folder / "BraTS2021_00001_t1ce.nii.gz", brain(0))
    assert read_study(only_case("brats", tmp_path)).modalities == ("flair", "t2")


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_00001")
    write_scan(folder / "BraTS2021_00001_seg.nii.gz", labels(1)[:, :, :5])
    with pytest.raises(DataError, match=r"\(32, 36, 6\), found \(32, 36, 5\).*again"):
        read_study(only_case("brats", tmp_path))


def test_a_mask_with_another_position_in_its_header_is_refused(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_00001")
    path = folder / "BraTS2021_00001_seg.nii.gz"
    write_scan(path, labels(1), "RAS", origin=(31.0, 0.0, 0.0))
    with pytest.raises(DataError, match=r"found a header with a position 35 mm away"):
        read_study(only_case("brats", tmp_path))


@pytest.mark.parametrize(("role", "word"), [("flair", "FLAIR"), ("seg", "segmentation")])
def test_a_study_without_flair_or_mask_is_refused(tmp_path: Path, role: str, word: str) -> None:
    (write_brats(tmp_path, "BraTS2021_00001") / f"BraTS2021_00001_{role}.nii.gz").unlink()
    with pytest.raises(DataError, match=f"BraTS2021_00001: expected a file with the {word}"):
        read_study(only_case("brats", tmp_path))


def test_an_empty_case_folder_is_a_bad_case_and_not_ignored(tmp_path: Path) -> None:
    write_brats(tmp_path, "BraTS2021_00001")
    (tmp_path / "BraTS2021_00002").mkdir()
    cases = find_cases("brats", tmp_path)
    assert [case.case_id for case in cases] == ["BraTS2021_00001", "BraTS2021_00002"]
    with pytest.raises(DataError, match="expected a file with the FLAIR"):
        read_study(cases[1])


def test_two_files_for_one_sequence_are_refused(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_00001")
    write_scan(folder / "BraTS2021_00001_flair.nii", brain(0))
    with pytest.raises(DataError, match="expected one file for flair"):
        read_study(only_case("brats", tmp_path))


def test_a_flair_only_study_stored_as_floats_is_read(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_01646", t1c=False, t2=False)
    halves = brain(0).astype(np.float32) / 2
    write_scan(folder / "BraTS2021_01646_flair.nii.gz", halves)
    write_scan(folder / "BraTS2021_01646_seg.nii.gz", labels(1, 2, 4).astype(np.float32))
    study = read_study(only_case("brats", tmp_path))
    assert (study.modalities, study.masks.sum()) == (("flair",), 12)
    np.testing.assert_array_equal(study.sequences[0].transpose(2, 1, 0), halves)


def test_an_empty_scan_is_refused(tmp_path: Path) -> None:
    folder = write_brats(tmp_path, "BraTS2021_00001")
    write_scan(folder / "BraTS2021_00001_t2.nii.gz", np.zeros_like(brain()))
    with pytest.raises(DataError, match=r"_t2\.nii\.gz: expected a scan, found the same value"):
        read_study(only_case("brats", tmp_path))


@pytest.mark.parametrize(("missing", "word"), [("_2.tif", "slice"), ("_2_mask.tif", "mask")])
def test_a_gap_in_an_lgg_case_is_refused(tmp_path: Path, missing: str, word: str) -> None:
    (write_lgg(tmp_path, "TCGA_CS_4941_19960909") / f"TCGA_CS_4941_19960909{missing}").unlink()
    with pytest.raises(
        DataError, match=f"expected a {word} for each number from 1 to 4, found none for 2"
    ):
        read_study(only_case("lgg", tmp_path))


def test_damaged_lgg_pictures_are_refused_with_their_file(tmp_path: Path) -> None:
    folder = write_lgg(tmp_path, "TCGA_CS_4941_19960909")
    path = folder / "TCGA_CS_4941_19960909_2.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"_2\.tif: expected a complete picture"):
        read_study(only_case("lgg", tmp_path))
    Image.new("RGB", (40, 40), "gray").save(path)
    with pytest.raises(DataError, match=r"_2\.tif: expected 32×36 pixels.*found 40×40"):
        read_study(only_case("lgg", tmp_path))


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(brain(seed)[:, :, 2].T.clip(0, 255).astype(np.uint8)).save(path)


@pytest.mark.parametrize(
    ("with_tumor", "without"), [("yes", "no"), ("Tumor", "No Tumor"), ("glioblastoma", "normal")]
)
def test_class_folders_are_recognized_by_name(
    tmp_path: Path, with_tumor: str, without: str
) -> None:
    picture(tmp_path / "set" / with_tumor / "1.png")
    picture(tmp_path / "set" / without / "1.png", seed=1)
    cases = find_cases("folders", tmp_path / "set")
    assert {case.file("picture").parent.name: case.label for case in cases} == {
        with_tumor: 1,
        without: 0,
    }
    assert len({case.names for case in cases}) == 2  # one person per file


def test_class_folders_with_unknown_names_need_the_positive_option(tmp_path: Path) -> None:
    for name in ("left", "right"):
        picture(tmp_path / name / "1.png")
    with pytest.raises(DataError, match=r"found left and right\. Name it with --positive NAME"):
        find_cases("folders", tmp_path)
    labels_found = {
        case.folder.name: case.label for case in find_cases("folders", tmp_path, "left")
    }
    assert labels_found == {"left": 1, "right": 0}
    with pytest.raises(DataError, match="--positive"):
        find_cases("folders", tmp_path, "middle")


def test_exactly_two_class_folders_are_required(tmp_path: Path) -> None:
    picture(tmp_path / "yes" / "1.png")
    (tmp_path / "no").mkdir()
    with pytest.raises(DataError, match=r"expected exactly two class folders.*found yes"):
        find_cases("folders", tmp_path)


def test_pictures_with_the_same_id_in_their_names_are_one_person(tmp_path: Path) -> None:
    for name in ("yes/patient12_1.png", "yes/patient12_2.png", "no/Patient 012-a.jpg", "no/x.png"):
        picture(tmp_path / "set" / name)
    persons = [case.names[0] for case in find_cases("folders", tmp_path / "set")]
    assert sorted(persons) == ["set_no_x"] + ["set_patient_12"] * 3


def test_pictures_with_identical_pixels_share_a_name(tmp_path: Path) -> None:
    picture(tmp_path / "yes" / "1.png")
    picture(tmp_path / "no" / "other.png")
    picture(tmp_path / "no" / "3.png", seed=3)
    names = {c.case_id[-5:]: read_study(c).names for c in find_cases("folders", tmp_path)}
    assert names["yes_1"] == names["other"] != names["_no_3"]


def test_cases_with_the_same_name_get_their_parents_name_or_are_refused(tmp_path: Path) -> None:
    for parent, label in (("HGG", 1), ("LGG", 2)):
        write_brats(tmp_path / parent, "study_1", labels(label))
    assert [case.case_id for case in find_cases("brats", tmp_path)] == [
        "HGG_study_1",
        "LGG_study_1",
    ]
    cases = find_cases("brats", tmp_path / "HGG") * 2
    with pytest.raises(DataError, match=r"found 1 in two folders \(study_1\)"):
        check_unique(cases)


def test_a_root_without_cases_is_refused(tmp_path: Path) -> None:
    for source in ("lgg", "brats", "phantom", "folders"):
        with pytest.raises(DataError, match="--root"):
            find_cases(source, tmp_path)
    with pytest.raises(DataError, match="expected a folder, found none"):
        find_cases("lgg", tmp_path / "none")
