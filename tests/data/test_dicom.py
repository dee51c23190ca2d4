"""DICOM series give the same volume as NIfTI, are refused if unsuitable, and name no patient."""

import locale
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import PLANTED, write_dicom, write_series
from scans import SHAPE, brain, write_scan

from brainai.data.dicom import read_series
from brainai.data.scans import read_scan
from brainai.data.volumes import read_volume
from brainai.errors import DataError, OutOfScope

TILT = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])  # about x, 37 degrees


def refusal(folder: Path, match: str, **options) -> str:
    """The error that refuses a folder; it names no patient and no path."""
    with pytest.raises(DataError, match=match) as caught:
        read_scan(folder, "FLAIR", **options)
    message = str(caught.value)
    assert message.startswith("FLAIR: ")
    assert not any(word in message for word in (*PLANTED, str(folder), ".dcm"))
    return message


def test_a_series_gives_the_same_volume_as_a_nifti_file(tmp_path: Path) -> None:
    series = read_scan(write_series(tmp_path / "series", brain()))
    nifti = read_volume(write_scan(tmp_path / "scan.nii.gz", brain(), spacing=(1.0, 1.0, 5.0)))
    np.testing.assert_array_equal(series.voxels, nifti.voxels)
    assert series.has_grid_of(nifti)
    assert series.header_text == series.note == ""


def test_slices_are_ordered_by_position_not_by_file_name(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    names = [path.name for path in sorted(folder.iterdir())]
    assert names[1].endswith("007.dcm")  # of slice 1; the files of 15 slices would be shuffled
    for path in list(folder.iterdir()):
        number = int(path.stem[-3:])
        path.rename(folder / f"{100 - number:03d}")
    np.testing.assert_array_equal(read_scan(folder).voxels, brain())


def test_a_series_stored_from_the_top_down_gives_the_same_volume(tmp_path: Path) -> None:
    turned = np.diag([1.0, -1.0, -1.0])  # rows run to the front, slices to the feet
    folder = write_series(
        tmp_path / "series",
        brain()[:, ::-1, ::-1],
        origin=(0, 0, 25),
        turn=turned,
    )
    volume = read_scan(folder)
    np.testing.assert_array_equal(volume.voxels, brain())
    np.testing.assert_allclose(volume.origin_mm, (0, -35, 0), atol=1e-6)


def test_an_oblique_series_keeps_its_geometry(tmp_path: Path) -> None:
    volume = read_scan(write_series(tmp_path / "series", brain(), turn=TILT))
    np.testing.assert_array_equal(volume.voxels, brain())
    np.testing.assert_allclose(np.reshape(volume.direction, (3, 3)), TILT, atol=1e-6)
    np.testing.assert_allclose(volume.spacing_mm, (1, 1, 5), atol=1e-6)


def test_row_and_column_spacing_are_not_swapped(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain(), spacing=(0.5, 0.75, 3.0))
    np.testing.assert_allclose(read_scan(folder).spacing_mm, (0.5, 0.75, 3.0))


def test_each_file_is_scaled_as_its_header_says(tmp_path: Path) -> None:
    voxels = np.full((*SHAPE[:2], 6), 65, np.int16)
    folder = write_series(tmp_path / "series", voxels[:, :, :3])
    write_series(
        folder, voxels[:, :, 3:], origin=(0, -35, 15), first=3, t0028_1053="2", t0028_1052="5"
    )
    stored = sorted(path.read_bytes()[-2:] for path in folder.iterdir())
    assert stored == [b"\x1e\0"] * 3 + [b"\x41\0"] * 3  # 30 = (65 - 5) / 2, and 65
    np.testing.assert_array_equal(read_scan(folder).voxels, voxels)


def test_localizers_and_other_files_are_ignored(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "exam" / "b", brain())
    write_series(tmp_path / "exam" / "a", brain()[:, :, 2:5], series=1)
    (tmp_path / "exam" / "README.txt").write_text("not a picture")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 50)
    np.testing.assert_array_equal(read_scan(tmp_path / "exam").voxels, brain())


