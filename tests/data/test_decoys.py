"""Pictures that are not axial FLAIR slices."""

import numpy as np
import pytest

from brainai.data import decoys
from brainai.data.dataset import SliceRecord
from brainai.data.store import Store


def test_turning_a_slice_moves_its_corners_and_keeps_its_pixels() -> None:
    plane = np.arange(16, dtype=np.float32).reshape(4, 4)
    seen = {decoys.turn(plane, np.random.default_rng(seed))[0, 0] for seed in range(50)}
    assert seen == {12.0, 3.0, 15.0}  # any corner comes up except its own
    for seed in range(8):
        turned = decoys.turn(plane, np.random.default_rng(seed))
        assert sorted(turned.flat) == list(range(16))


@pytest.mark.parametrize(("across", "column"), [(2, 8), (1, 52)])
def test_sagittal_and_coronal_cuts_are_upright_with_the_scans_proportions(
    across: int, column: int
) -> None:
    """A stack of 20 slices with a bright pillar at row 52 and column 8 all the way up, and a
    bright floor: cut sagittally the pillar lies by its row, coronally by its column."""
    stack = np.zeros((20, 64, 64), np.uint8)
    stack[:] = 60
    stack[0] = 255
    stack[:, 50:55, :] = 200
    stack[:, :, 6:11] = 200
    picture = decoys.cut(stack, across, np.random.default_rng(0))
    assert picture.shape == (64, 64)
    head = np.flatnonzero(picture.max(axis=1) > 0.1)
    assert (head[0], head[-1]) == (11, 52)  # 65 % of the side, in the middle
    assert picture[50].min() > picture[20].min()  # the lowest slice is at the bottom
    across_pillar = 52 if across == 2 else 8
    assert picture[30, across_pillar] > picture[30, 32]


def test_drawings_have_the_format_of_network_input_and_differ() -> None:
    random = np.random.default_rng(0)
    pictures = [decoys.draw(64, random) for _ in range(40)]
    for picture in pictures:
        assert picture.shape == (64, 64)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() < picture.max() <= 1
    assert len({picture.tobytes() for picture in pictures}) == 40


def shells() -> np.ndarray:
    """A head of tissue at 0.5 with gray matter at 0.6, fluid at 0.05 and a lesion at 0.95."""
    plane = np.zeros((64, 64), np.float32)
    plane[8:56, 8:56] = 0.5
    plane[8:14, 8:56] = 0.6
    plane[30:34, 30:34] = 0.05
    plane[40:46, 40:46] = 0.95
    return plane


def test_recolored_slices_never_have_the_fluid_and_lesion_contrast_of_flair() -> None:
    """As in FLAIR, fluid here is a tenth as bright as tissue, and the lesion twice as bright."""
    kinds = set()
    for seed in range(60):
        changed = decoys.recolor(shells(), np.random.default_rng(seed))
        assert changed.shape == (64, 64)
        assert 0 <= changed.min() < changed.max() <= 1
        fluid, tissue, lesion = changed[32, 32], changed[20, 20], changed[43, 43]
        assert fluid > 0.8 * tissue or lesion < tissue
        assert changed[:4].max() < 0.1  # the air around stays dark
        kinds.add(
            "as T2" if fluid > 1.2 * tissue else "as T1 or CT" if lesion < tissue else "as PD"
        )
        if changed[8, 20] > 2 * tissue:
            kinds.add("with a skull")
    assert kinds == {"as T1 or CT", "as T2", "as PD", "with a skull"}


def test_a_black_slice_is_recolored_without_a_warning() -> None:
    assert decoys.recolor(np.zeros((16, 16)), np.random.default_rng(0)).shape == (16, 16)


def test_scans_are_built_from_cases_with_enough_slices_in_each_sequence() -> None:
    def record(case: str, modalities: tuple[str, ...]) -> SliceRecord:
        return SliceRecord(
            file_name="", mask_file_name="", label=0, patient_id=case, case_id=case, slice_index=0,
            slice_count=12, modalities=modalities, source="toy", site="", tumor_pixels=0,
            pixel_area_mm2=1.0, split="test",
        )  # fmt: skip

    records = [record("few", ("flair",))] * 11 + [record("whole", ("flair", "t2"))] * 12
    planes = np.zeros((23, 4, 2, 2), np.uint8)
    planes[11:, 0, 0] = 7  # the upper row, in FLAIR
    planes[11:, 2] = 9  # T2
    found = list(decoys.scans(Store(records, planes), range(23)))
    assert [scan.kind for scan in found] == ["FLAIR", "FLAIR upside down", "T2"]
    assert all(scan.planes.shape == (12, 2, 2) for scan in found)
    assert found[0].planes[0].tolist() == [[7, 7], [0, 0]]
    assert found[1].planes[0].tolist() == [[0, 0], [7, 7]]
    assert found[2].planes.min() == 9
