"""The words on the card."""

import numpy as np
import pytest
from PIL import Image

from brainai import DISCLAIMER
from brainai.inference.classifier import Prediction
from brainai.model.folder import ModelInfo
from brainai.web.verdict import answer_card, area_sentence, percent, refusal_card, waiting_card

INFO = ModelInfo(threshold=0.4, revision="0123456789ab")
PICTURE = Image.new("RGB", (8, 8))
MASK = np.zeros((10, 10), bool)
MASK[:2, :2] = True


def card(label: str, probability: float, mask: np.ndarray | None = MASK) -> str:
    return answer_card(Prediction(label, probability, 0.4, mask), INFO, PICTURE, ["flair", "t2"])


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.5, "50.0 %"), (0.9994, "> 99.9 %"), (1.0, "> 99.9 %"), (0.0, "< 0.1 %")],
)
def test_percent_never_claims_certainty(probability, words):
    assert percent(probability) == words


def test_tumor_is_said_in_words_with_both_probabilities_and_the_size():
    html = card("Tumor", 0.75)
    assert "The network sees tumour on this slice" in html
    assert "75.0 %" in html
    assert "25.0 %" in html
    assert "from 40.0 % on" in html
    assert "Outlined: 4.0 % of the picture." in html


def test_no_tumor_shows_no_outline_even_if_the_decoder_drew_one():
    html = card("No Tumor", 0.1)
    assert "sees no tumour" in html
    assert "Outlined" not in html


def test_without_a_decoder_nothing_is_said_of_an_outline():
    assert "outline" not in card("Tumor", 0.9, mask=None).lower()


def test_card_names_what_the_answer_came_from():
    html = card("Tumor", 0.75)
    assert "From FLAIR + T2" in html
    assert "0123456789ab" in html


@pytest.mark.parametrize("html", [waiting_card(), refusal_card("No."), card("Tumor", 0.75)])
def test_every_card_carries_the_disclaimer(html):
    assert DISCLAIMER in html


def test_words_of_a_file_cannot_become_html():
    assert "<img" not in refusal_card("There is no file <img src=x>.")


@pytest.mark.parametrize(
    ("pixels", "sentence"), [(0, "could not outline"), (1, "under 0.1 %"), (50, "5.0 %")]
)
def test_area_sentence(pixels, sentence):
    mask = np.zeros(1000 if pixels == 50 else 2000, bool)
    mask[:pixels] = True
    assert sentence in area_sentence(mask)