def test_a_duplicate_slice_counts_once(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    first = sorted(folder.iterdir())[0]
    (folder / "copy of it").write_bytes(first.read_bytes())
    np.testing.assert_array_equal(read_scan(folder).voxels, brain())


def test_the_series_named_flair_is_chosen_among_several_and_reported(tmp_path: Path) -> None:
    exam = tmp_path / "exam"
    write_series(exam / "a", brain(1), series=2, description="t1_mprage")
    write_series(exam / "b", brain(0), series=7, description="AX FLAIR fs")
    volume = read_scan(exam, "FLAIR", expect_flair=True)
    np.testing.assert_array_equal(volume.voxels, brain(0))
    assert volume.note == "Used series 7 (6 slices), one of 2 found."


def test_the_only_axial_series_is_chosen_among_several(tmp_path: Path) -> None:
    exam = tmp_path / "exam"
    sagittal = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    write_series(exam / "a", brain(1), series=2, turn=sagittal)
    write_series(exam / "b", brain(0), series=3)
    volume = read_scan(exam, "FLAIR")
    np.testing.assert_array_equal(volume.voxels, brain(0))
    assert volume.note == "Used series 3 (6 slices), one of 2 found."


def test_several_indistinguishable_series_are_refused_and_listed(tmp_path: Path) -> None:
    exam = tmp_path / "exam"
    write_series(exam / "a", brain(), series=12)
    write_series(exam / "b", brain()[:, :, 1:], series=3)
    message = refusal(exam, "found 2 and cannot tell", expect_flair=True)
    assert "series 3 with 5 slices, series 12 with 6 slices" in message


def test_two_pictures_at_the_same_position_are_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    write_series(folder, brain(1), first=50)
    refusal(folder, "found 12 pictures of 6 slices")


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    (folder / f"{PLANTED[0]}_021.dcm").unlink()  # slice 3
    refusal(folder, r"found distances of 5\.0 to 10\.0 mm")


def test_slices_shifted_sideways_are_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain()[:, :, :3])
    write_series(folder, brain()[:, :, 3:], origin=(4, -35, 15), first=50)
    refusal(folder, "shifted sideways")


def test_a_truncated_slice_is_refused(tmp_path: Path) -> None:
    for length in (1500, 700):  # within the pixels, within the header
        folder = write_series(tmp_path / str(length), brain())
        path = folder / f"{PLANTED[0]}_035.dcm"  # of slice 5, the last: no gap would tell
        path.write_bytes(path.read_bytes()[:length])
        refusal(folder, "damaged or truncated")


def test_a_series_with_too_few_slices_is_refused(tmp_path: Path) -> None:
    refusal(write_series(tmp_path / "series", brain()[:, :, 1:4]), "at least 4 parallel")


def test_color_pictures_are_refused(tmp_path: Path) -> None:
    for k in range(5):
        image = sitk.GetImageFromArray(np.full((32, 32, 3), k, np.uint8), isVector=True)
        image.SetMetaData("0010|0010", PLANTED[0])
        write_dicom(tmp_path / f"{k}.dcm", image)
    refusal(tmp_path, "color")


def test_a_multi_frame_file_is_refused(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.ascontiguousarray(brain().transpose(2, 1, 0)))
    image.SetMetaData("0008|0060", "MR")
    image.SetMetaData("0010|0010", PLANTED[0])
    path = tmp_path / "enhanced.dcm"
    write_dicom(path, image)
    refusal(path, "multi-frame")


def test_a_series_of_another_modality_is_refused(tmp_path: Path) -> None:
    refusal(write_series(tmp_path / "series", brain(), t0008_0060="CT"), "not from an MRI scanner")


