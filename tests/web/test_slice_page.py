"""The tab for one slice as a visitor meets it, in Chromium."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from PIL import Image
from serving import PHONE, served
from toy_answers import known_slice
from toy_heads import head

from brainai.web.interface import build_page
from brainai.web.jobs import Jobs

pytestmark = pytest.mark.browser

ANSWERED = "#answer :is(.card.tumor, .card.clear)"
INPUT = "#flair input[type=file]"


def probability_shown(page) -> str:
    return page.locator("#answer .bars dd:last-child").first.inner_text()


def pick(page, number: int) -> None:
    page.locator("#examples").get_by_role("button").nth(number).click()


def test_a_click_on_an_example_shows_the_answer_and_the_disclaimer(visit, running):
    page = visit()
    page.get_by_role("button", name="With tumor: 11").click()
    page.wait_for_selector(ANSWERED)
    probability = running.classifier.predict(running.examples.slices[1]).probability
    assert probability_shown(page) == f"{100 * probability:.1f} %"
    assert "not a medical device" in page.locator("#answer .card").inner_text()
    page.get_by_role("img", name="FLAIR slice").wait_for()


def test_an_example_can_be_picked_with_the_keyboard(visit):
    page = visit()
    page.locator("#examples").get_by_role("button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(ANSWERED)


def test_an_uploaded_slice_is_answered_without_a_second_click(visit, running, save):
    file = save("mine.png", head(3))
    page = visit()
    page.set_input_files(INPUT, file)
    page.wait_for_selector(ANSWERED)
    probability = running.classifier.predict(file).probability
    assert probability_shown(page) == f"{100 * probability:.1f} %"
    shown = page.get_by_role("img", name="The slice.")
    assert shown.evaluate("image => image.complete && image.naturalWidth") == 533  # 640 high


def test_a_pasted_slice_is_answered(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 64;
            const context = canvas.getContext("2d");
            context.fillStyle = "#000"; context.fillRect(0, 0, 64, 64);
            context.fillStyle = "#999"; context.fillRect(16, 12, 30, 40);
            context.fillStyle = "#fff"; context.fillRect(22, 20, 8, 8);
            const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
            await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }"""
    )
    page.get_by_role("button", name="Paste from clipboard").first.click()
    page.wait_for_selector(ANSWERED)


def test_a_tiff_is_answered_and_shown(visit, save):
    page = visit()
    page.set_input_files(INPUT, save("mine.tif", head(4).astype(np.uint16) * 15))
    page.wait_for_selector(ANSWERED)
    page.wait_for_function(
        "[...document.querySelectorAll('.image-container img, .image-frame img')]"
        ".some(image => image.naturalWidth > 0)"
    )


def choose_dicom(page, folder: Path, **header: object) -> Path:
    """Choose the file of a slice, written into a folder with this header; returns the file."""
    voxels = np.repeat(head(4).T[:, :, None].astype(np.int16) * 15, 2, axis=2)
    file = sorted(write_series(folder / "series", voxels, **header).iterdir())[0]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a DICOM file").click()
    chooser.value.set_files(file)
    return file


def test_a_dicom_file_is_answered_and_shown(visit, running, tmp_path):
    page = visit()
    file = choose_dicom(page, tmp_path)
    page.wait_for_selector(ANSWERED)
    probability = running.classifier.predict(file).probability
    assert probability_shown(page) == f"{100 * probability:.1f} %"
    shown = page.get_by_role("img", name="FLAIR slice")
    shown.wait_for()
    assert shown.evaluate("image => image.naturalWidth") == head(4).shape[1]


def test_a_dicom_file_gives_the_area(visit, running, tmp_path):
    jobs = Jobs.of(running.classifier)._replace(slice=known_slice)
    with served(build_page(jobs, running.classifier.info)) as url:
        page = visit(url=url)
        choose_dicom(page, tmp_path, spacing=(0.5, 0.5, 5.0))
        page.get_by_text("Outlined: 19.2 cm², 100.0 % of the picture.").wait_for()


def test_a_dicom_file_with_the_header_of_another_sequence_is_refused(visit, save, tmp_path):
    page = visit()
    page.set_input_files(INPUT, save("mine.png", head(3)))
    page.wait_for_selector(ANSWERED)
    choose_dicom(page, tmp_path, description="t1_mprage_sag")
    card = page.wait_for_selector("#answer .card.refused").inner_text()
    assert "not FLAIR, according to its DICOM header" in card
    assert page.locator(ANSWERED).count() == 0


