"""Pictures on the page."""

import numpy as np
import pytest
from toy_heads import head

from brainai.inference.figures import (
    OUTLINE,
    SHOWN_SIDE,
    border,
    draw_heat,
    draw_outline,
    draw_slice,
    heat_colors,
    mask_picture,
    shown_size,
)


def test_picture_keeps_the_proportions_of_the_slice():
    assert draw_slice(head(height=96, width=48)).size == (SHOWN_SIDE // 2, SHOWN_SIDE)


@pytest.mark.parametrize(("side", "shown"), [(64, 640), (640, 640), (1500, 1500), (4096, 2048)])
def test_picture_has_the_full_resolution_of_the_slice_within_bounds(side, shown):
    assert shown_size(side, side) == (shown, shown)


def test_slice_is_drawn_in_its_full_gray_range():
    picture = draw_slice(head())
    assert picture.mode == "L"
    assert picture.getextrema() == (0, 255)


def test_outline_follows_the_border_of_the_mask():
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True  # on the page, ten times larger: 160 to 480
    pixels = np.asarray(draw_outline(mask))
    drawn = (pixels == (*OUTLINE, 255)).all(axis=2)
    assert drawn[320, 157:163].any()
    assert drawn[157:163, 320].any()
    assert not pixels[180:460, 180:460, 3].any()
    assert not pixels[:140, :, 3].any()


def test_heat_is_drawn_in_its_place_and_lets_the_slice_show_through():
    heatmap = np.zeros((64, 32), np.float32)
    heatmap[:16, 24:] = 1.0  # the upper right corner
    opacity = np.asarray(draw_heat(heatmap))[..., 3]
    assert opacity.shape == (640, 320)
    assert opacity[:150, 250:].min() == 191  # 0.75 of 255
    assert opacity[180:].max() == opacity[:, :220].max() == 0


def test_weaker_heat_is_more_transparent_and_darker():
    colors = heat_colors(np.array([0.0, 0.25, 0.5, 1.0], np.float32)).astype(int)
    assert colors[:, 3].tolist() == [0, 96, 191, 191]
    assert (np.diff(colors[:, :3].sum(axis=1)) > 0).all()


def test_outline_is_closed_at_the_edge_of_the_picture():
    edge = np.asarray(border(np.ones((10, 10), bool), (100, 100), 5))
    assert edge[0].all()
    assert edge[:, -1].all()
    assert not edge[50, 50]


def test_an_empty_mask_has_no_outline():
    assert not np.asarray(border(np.zeros((10, 10), bool), (100, 100), 5)).any()


def test_a_mask_is_enlarged_to_the_size_of_the_file():
    mask = np.zeros((2, 3), bool)
    mask[0, 2] = True
    large = np.asarray(mask_picture(mask, (4, 6)))
    assert large.dtype == bool
    assert np.argwhere(large).tolist() == [[0, 4], [0, 5], [1, 4], [1, 5]]
    np.testing.assert_array_equal(np.asarray(mask_picture(mask)), mask)
