"""Pictures that are no axial FLAIR slice."""

import numpy as np
import pytest

from brainai.data import decoys


def test_a_turned_slice_is_the_same_slice_another_way_up() -> None:
    plane = np.arange(16, dtype=np.float32).reshape(4, 4)
    seen = {decoys.turn(plane, np.random.default_rng(seed))[0, 0] for seed in range(50)}
    assert seen == {12.0, 3.0, 15.0}  # whichever corner comes up, never its own
    for seed in range(8):
        turned = decoys.turn(plane, np.random.default_rng(seed))
        assert sorted(turned.flat) == list(range(16))


@pytest.mark.parametrize(("across", "column"), [(2, 8), (1, 52)])
def test_a_cut_stands_head_up_with_the_scans_proportions(across: int, column: int) -> None:
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
    assert picture[50].min() > picture[20].min()  # the lowest slice lies below
    across_pillar = 52 if across == 2 else 8
    assert picture[30, across_pillar] > picture[30, 32]


def test_drawings_are_what_the_network_would_see_and_differ() -> None:
    random = np.random.default_rng(0)
    pictures = [decoys.draw(64, random) for _ in range(40)]
    for picture in pictures:
        assert picture.shape == (64, 64)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() < picture.max() <= 1
    assert len({picture.tobytes() for picture in pictures}) == 40
