"""A judged scan on the page and in the report: pictures, words, plot."""

import base64
import io
import json
import re
from dataclasses import replace
from html import unescape

import nibabel
import numpy as np
import pytest
from PIL import Image
from toy_answers import known_answer
from toy_heads import scan_file

from brainai import DISCLAIMER
from brainai.data.scans import read_scan
from brainai.data.volumes import Volume
from brainai.inference.scan import ScanPrediction
from brainai.model.folder import ModelInfo
from brainai.web.scan_report import scan_report, shown_slices
from brainai.web.scan_view import (
    draw_slices,
    facts,
    outlines,
    plot,
    scan_view,
    slice_words,
)


@pytest.fixture
def volume(tmp_path) -> Volume:
    return read_scan(scan_file(tmp_path / "flair.nii.gz"))


@pytest.fixture
def found(volume) -> ScanPrediction:
    return known_answer(volume)


def block(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Volume:
    """A bright block whose first quarter along x, the patient's right, is brighter still."""
    voxels = np.zeros(shape, np.int16)
    inner = tuple(slice(n // 4, 3 * n // 4) for n in shape[:2])
    voxels[inner] = 100
    voxels[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 200
    return Volume(voxels, spacing, (0.0, 0.0, 0.0), tuple(np.eye(3).flat))


def test_slices_are_drawn_with_the_front_up_and_the_right_side_on_the_left():
    picture = np.asarray(draw_slices(block((40, 40, 3), (1.0, 1.0, 5.0)))[1])
    assert picture.shape == (40, 40)
    assert picture[12, 12] == 255 > picture[12, 28] > 0 == picture[2, 2]


def test_slices_have_square_pixels_and_are_never_enlarged():
    assert draw_slices(block((40, 20, 2), (1.0, 2.0, 5.0)))[0].size == (40, 40)


def test_large_scans_are_drawn_smaller():
    pictures = draw_slices(block((500, 400, 2), (0.5, 0.5, 5.0)))
    assert [picture.size for picture in pictures] == [(384, 307)] * 2


def test_the_whole_scan_has_one_gray_window():
    volume = block((40, 40, 4), (1.0, 1.0, 5.0))
    volume.voxels[:, :, 0] //= 10
    faint, bright = draw_slices(volume)[:2]
    assert faint.getextrema()[1] < 50 < bright.getextrema()[1] == 255


def test_facts_are_volume_slices_and_largest_area(found):
    assert list(facts(found).items()) == [
        ("Outlined volume", "2.3 mL"),
        ("Slices labeled “Tumor”", "3 of 10 judged"),
        ("Largest area in a slice", "2.6 cm²"),
    ]
    without_mask = replace(found, mask=None, volume_ml=None, areas_cm2=None)
    assert facts(without_mask) == {"Slices labeled “Tumor”": "3 of 10 judged"}


def test_the_slice_with_most_tumor_is_shown_first(found):
    assert found.strongest_slice() == 6
    slices = found.slices.copy()
    slices[2] = 0.99
    assert replace(found, slices=slices).strongest_slice() == 6
    assert replace(found, slices=slices, areas_cm2=None).strongest_slice() == 2


def test_plot_has_a_bar_for_each_judged_slice_above_or_below_the_threshold(found):
    html = plot(found, marked=6)
    assert len(re.findall('class="under"', html)) == 7
    assert len(re.findall('class="over"', html)) == 3
    assert 'class="mark" x="6"' in html
    assert "The highest is 97.0 %, in slice 7" in html
    assert 'y1="0.5000"' in html
    assert "mark" not in plot(found)


def test_slices_are_classified_by_their_own_threshold_and_not_by_the_scans(found):
    found = replace(found, threshold=0.7, slice_threshold=0.35)  # 0.4 is called tumor as well
    assert len(re.findall('class="over"', plot(found))) == 4
    assert 'y1="0.6500"' in plot(found)
    assert "dashed line: 35.0 %, the threshold for slices" in plot(found)
    assert facts(found)["Slices labeled “Tumor”"] == "4 of 10 judged"


def test_each_slice_has_a_description(found):
    words = slice_words(found)
    assert (
        words[0] == "Slice 1 of 12 (at 0.0 mm): not judged because it shows too little of the head"
    )
    assert words[1] == "Slice 2 of 12 (at 5.0 mm): No Tumor, 2.0 %"
    assert words[6] == "Slice 7 of 12 (at 30.0 mm): Tumor, 97.0 %, outlined 2.6 cm²"


def test_files_are_embedded_in_the_page(found, volume, tmp_path):
    html = scan_view(found, draw_slices(volume), lambda borders: f"<p>{len(borders)}</p>")
    files = dict(re.findall(r'download="([\w.]+)" href="data:[\w/]+;base64,([^"]+)"', html))
    assert set(files) == {"mask.nii.gz", "slices.csv", "report.html"}
    (tmp_path / "mask.nii.gz").write_bytes(base64.b64decode(files["mask.nii.gz"]))
    assert nibabel.load(tmp_path / "mask.nii.gz").get_fdata().sum() == 116
    assert base64.b64decode(files["report.html"]) == b"<p>12</p>"


def test_the_page_contains_descriptions_and_pictures_of_all_slices(found, volume):
    html = scan_view(found, draw_slices(volume), lambda borders: "")
    slices = json.loads(unescape(re.search(r"<template>(.+)</template>", html)[1]))
    assert [one["words"] for one in slices] == slice_words(found)
    assert [k for k, one in enumerate(slices) if one["outline"] is not None] == [5, 6, 7]
    assert all(one["slice"].startswith("data:image/jpeg;base64,") for one in slices)
    assert "<dt>Outlined volume</dt><dd>2.3 mL</dd>" in html


def report(found, volume, info, sequences) -> str:
    slices = draw_slices(volume)
    return scan_report(found, info, slices, sequences, outlines(found, slices))


def test_report_states_verdict_model_and_disclaimer_and_escapes_text_from_files(found, volume):
    html = report(found, volume, ModelInfo(revision="r1"), ["flair", "t2"])
    assert "The network sees a tumor in this scan" in html
    assert "From FLAIR + T2 · brainai-resnet50 · revision r1" in html
    assert DISCLAIMER in html
    assert "FLAIR: a &lt;note&gt;." in html
    assert 'src="http' not in html


def test_report_shows_the_slices_with_tumor_and_their_outline(found, volume):
    html = report(found, volume, ModelInfo(), ["flair"])
    assert re.findall(r'alt="Slice (\d+) of 12', html) == ["6", "7", "8"]
    data = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)[1]
    colors = np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)
    assert (colors[..., 0] - colors[..., 2]).max() > 150  # amber


def test_report_without_tumor_shows_slices_spread_over_the_scan(found):
    object.__setattr__(found, "areas_cm2", np.zeros(12))
    assert shown_slices(found, 4) == [1, 4, 7, 10]
