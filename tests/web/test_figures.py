"""Pictures on the page."""

import numpy as np
import pytest
from toy_heads import head

from brainai.data.images import prepare_slice
from brainai.web.figures import (
    OUTLINE,
    SHOWN_SIDE,
    border,
    browser_shows,
    draw_heat,
    draw_outline,
    draw_slice,
    grey_copy,
    heat_colours,
    shown_size,
)


def test_picture_keeps_the_proportions_of_the_slice():
    assert draw_slice(head(height=96, width=48)).size == (SHOWN_SIDE // 2, SHOWN_SIDE)


@pytest.mark.parametrize(("side", "shown"), [(64, 640), (640, 640), (1500, 1500), (4096, 2048)])
def test_picture_has_the_full_resolution_of_the_slice_within_bounds(side, shown):
    assert shown_size(side, side) == (shown, shown)


def test_slice_is_drawn_in_its_whole_grey_range():
    picture = draw_slice(head())
    assert picture.mode == "L"
    assert picture.getextrema() == (0, 255)


def test_outline_runs_round_the_mask_and_neither_inside_nor_outside():
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True  # on the page, ten times larger: 160 to 480
    pixels = np.asarray(draw_outline(mask))
    drawn = (pixels == (*OUTLINE, 255)).all(axis=2)
    assert drawn[320, 157:163].any()
    assert drawn[157:163, 320].any()
    assert not pixels[180:460, 180:460, 3].any()
    assert not pixels[:140, :, 3].any()


def test_heat_lies_where_it_is_and_slice_shows_through():
    heatmap = np.zeros((64, 32), np.float32)
    heatmap[:16, 24:] = 1.0  # the upper right corner
    opacity = np.asarray(draw_heat(heatmap))[..., 3]
    assert opacity.shape == (640, 320)
    assert opacity[:150, 250:].min() == 191  # 0.75 of 255
    assert opacity[180:].max() == opacity[:, :220].max() == 0


def test_weaker_heat_is_clearer_and_darker():
    colours = heat_colours(np.array([0.0, 0.25, 0.5, 1.0], np.float32)).astype(int)
    assert colours[:, 3].tolist() == [0, 96, 191, 191]
    assert (np.diff(colours[:, :3].sum(axis=1)) > 0).all()


def test_outline_is_closed_at_the_edge_of_the_picture():
    edge = np.asarray(border(np.ones((10, 10), bool), (100, 100), 5))
    assert edge[0].all()
    assert edge[:, -1].all()
    assert not edge[50, 50]


def test_an_empty_mask_has_no_outline():
    assert not np.asarray(border(np.zeros((10, 10), bool), (100, 100), 5)).any()


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