ECHO, INVERSION, KIND, NAME = "t0018_0081", "t0018_0082", "t0018_0020", "t0018_1030"


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({INVERSION: "900"}, "inversion time"),  # as of T1 with an inversion
        ({INVERSION: "150", NAME: "FLAIR"}, "inversion time"),  # whatever its name
        ({ECHO: "12", KIND: "SE"}, "echo time"),
        ({ECHO: "60", KIND: "EP\\SE"}, "gradient echoes"),  # diffusion
    ],
)
def test_a_series_whose_header_rules_out_flair_is_refused(tmp_path, tags, why) -> None:
    folder = write_series(tmp_path / "series", brain(), **tags)
    message = refusal(folder, why, expect_flair=True)
    assert not any(value in message for value in ("900", "150", "12", "60"))
    assert read_scan(folder, "T1c").voxels.shape == SHAPE  # not expected to be FLAIR


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {INVERSION: "2500", ECHO: "120", KIND: "SE\\IR"},
        {INVERSION: "1500", ECHO: "20"},  # the inversion time decides
        {ECHO: "90", KIND: "SE"},  # perhaps T2; nothing rules out an inversion pulse
        {ECHO: "100", KIND: "EP", NAME: "ep2d_flair"},
        {INVERSION: "", ECHO: "0"},
    ],
)
def test_a_header_that_leaves_the_sequence_open_is_accepted(tmp_path: Path, tags: dict) -> None:
    folder = write_series(tmp_path / "series", brain(), **tags)
    assert read_scan(folder, "FLAIR", expect_flair=True).voxels.shape == SHAPE


def test_a_series_whose_header_rules_out_flair_is_not_chosen_from_an_exam(tmp_path: Path) -> None:
    exam = tmp_path / "exam"
    write_series(exam / "a", brain(1), series=2, description="T1 FLAIR", t0018_0082="860")
    write_series(exam / "b", brain(0), series=7, t0018_0082="2400")
    volume = read_scan(exam, "FLAIR", expect_flair=True)
    np.testing.assert_array_equal(volume.voxels, brain(0))


def test_a_refusal_by_the_header_is_out_of_scope(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain(), t0018_0081="10")
    with pytest.raises(OutOfScope) as caught:
        read_scan(folder, "FLAIR", expect_flair=True)
    assert caught.value.reason == "not FLAIR, according to its DICOM header"


def test_pictures_without_a_position_are_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    for path in folder.iterdir():  # (0020,0037), the orientation, becomes an entry nobody reads
        content = path.read_bytes()
        assert content.count(b"\x20\0\x37\0") == 1
        path.write_bytes(content.replace(b"\x20\0\x37\0", b"\x20\0\x38\0"))
    refusal(folder, "position of the slices in the head")


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    refusal(tmp_path, "no DICOM file")


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    files = sorted(write_series(tmp_path / "series", brain()).iterdir())
    with pytest.raises(DataError, match=r"^FLAIR: .*can be read.*No such file") as caught:
        read_series([*files, tmp_path / "gone.dcm"], "FLAIR")
    assert "gone" not in str(caught.value)


def test_reading_does_not_change_the_locale(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", brain())
    before = locale.setlocale(locale.LC_ALL)
    read_scan(folder)
    assert locale.setlocale(locale.LC_ALL) == before


def test_no_name_date_or_id_reaches_a_volume_or_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    folder = write_series(tmp_path / "series", brain(), description="FLAIR")
    capfd.readouterr()
    volume = read_scan(folder, "FLAIR", expect_flair=True)
    damaged = sorted(folder.iterdir())[2]
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    refusal(folder, "damaged")
    out, err = capfd.readouterr()
    assert out == err == ""
    assert not any(word in repr(volume) for word in PLANTED)
    assert volume.voxels.shape == SHAPE


@pytest.mark.parametrize("place", ["1e300", "inf", "nan", "1e6"])
def test_an_implausible_position_is_refused(tmp_path: Path, place: str) -> None:
    voxels = brain()[:, :, :4]
    folder = write_series(tmp_path / "series", voxels, t0020_0032=f"0\\-35\\{place}")
    assert len(refusal(folder, "do not give the position of the slices in the head")) < 300


def test_different_pictures_at_one_position_are_refused_even_if_they_share_an_id(
    tmp_path: Path,
) -> None:
    one_id = {"t0008_0018": "1.2.3.1"}
    folder = write_series(tmp_path / "series", brain(), **one_id)
    write_series(folder, brain(1), first=50, **one_id)
    refusal(folder, "found 11 pictures of 6 slices")  # the empty slice is the same in both