def test_a_color_picture_cannot_be_judged_and_the_reason_is_shown(visit, save):
    page = visit()
    page.set_input_files(INPUT, save("mine.png", head(3)))
    page.wait_for_selector(ANSWERED)
    colors = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    page.get_by_role("button", name="Remove Image").first.click()
    page.wait_for_selector("#answer .card.waiting")
    page.set_input_files(INPUT, save("colors.png", colors))
    card = page.wait_for_selector("#answer .card.refused").inner_text()
    assert "This cannot be judged" in card
    assert "Reason: color picture. Upload one upright axial FLAIR slice" in card
    assert "not a medical device" in card
    assert page.locator(ANSWERED).count() == 0


def test_a_damaged_file_gets_an_error_message_and_no_answer(visit, save, tmp_path):
    page = visit()
    page.set_input_files(INPUT, save("mine.png", head(3)))
    page.wait_for_selector(ANSWERED)
    page.get_by_role("button", name="Remove Image").first.click()
    page.wait_for_selector("#answer .card.waiting")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    page.set_input_files(INPUT, tmp_path / "damaged.png")
    page.wait_for_selector("#answer .card.refused")
    assert "could not be read as a picture" in page.locator("#answer").inner_text()
    assert page.locator(ANSWERED).count() == 0
    assert str(tmp_path) not in page.content()


def test_picking_an_example_clears_the_other_sequences(visit, save):
    page = visit()
    page.set_input_files(INPUT, save("flair.png", head(3)))
    page.wait_for_selector(ANSWERED)
    page.get_by_role("button", name="Add T1c, T2 or the pixel size").click()
    page.set_input_files("#t1c input[type=file]", save("t1c.png", head(5)))
    page.get_by_text("From FLAIR + T1c").wait_for()
    pick(page, 0)
    page.get_by_text("From FLAIR ·").wait_for()


