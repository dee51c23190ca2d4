"""Which weights are in use, as the page and `/model_info` state it."""

from dataclasses import replace
from pathlib import Path

import pytest
from serving import served

from brainai.inference.classifier import Classifier
from brainai.model.fetch import Fetched
from brainai.model.folder import ModelInfo
from brainai.web.about_page import about, weights_facts
from brainai.web.endpoints import info_form
from brainai.web.interface import build_page, notices, title
from brainai.web.jobs import Jobs

OURS = ModelInfo(revision="0123456789ab", calibration_hash="c", scope=True, training={"seed": 0})
PULLED = Fetched(Path("/server/cache"), "me/model", "v1", "a" * 40)


def test_weights_as_requested_need_no_notice() -> None:
    assert notices(OURS, PULLED) == []
    assert "notice" not in title([])


def test_a_lack_of_calibration_or_scope_is_noticed() -> None:
    told = notices(replace(OURS, calibration_hash="", scope=False), PULLED)
    assert told[0] == "The probabilities of these weights are not calibrated."
    assert "refuse few pictures" in told[1]


def test_the_page_names_the_operating_point() -> None:
    point = "sensitivity of at least 95 % on validation patients; 87 % (76 to 96) on test patients"
    shown = weights_facts(replace(OURS, threshold=0.131, operating_point=point), PULLED)
    assert shown["Threshold for slices"] == f"13.1 %: {point}"
    assert "Threshold for scans" not in shown
    fitted = replace(OURS, scan_weights=(1.0, 1.0, 0.0), scan_threshold=0.7)
    assert weights_facts(fitted, PULLED)["Threshold for scans"].startswith("70.0 %: ")
    assert "Threshold for slices of scans" not in weights_facts(fitted, PULLED)
    together = replace(OURS, neighbor_weights=(1.0, 0.0), neighbor_threshold=0.45)
    shown = weights_facts(together, PULLED)["Threshold for slices of scans"]
    assert shown == "45.0 %, judged together with their neighbors"


def test_a_notice_is_escaped() -> None:
    assert "<b>" not in title(["<b>"])


def test_the_page_names_the_commit_and_no_folder_of_the_server() -> None:
    shown = about(OURS, None, PULLED)
    assert "<dt>On the Hub</dt><dd>commit aaaaaaaaaaaa, requested as v1</dd>" in shown
    assert "/server/cache" not in shown
    assert "On the Hub" not in weights_facts(OURS, Fetched(Path("/server/weights")))


def test_names_in_the_model_folder_and_on_the_hub_cannot_become_html() -> None:
    odd = replace(OURS, name="<b>m</b>", operating_point="<i>p</i>")
    shown = about(odd, None, replace(PULLED, revision="<u>v1</u>"))
    assert not any(tag in shown for tag in ("<b>", "<i>", "<u>"))
    assert "How good &lt;b&gt;m&lt;/b&gt; is" in shown


def test_the_page_names_the_architecture_and_the_decoder_only_if_there_is_one() -> None:
    other = replace(OURS, architecture="test_vit", decoder=False)
    ours, theirs = (about(info, None, PULLED) for info in (OURS, other))
    assert "The model is a timm <code>resnet50</code> with a U-Net decoder. It" in ours
    assert "The model is a timm <code>test_vit</code>. It" in theirs


def test_nothing_is_claimed_about_a_third_party_classifier() -> None:
    ours, theirs = about(OURS, None, PULLED), about(replace(OURS, training={}), None, PULLED)
    assert "in the training data had a glioma" in ours
    assert "in the training data had a glioma" not in theirs
    assert "were not measured here" in theirs
    assert "does not replace a doctor" in theirs


def test_model_info_states_where_the_weights_come_from() -> None:
    told = info_form(replace(OURS, scope=False), None, replace(PULLED, notice="Older ones."))
    assert told["weights"] == {
        "repository": "me/model", "revision": "v1", "commit": "a" * 40, "notice": "Older ones."
    }  # fmt: skip
    assert (told["calibration"], told["scope"]) == ("fitted", "not fitted")
    assert told["operating_point"] == OURS.operating_point
    assert "/server" not in str(told)


@pytest.mark.browser
def test_the_notice_is_shown_above_the_tabs(model_folder, browser) -> None:
    classifier = Classifier.load(model_folder, device="cpu")
    weights = Fetched(model_folder, "me/model", "v1", notice="Others answer.")
    page = build_page(Jobs.of(classifier), classifier.info, weights=weights)
    with served(page) as url:
        view = browser.new_page()
        view.goto(url)
        notice = view.locator("#title [role=status]")
        notice.wait_for()
        assert "Others answer." in notice.inner_text()
        below = view.get_by_role("tab", name="Start").bounding_box()["y"]
        assert notice.bounding_box()["y"] < below
        view.close()
