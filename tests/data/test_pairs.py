"""Pictures with masks of the same names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scans import brain

from brainai.data.dataset import read_records
from brainai.data.prepare import main
from brainai.data.sources import find_cases
from brainai.data.studies import read_study
from brainai.errors import DataError


def write_pair(
    root: Path, name: str, mask: str | None = None, seed: int = 0, values: tuple = (0, 255)
) -> None:
    """A picture of 32×36 pixels, and a mask with 6 pixels of tumor (`mask` names its file)."""
    picture = brain(seed)[:, :, 2].T.clip(0, 255).astype(np.uint8)
    outline = np.full(picture.shape, values[0], np.uint8)
    outline[10:12, 20:23] = values[1]
    for kind, file, pixels in (("images", name, picture), ("masks", mask or name, outline)):
        path = root / kind / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def patients(root: Path, *pattern: str) -> dict[str, str]:
    return {case.case_id: case.names[0] for case in find_cases("pairs", root, None, *pattern)}


def test_the_patient_is_the_name_up_to_the_last_underscore(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("10002_46", "10002_49", "BraTS2021_00734_1047", "TCGA_CS_4941_7", "alone"):
        write_pair(root, f"{name}.png")
    assert patients(root) == {
        "set_10002_46": "set_10002",
        "set_10002_49": "set_10002",
        "set_BraTS2021_00734_1047": "BraTS-GLI-00734",
        "set_TCGA_CS_4941_7": "TCGA_CS_4941",
        "set_alone": "set_alone",
    }


def test_a_pattern_extracts_the_patient(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_pair(root, "slice12-anna-flair.png")
    assert patients(root, r"-(\w+)-") == {"set_slice12-anna-flair": "set_anna"}
    with pytest.raises(DataError, match=r"expected a name in which --patient-pattern \(\\d\{4\}\)"):
        patients(root, r"(\d{4})")


@pytest.mark.parametrize("pattern", ["slice", "(slice"])
def test_a_pattern_without_a_group_is_a_command_line_error(pattern: str, capsys) -> None:
    call = ["--source", "pairs", "--root", "a", "--out", "b", "--patient-pattern", pattern]
    assert main(call) == 2
    assert "--patient-pattern" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mask", "values"),
    [("p_1.png", (0, 255)), ("p_1.png", (0, 1)), ("p_1.tif", (0, 1)), ("p_1.jpg", (0, 255))],
)
def test_masks_of_every_file_format_are_read(tmp_path: Path, mask: str, values: tuple) -> None:
    write_pair(tmp_path, "p_1.png", mask, values=values)
    (case,) = find_cases("pairs", tmp_path)
    study = read_study(case)
    expected = np.zeros((1, 36, 32), bool)
    expected[0, 10:12, 20:23] = True
    wrong = np.count_nonzero(study.masks != expected)
    assert wrong <= (2 if mask.endswith(".jpg") else 0)  # compression moves the border a little


def test_pairs_are_prepared_as_single_slices(tmp_path: Path, capsys) -> None:
    root, out = tmp_path / "set", tmp_path / "out"
    write_pair(root, "a_1.png", "a_1.tif", seed=1)
    write_pair(root, "a_2.jpg", "a_2.png", seed=2, values=(0, 0))
    arguments = ["--source", "pairs", "--root", str(root), "--out", str(out), "--workers", "1"]
    assert main(arguments) == 0
    first, second = read_records(out)
    assert (first.case_id, first.patient_id, first.source) == ("set_a_1", "set_a", "pairs")
    assert (first.label, first.tumor_pixels, first.slice_count) == (1, 6, 1)
    assert (second.label, second.tumor_pixels, second.mask_file_name) == (0, 0, "")
    assert (first.pixel_area_mm2, first.site, first.lesion_pixels) == (0.0, "unknown", -1)
    assert np.count_nonzero(Image.open(out / first.mask_file_name)) == 6
    assert "without a slice with tumor" not in capsys.readouterr().out  # none is expected of each


def test_bad_pairs_are_reported_in_one_sentence_each(tmp_path: Path, capsys) -> None:
    root = tmp_path / "set"
    for name in ("a_1", "b_1", "c_1", "d_1"):
        write_pair(root, f"{name}.png")
    (root / "masks" / "a_1.png").unlink()
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(root / "masks" / "b_1.png")
    write_pair(root, "c_1.png", "c_1.tif")
    ramp = np.arange(36 * 32, dtype=np.uint8).reshape(36, 32)
    Image.fromarray(ramp).save(root / "masks" / "d_1.png")
    arguments = ["--source", "pairs", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--workers", "1"]) == 2
    told = capsys.readouterr().err
    assert "4 cases are bad" in told
    assert "a_1.png: expected a mask of the same name in the folder masks, found none" in told
    assert "b_1.png: expected 32×36 pixels, as in its picture, found 50×40" in told
    assert "expected one file for mask, found c_1.png, c_1.tif" in told
    assert "d_1.png: expected masks of 0 and 255, found 256 values" in told


def test_both_folders_are_required(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(
        DataError, match="expected the folders images and masks, but masks is missing"
    ):
        find_cases("pairs", tmp_path)
