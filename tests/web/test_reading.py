"""Files that visitors send are read once, within limits, and judged."""

import io

import numpy as np
import pytest
from formats.dicom_parts import named, one_file, text
from PIL import Image
from toy_answers import known_slice
from toy_heads import head

from brainai import Classifier
from brainai.data.images import prepare_slice
from brainai.errors import DataError, OutOfScope
from brainai.web import reading
from brainai.web.jobs import Jobs
from brainai.web.reading import (
    SentSlice,
    copy_for_browser,
    judge_many,
    judge_slice,
    read_slice,
)


@pytest.fixture(scope="module")
def classifier(model_folder) -> Classifier:
    return Classifier.load(model_folder, device="cpu")


def test_a_slice_is_read_as_stored(save):
    pixels = (head() * 250.0).astype(np.uint16)
    found = read_slice(str(save("a.png", pixels)))
    assert found.size == pixels.shape
    assert found.pixels.dtype == np.float32
    np.testing.assert_array_equal(found.pixels, pixels)


def test_a_dicom_file_is_read_and_its_header_checked_if_flair_is_expected(tmp_path):
    file = str(one_file(tmp_path / "IM0001", named("AX", echo="9")))
    assert read_slice(file).pixels.shape == (40, 36)
    assert copy_for_browser(file).content.startswith(b"\x89PNG")
    with pytest.raises(OutOfScope, match="an echo time as short as in T1"):
        read_slice(file, expect_flair=True)
    with pytest.raises(OutOfScope, match="an echo time as short as in T1"):
        copy_for_browser(file, expect_flair=True)


@pytest.mark.parametrize(
    ("spacing", "side"),
    [
        ("0.8\\0.8", 0.8),
        ("0.5\\2", 1.0),  # a square with the area of the pixel
        ("0.01\\0.01", None),
        ("40\\40", None),
        ("0\\0", None),
        ("wide", None),
        ("", None),
    ],
)
def test_the_size_of_pixels_is_that_of_the_dicom_header_if_it_is_plausible(tmp_path, spacing, side):
    file = str(one_file(tmp_path / "IM0001", [text(0x28, 0x30, spacing, "DS")]))
    sent = read_slice(file)
    assert copy_for_browser(file).pixel_mm == sent.pixel_mm(None) == side
    assert sent.pixel_mm(0.25) == 0.25  # what the sender gives goes first


def test_pictures_have_no_known_size_of_pixels(save):
    for name in ("a.png", "a.tif"):
        file = str(save(name, head()))
        assert copy_for_browser(file).pixel_mm is None
        assert read_slice(file).pixel_mm(None) is None


def test_a_large_slice_is_reduced_and_keeps_its_original_size(save, monkeypatch):
    monkeypatch.setattr(reading, "MAX_PIXELS_KEPT", 40 * 50)
    pixels = np.kron(np.arange(40 * 50).reshape(40, 50), np.ones((2, 2)))
    found = read_slice(str(save("a.tif", pixels.astype(np.float32))))
    assert found.size == (80, 100)
    np.testing.assert_array_equal(found.pixels, np.arange(40 * 50).reshape(40, 50))
    assert found.pixel_mm(0.5) == 1.0
    assert found.pixel_mm(None) is None


def test_a_reduced_slice_has_the_area_and_the_answer_of_the_original(save, classifier, monkeypatch):
    large = np.kron(head(), np.ones((2, 2), np.uint8))
    file = str(save("a.png", large))
    whole, _ = judge_slice(Jobs.of(classifier), classifier.info, {"flair": file})
    monkeypatch.setattr(reading, "MAX_PIXELS_KEPT", head().size)
    found, sent = judge_slice(Jobs.of(classifier), classifier.info, {"flair": file})
    assert found.mask.shape == head().shape
    assert found.probability == pytest.approx(whole.probability, abs=1e-3)
    area = whole.area_cm2(0.5)
    assert found.area_cm2(sent.pixel_mm(0.5)) == pytest.approx(area, rel=0.05, abs=0.05)


def test_a_sequence_out_of_scope_is_named(save, classifier):
    color = np.random.default_rng(0).integers(0, 255, (96, 80, 3)).astype(np.uint8)
    files = {"flair": str(save("a.png", head())), "t1c": str(save("b.png", color)), "t2": None}
    found, sent = judge_slice(Jobs.of(classifier), classifier.info, files)
    assert (found.label, found.reason, sent) == ("Cannot judge", "T1c: color picture", None)


def test_each_of_many_slices_has_its_own_answer_and_pixels(save, tmp_path, classifier, monkeypatch):
    monkeypatch.setattr(reading, "MAX_SLICES_TOGETHER", 3)  # the rest comes in a second round
    refused = DataError("Too large.", "too_large")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    color = np.random.default_rng(0).integers(0, 255, (96, 80, 3)).astype(np.uint8)
    files = [
        str(save("0.png", head(0))),
        refused,
        str(tmp_path / "bad.png"),
        str(save("c.png", color)),
        str(save("1.png", head(1))),
    ]
    answers, sent = zip(*judge_many(Jobs.of(classifier), classifier.info, files), strict=True)
    assert answers[1] is refused
    assert answers[2].code == "unreadable"
    assert answers[3].reason == "color picture"
    for index, seed in ((0, 0), (4, 1)):
        assert answers[index].probability == classifier.predict(head(seed)).probability
        np.testing.assert_array_equal(sent[index].pixels, head(seed))
    assert sent[1] is sent[2] is sent[3] is None


def test_many_large_slices_are_never_in_memory_together(save, classifier, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES_TOGETHER", head().size * 4 * 2)
    rounds = []

    def many(pixels):
        rounds.append(len(pixels))
        return [known_slice() for _ in pixels]

    jobs = Jobs(None, None, many)
    files = [str(save(f"{seed}.png", head(seed))) for seed in range(5)]
    assert len(list(judge_many(jobs, classifier.info, files))) == 5
    assert rounds == [2, 2, 1]


@pytest.mark.parametrize(
    ("name", "shown"), [("a.png", True), ("a.jpg", True), ("a.gif", True), ("a.tif", False)]
)
def test_a_copy_is_made_if_browsers_cannot_show_the_file(save, name, shown):
    assert (copy_for_browser(str(save(name, head()))).content is None) is shown


def test_a_copy_is_made_of_a_16_bit_picture(save):
    assert copy_for_browser(str(save("a.png", head().astype(np.uint16)))).content is not None


def test_a_damaged_file_has_no_copy(tmp_path):
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="could not be read as a picture"):
        copy_for_browser(str(tmp_path / "b.png"))


def test_the_copy_is_judged_like_the_file(save):
    pixels = head().astype(np.float32) * 12.5 - 300
    content = copy_for_browser(str(save("a.tif", pixels))).content
    copy = np.asarray(Image.open(io.BytesIO(content)))
    assert (copy.dtype, copy.min(), copy.max()) == (np.uint16, 0, 65535)
    np.testing.assert_allclose(prepare_slice(copy, 64), prepare_slice(pixels, 64), atol=1e-4)


def test_pixels_of_a_strip_keep_their_area():
    sent = SentSlice(np.zeros((10, 1000), np.float32), (40, 4000))
    assert sent.pixel_mm(0.25) == 1.0
