"""The words on the card."""

from dataclasses import replace

import pytest
from toy_answers import known_answer
from toy_heads import scan_file

from brainai import DISCLAIMER
from brainai.data.scans import read_scan
from brainai.inference.classifier import Prediction
from brainai.markup import Markup
from brainai.model.folder import ModelInfo
from brainai.web.verdict import (
    answer_card,
    out_of_scope_card,
    percent,
    progress_card,
    refusal_card,
    scan_card,
    waiting_card,
)

INFO = ModelInfo(threshold=0.4, operating_point="sensitivity of 9 in 10", revision="0123456789ab")


def card(label: str, probability: float) -> str:
    prediction = Prediction(label, probability, 0.4, mask=None, heatmap=None)
    return answer_card(prediction, INFO, Markup("<figure>the slice</figure>"), ["flair", "t2"])


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.5, "50.0 %"), (0.9994, "> 99.9 %"), (1.0, "> 99.9 %"), (0.0, "< 0.1 %")],
)
def test_percent_never_claims_certainty(probability, words):
    assert percent(probability) == words


def test_the_card_for_tumor_shows_both_probabilities_and_the_slice():
    html = card("Tumor", 0.75)
    assert "The network sees a tumor on this slice" in html
    assert "75.0 %" in html
    assert "25.0 %" in html
    assert "at least 40.0 %" in html
    assert "Operating point: sensitivity of 9 in 10." in html
    assert "<figure>the slice</figure>" in html


def test_the_card_for_no_tumor_says_so():
    assert "sees no tumor" in card("No Tumor", 0.1)


def test_the_card_names_the_sequences_and_the_model():
    html = card("Tumor", 0.75)
    assert "From FLAIR + T2" in html
    assert "0123456789ab" in html


@pytest.mark.parametrize(
    ("fitted", "words"),
    [
        (
            {},
            (
                "at least 40.0 %",
                "sensitivity of 9 in 10",
                "the highest value that neighboring slices",
            ),
        ),
        (
            {"scan_weights": (1.0, 1.0, 0.0), "scan_threshold": 0.7},
            (
                "at least 70.0 %",
                "on whole scans of validation patients",
                "the volume outlined there",
            ),
        ),
    ],
)
def test_the_scan_card_states_the_threshold_of_scans_if_there_is_one(tmp_path, fitted, words):
    info = replace(INFO, **fitted)
    answer = known_answer(read_scan(scan_file(tmp_path / "flair.nii.gz")))
    answer = replace(answer, threshold=info.threshold_of_scans)
    html = scan_card(answer, info, Markup("<figure>the scan</figure>"), ["flair"])
    for part in (*words, "The network sees a tumor in this scan", "<figure>the scan</figure>"):
        assert part in html
    assert f'style="left:{100 * info.threshold_of_scans:.2f}%"' in html


def test_the_card_for_cannot_judge_states_the_reason_and_what_to_upload():
    html = out_of_scope_card("file holds 4 frames")
    assert "This cannot be judged" in html
    assert "file holds 4 frames" in html
    assert "axial FLAIR slice" in html


@pytest.mark.parametrize(
    "html",
    [
        waiting_card("Upload a slice."),
        progress_card("Judging", 1, 3),
        refusal_card("No."),
        card("Tumor", 0.75),
    ],
)
def test_every_card_carries_the_disclaimer(html):
    assert DISCLAIMER in html


def test_text_from_a_file_cannot_become_html():
    assert "<img" not in refusal_card("There is no file <img src=x>.")


def test_notes_on_a_scan_and_the_name_of_a_model_cannot_become_html(tmp_path):
    answer = known_answer(read_scan(scan_file(tmp_path / "flair.nii.gz")))
    answer = replace(answer, notes=("FLAIR: <script>1</script>.",))
    html = scan_card(answer, replace(INFO, name="<b>m</b>"), Markup(), ["flair"])
    assert "<p>FLAIR: &lt;script&gt;1&lt;/script&gt;.</p>" in html
    assert "From FLAIR · &lt;b&gt;m&lt;/b&gt; · revision 0123456789ab" in html