def test_the_pixel_size_gives_the_area(visit, running, save):
    jobs = Jobs.of(running.classifier)._replace(slice=known_slice)
    with served(build_page(jobs, running.classifier.info)) as url:
        page = visit(url=url)
        page.set_input_files(INPUT, save("flair.png", head(3)))
        page.get_by_text("Outlined: 100.0 % of the picture.").wait_for()
        page.get_by_role("button", name="Add T1c, T2 or the pixel size").click()
        page.wait_for_timeout(400)  # Gradio renders an opened accordion and its fields again
        page.get_by_label("Pixel size in mm").fill("0.5")
        page.keyboard.press("Enter")
        page.get_by_text(
            "Outlined: 19.2 cm², 100.0 % of the picture."
        ).wait_for()  # 96 × 80 × ¼ mm²


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_only_vertically_and_moves_to_the_answer(visit, scheme):
    page = visit(**PHONE, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    pick(page, 0)
    page.wait_for_selector(ANSWERED)
    page.wait_for_function(
        "document.querySelector('#answer h2').getBoundingClientRect().bottom < innerHeight"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_two_visitors_see_only_their_own_picture(visit, running, save):
    files = [save(f"{seed}.png", head(seed)) for seed in (6, 7)]
    pages = [visit(), visit()]
    for page, file in zip(pages, files, strict=True):
        page.set_input_files(INPUT, file)
    shown = []
    for page, file in zip(pages, files, strict=True):
        page.wait_for_selector(ANSWERED)
        probability = running.classifier.predict(file).probability
        assert probability_shown(page) == f"{100 * probability:.1f} %"
        shown.append(page.locator("#answer img.slice").get_attribute("src"))
        assert page.content().count(f"{file.name}") == page.content().count("/file=")
    assert shown[0] != shown[1]


def test_the_address_of_an_uploaded_file_cannot_be_guessed(visit, running, save):
    page = visit()
    page.set_input_files(INPUT, save("mine.png", head(9)))
    page.wait_for_selector(ANSWERED)
    address = page.get_by_role("img", name="FLAIR slice").get_attribute("src")
    assert re.search(r"/[0-9a-f]{64}/mine\.png$", address)  # a hash of the picture itself


def seen(page) -> list[str]:
    """The layers that are visible over the slice."""
    kinds = ("outline", "heat")
    return [kind for kind in kinds if page.locator(f"#answer img.{kind}:visible").count()]


def test_outline_and_heat_map_are_switched_in_the_browser_and_the_choice_is_kept(visit, running):
    answers = []

    def count(**files):
        answers.append(known_slice())
        return answers[-1]

    jobs = Jobs.of(running.classifier)._replace(slice=count)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        page = visit(url=url, **PHONE)
        pick(page, 0)
        page.wait_for_selector("#answer .card.tumor")
        asked = len(answers)
        assert seen(page) == ["outline"]
        for name, expected in [
            ("Both", ["outline", "heat"]),
            ("Neither", []),
            ("Heat map", ["heat"]),
        ]:
            page.get_by_role("group", name="Over the slice").get_by_text(name, exact=True).click()
            assert seen(page) == expected
            assert page.locator("#answer .legend").is_visible() == ("heat" in expected)
            assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert len(answers) == asked
        before = page.locator("#answer img.slice").get_attribute("src")
        pick(page, 1)
        page.wait_for_function(
            "src => document.querySelector('#answer img.slice').src !== src", arg=before
        )
        page.wait_for_selector("#answer [value=heat]:checked", state="attached")
        assert seen(page) == ["heat"]


def saved(page, name: str, path) -> Image.Image:
    """The picture that a button or link saves."""
    with page.expect_download() as caught:
        page.locator("#answer").get_by_text(name).click()
    caught.value.save_as(path)
    return Image.open(path)


def test_the_view_and_the_mask_of_the_slice_can_be_saved(visit, running, tmp_path):
    jobs = Jobs.of(running.classifier)._replace(slice=known_slice)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        page = visit(url=url)
        pick(page, 0)
        page.wait_for_selector("#answer .card.tumor")
        outlined = saved(page, "Save this view", tmp_path / "outlined.png")
        assert (outlined.format, outlined.size) == ("PNG", (533, 640))
        colors = np.asarray(outlined.convert("RGB")).astype(int)
        assert (np.abs(colors - (255, 176, 0)).sum(axis=2) == 0).any()  # the amber border
        page.locator("#answer").get_by_text("Neither").click()
        plain = np.asarray(saved(page, "Save this view", tmp_path / "plain.png").convert("RGB"))
        assert np.ptp(plain.astype(int), axis=2).max() == 0  # gray
        mask = saved(page, "Save the mask", tmp_path / "mask.png")
        assert (mask.size, mask.getextrema()) == ((80, 96), (255, 255))


@contextmanager
def slow_page(running) -> Iterator[tuple[str, threading.Event]]:
    """A page whose answer for `head(3)` waits for an event, and that event."""
    go_on = threading.Event()

    def judge(flair, **others):
        if np.array_equal(flair, head(3)):
            go_on.wait(60)
        return running.classifier.predict(flair, **others)

    jobs = Jobs.of(running.classifier)._replace(slice=judge)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        yield url, go_on
        go_on.set()


def test_the_answer_shown_is_always_that_of_the_last_picture(visit, running, save):
    with slow_page(running) as (url, go_on):
        page = visit(url=url)
        page.set_input_files(INPUT, save("slow.png", head(3)))
        page.locator("#answer").get_by_text("processing").wait_for()
        pick(page, 0)
        pick(page, 1)
        go_on.set()
        found = running.classifier.predict(running.examples.slices[1])
        expected = f"{100 * found.probability:.1f} %"
        page.locator("#answer .bars").get_by_text(expected).wait_for()
        page.wait_for_timeout(1500)
        assert probability_shown(page) == expected
        shown = page.get_by_role("img", name="FLAIR slice").get_attribute("src")
        assert shown.endswith(running.examples.slices[1].name)


def test_a_picture_removed_while_it_is_judged_leaves_no_answer(visit, running, save):
    with slow_page(running) as (url, go_on):
        page = visit(url=url)
        page.set_input_files(INPUT, save("slow.png", head(3)))
        page.locator("#answer").get_by_text("processing").wait_for()
        page.get_by_role("button", name="Remove Image").first.click()
        go_on.set()
        page.wait_for_timeout(2500)
        page.wait_for_selector("#answer .card.waiting")
        assert page.locator(ANSWERED).count() == 0


def test_each_slice_is_judged_once(visit, running, save):
    asked = []
    known = {"a": head(0), "b": head(1)}
    known["example"] = np.asarray(Image.open(running.examples.slices[0]))

    def count(flair, **others):
        nonlocal asked
        pixels = flair if isinstance(flair, np.ndarray) else np.asarray(Image.open(flair))
        asked += [name for name, one in known.items() if np.array_equal(pixels, one)]
        return running.classifier.predict(flair, **others)

    jobs = Jobs.of(running.classifier)._replace(slice=count)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        page = visit(url=url)
        for name in ("a", "b"):
            page.set_input_files(INPUT, save(f"{name}.png", known[name]))
            page.get_by_role("button", name="Remove Image").first.wait_for()
            page.wait_for_selector(ANSWERED)
            page.wait_for_timeout(800)
            page.get_by_role("button", name="Remove Image").first.click()
            page.wait_for_selector("#answer .card.waiting")
        pick(page, 0)
        page.wait_for_selector(ANSWERED)
        page.wait_for_timeout(1500)
    assert asked[-3:] == ["a", "b", "example"]
    assert asked[:-3] in ([], ["example"])  # the picture of the first tab
