"""The page as a visitor meets it, in Chromium."""

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from toy_heads import head

from brainai.inference.classifier import Prediction
from brainai.web.interface import build_page, launch

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium"),
]

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ANSWERED = ".card.tumor, .card.clear"
INPUT = "input[type=file] >> nth=0"


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, running):
    """Opens the page for a new visitor; checks at the end that no one else was asked anything."""
    contexts, foreign = [], []

    def note(request) -> None:
        if not request.url.startswith((running.url, "data:", "blob:")):
            foreign.append(request.url)

    def open_page(width: int = 1280, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", note)
        page.goto(running.url)
        page.wait_for_selector("#answer .card.waiting")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert foreign == []


def probability_shown(page) -> str:
    return page.locator(".bars dd:last-child").first.inner_text()


def test_a_click_on_an_example_is_answered(visit, running):
    page = visit()
    page.locator("#examples .gallery-item").nth(1).click()
    page.wait_for_selector(ANSWERED)
    probability = running.classifier.predict(running.examples[1]).probability
    assert probability_shown(page) == f"{100 * probability:.1f} %"
    assert "not a medical device" in page.locator("#answer .card").inner_text()


def test_an_uploaded_slice_is_answered_without_a_second_click(visit, running, save):
    file = save("mine.png", head(3))
    page = visit()
    page.set_input_files(INPUT, file)
    page.wait_for_selector(ANSWERED)
    probability = running.classifier.predict(file).probability
    assert probability_shown(page) == f"{100 * probability:.1f} %"
    shown = page.locator("#answer img.slice")
    assert shown.evaluate("image => image.complete && image.naturalWidth") > 0


def test_a_pasted_slice_is_answered(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 64;
            const context = canvas.getContext("2d");
            context.fillStyle = "#000"; context.fillRect(0, 0, 64, 64);
            context.fillStyle = "#999"; context.fillRect(16, 16, 32, 32);
            const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
            await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }"""
    )
    page.locator("button[aria-label='Paste from clipboard']").first.click()
    page.wait_for_selector(ANSWERED)


def test_a_tiff_is_answered_and_shown(visit, save):
    page = visit()
    page.set_input_files(INPUT, save("mine.tif", head(4).astype(np.uint16) * 15))
    page.wait_for_selector(ANSWERED)
    page.wait_for_function(
        "[...document.querySelectorAll('.image-container img, .image-frame img')]"
        ".some(image => image.naturalWidth > 0)"
    )


def test_a_colour_picture_cannot_be_judged_and_is_told_why(visit, save):
    page = visit()
    page.set_input_files(INPUT, save("mine.png", head(3)))
    page.wait_for_selector(ANSWERED)
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    page.get_by_label("Remove Image").first.click()
    page.wait_for_selector(".card.waiting")
    page.set_input_files(INPUT, save("colours.png", colours))
    card = page.wait_for_selector(".card.refused").inner_text()
    assert "This cannot be judged" in card
    assert "The reason: colour picture. Bring one upright axial FLAIR slice" in card
    assert "not a medical device" in card
    assert page.locator(ANSWERED).count() == 0


def test_a_damaged_file_gets_a_sentence_and_no_answer(visit, save, tmp_path):
    page = visit()
    page.set_input_files(INPUT, save("mine.png", head(3)))
    page.wait_for_selector(ANSWERED)
    page.get_by_label("Remove Image").first.click()
    page.wait_for_selector(".card.waiting")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    page.set_input_files(INPUT, tmp_path / "damaged.png")
    page.wait_for_selector(".card.refused")
    assert "could not be read as a picture" in page.locator("#answer").inner_text()
    assert page.locator(ANSWERED).count() == 0
    assert str(tmp_path) not in page.content()


def test_a_new_patient_starts_without_the_other_sequences(visit, save):
    page = visit()
    page.set_input_files(INPUT, save("flair.png", head(3)))
    page.wait_for_selector(ANSWERED)
    page.get_by_text("Add T1c or T2").click()
    page.set_input_files("input[type=file] >> nth=1", save("t1c.png", head(5)))
    page.get_by_text("From FLAIR + T1c").wait_for()
    page.locator("#examples .gallery-item").first.click()
    page.get_by_text("From FLAIR ·").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_only_up_and_down_and_is_led_to_the_answer(visit, scheme):
    page = visit(390, 844, is_mobile=True, has_touch=True, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#examples .gallery-item").first.click()
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
    for page, file in zip(pages, files, strict=True):
        page.wait_for_selector(ANSWERED)
        probability = running.classifier.predict(file).probability
        assert probability_shown(page) == f"{100 * probability:.1f} %"


def test_the_api_is_one_click_away(visit):
    page = visit(390, 844, is_mobile=True)
    page.get_by_text("Use via API", exact=False).last.click()
    page.get_by_text("/predict").first.wait_for()


def test_page_works_without_examples(browser, running):
    page = build_page(running.classifier.predict, running.classifier.info)
    _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        assert url != running.url  # the port was taken: Gradio went on to the next
        visitor = browser.new_page()
        visitor.goto(url)
        visitor.wait_for_selector("#answer .card.waiting", timeout=60_000)
        assert visitor.locator("#examples").count() == 0
        visitor.close()
    finally:
        page.close()


def shown(page) -> list[str]:
    """What is to be seen over the slice."""
    kinds = ("outline", "heat")
    return [kind for kind in kinds if page.locator(f"#answer img.{kind}:visible").count()]


def test_outline_and_heat_map_are_switched_in_the_browser_and_the_choice_stays(browser, running):
    everywhere = np.ones((96, 80), bool)
    answers = []

    def predict(**_) -> Prediction:
        answers.append(Prediction("Tumor", 0.9, 0.5, everywhere, everywhere.astype(np.float32)))
        return answers[-1]

    page = build_page(predict, running.classifier.info, running.examples)
    _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        visitor = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
        visitor.set_default_timeout(60_000)
        visitor.goto(url)
        visitor.locator("#examples .gallery-item").first.click()
        visitor.wait_for_selector(".card.tumor")
        assert shown(visitor) == ["outline"]
        for name, expected in [
            ("Both", ["outline", "heat"]),
            ("Neither", []),
            ("Heat map", ["heat"]),
        ]:
            visitor.get_by_text(name, exact=True).click()
            assert shown(visitor) == expected
            assert visitor.locator("#answer .legend").is_visible() == ("heat" in expected)
            assert visitor.evaluate("document.documentElement.scrollWidth") == 390
        assert len(answers) == 1
        before = visitor.locator("#answer img.slice").get_attribute("src")
        visitor.locator("#examples .gallery-item").nth(1).click()
        visitor.wait_for_function(
            "src => document.querySelector('#answer img.slice').src !== src", arg=before
        )
        visitor.wait_for_selector("#answer [value=heat]:checked", state="attached")
        assert shown(visitor) == ["heat"]
        visitor.close()
    finally:
        page.close()
