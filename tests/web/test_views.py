"""The slice on the card: its layers, the choice between them, and their descriptions."""

import base64
import io
import re
from html import unescape

import numpy as np
import pytest
from PIL import Image
from toy_heads import head

from brainai.inference.classifier import Prediction
from brainai.model.folder import ModelInfo
from brainai.web.jobs import Jobs
from brainai.web.slice_page import page_answer
from brainai.web.views import area_sentence, slice_figure

SLICE = head(height=100, width=50)
MASK = np.zeros((100, 50), bool)
MASK[:20, :10] = True
HEAT = np.zeros((100, 50), np.float32)
HEAT[:50, :25] = 0.8


def layers(html: str) -> dict[str, Image.Image]:
    found = re.findall(r'<img class="(\w+)" [^>]*src="data:image/png;base64,([^"]+)"', html)
    return {kind: Image.open(io.BytesIO(base64.b64decode(data))) for kind, data in found}


def views(html: str) -> list[str]:
    return re.findall(r'type="radio" name="view" value="(\w+)"', html)


def test_layers_have_the_same_size_and_only_the_slice_is_opaque():
    found = layers(slice_figure(SLICE, MASK, HEAT))
    assert {kind: picture.size for kind, picture in found.items()} == {
        "slice": (320, 640),
        "heat": (320, 640),
        "outline": (320, 640),
    }
    assert found["slice"].mode == "L"
    for kind in ("heat", "outline"):
        opacity = np.asarray(found[kind])[..., 3]
        assert opacity[:128, :64].any()  # where the mask is, 6.4 times larger
        assert not opacity[400:, 200:].any()


@pytest.mark.parametrize(
    ("mask", "heatmap", "offered"),
    [
        (MASK, HEAT, ["outline", "heat", "both", "neither"]),
        (None, HEAT, ["heat", "neither"]),
        (np.zeros_like(MASK), HEAT, ["heat", "neither"]),
        (MASK, None, ["outline", "neither"]),
        (None, None, []),
    ],
)
def test_only_existing_layers_can_be_chosen_and_the_first_is_selected(mask, heatmap, offered):
    html = slice_figure(SLICE, mask, heatmap)
    assert views(html) == offered
    assert html.count("checked") == bool(offered)
    assert ("<legend>Show over the slice</legend>" in html) == bool(offered)


def test_the_purposes_of_outline_and_heat_map_are_stated():
    html = unescape(slice_figure(SLICE, MASK, HEAT))
    assert "Outlined: 4.0 % of the picture. This is an estimate of the tumor's extent" in html
    assert "The heat map explains the decision" in html
    assert "The heat map is not an outline." in html
    assert "no evidence" in html


def test_the_lack_of_a_heat_map_is_stated():
    html = slice_figure(SLICE, MASK)
    assert "There is no heat map" in html
    assert "legend heat" not in html


@pytest.mark.parametrize(("label", "outlined"), [("Tumor", True), ("No Tumor", False)])
def test_the_page_outlines_only_what_it_calls_tumor(uploads, label, outlined):
    file = uploads / "slice.png"
    Image.fromarray(SLICE).save(file)
    jobs = Jobs(lambda **_: Prediction(label, 0.5, 0.5, MASK, HEAT), None, None)
    answer = page_answer(jobs, ModelInfo())
    card = answer({"path": str(file)})
    assert ("outline" in layers(card)) == ("Outlined" in card) == outlined
    assert "heat" in layers(card)


@pytest.mark.parametrize(
    ("pixels", "sentence"), [(0, "could not outline"), (1, "under 0.1 %"), (50, "5.0 %")]
)
def test_the_area_sentence_states_the_share_of_the_picture(pixels, sentence):
    mask = np.zeros(1000 if pixels == 50 else 2000, bool)
    mask[:pixels] = True
    assert sentence in area_sentence(mask)


@pytest.mark.parametrize(("area", "words"), [(12.34, "12.3 cm², 5.0 %"), (0.01, "under 0.1 cm²,")])
def test_the_area_is_stated_if_the_pixel_size_is_known(area, words):
    mask = np.zeros(1000, bool)
    mask[:50] = True
    assert f"Outlined: {words}" in area_sentence(mask, area)


def test_the_saved_mask_has_the_size_of_the_slice():
    html = slice_figure(SLICE, MASK, HEAT)
    data = re.search(r'download="mask.png" href="data:image/png;base64,([^"]+)"', html)[1]
    saved = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (np.asarray(saved) == MASK).all()
    assert "mask.png" not in slice_figure(SLICE, np.zeros_like(MASK), HEAT)
