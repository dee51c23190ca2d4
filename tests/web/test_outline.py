"""Pictures on the page."""

import numpy as np
import pytest
from PIL import Image
from toy_heads import head

from brainai.data.images import prepare_slice
from brainai.web.figures import (
    OUTLINE,
    SHOWN_SIDE,
    border,
    browser_shows,
    draw_slice,
    grey_copy,
)


def outlined(picture: Image.Image) -> np.ndarray:
    return (np.asarray(picture) == OUTLINE).all(axis=2)


def test_picture_keeps_the_proportions_of_the_slice():
    assert draw_slice(head(height=96, width=48)).size == (SHOWN_SIDE // 2, SHOWN_SIDE)


def test_without_a_mask_the_picture_is_grey():
    pixels = np.asarray(draw_slice(head()))
    assert np.ptp(pixels, axis=2).max() == 0
    assert pixels.max() == 255


def test_outline_runs_round_the_mask_and_neither_inside_nor_outside():
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True  # on the page, ten times larger: 160 to 480
    drawn = outlined(draw_slice(head(height=64, width=64), mask))
    assert drawn[320, 157:163].any()
    assert drawn[157:163, 320].any()
    assert not drawn[180:460, 180:460].any()
    assert not drawn[:140].any()


def test_outline_is_closed_at_the_edge_of_the_picture():
    edge = np.asarray(border(np.ones((10, 10), bool), (100, 100)))
    assert edge[0].all()
    assert edge[:, -1].all()
    assert not edge[50, 50]


def test_an_empty_mask_has_no_outline():
    assert not np.asarray(border(np.zeros((10, 10), bool), (100, 100))).any()


@pytest.mark.parametrize(
    ("name", "shown"), [("a.png", True), ("a.jpg", True), ("a.gif", True), ("a.tif", False)]
)
def test_browsers_show_all_but_tiff(save, name, shown):
    assert browser_shows(str(save(name, head()))) is shown


def test_sixteen_bit_and_damaged_files_are_not_left_to_the_browser(save, tmp_path):
    assert not browser_shows(str(save("a.png", head().astype(np.uint16))))
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert not browser_shows(str(tmp_path / "b.png"))
    assert grey_copy(str(tmp_path / "b.png")) is None


def test_grey_copy_is_judged_as_the_file_is(save):
    pixels = head().astype(np.float32) * 12.5 - 300
    copy = np.asarray(grey_copy(str(save("a.tif", pixels))))
    assert (copy.dtype, copy.min(), copy.max()) == (np.uint16, 0, 65535)
    np.testing.assert_allclose(prepare_slice(copy, 64), prepare_slice(pixels, 64), atol=1e-4)
