"""The page as a whole, in Chromium: the start, every tab, accessibility, phone and dark mode."""

import json
import threading
from pathlib import Path

import pytest
from serving import PHONE, served
from toy_answers import known_scan, known_slice
from toy_heads import head

from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.limits import SLICE_TURN

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": PHONE,
    "dark phone": {**PHONE, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def site(running):
    """The whole page with known answers, examples and a report."""
    report = json.loads((ROOT / "weights" / "report.json").read_text())
    jobs = Jobs.of(running.classifier)._replace(slice=known_slice, scan=known_scan)
    page = build_page(jobs, running.classifier.info, running.examples, report)
    with served(page) as url:
        yield url


def test_the_first_tab_explains_the_app_and_shows_an_answered_slice(visit, site):
    page = visit("Start", url=site)
    page.get_by_role("heading", name="Is there a tumor in this brain MRI?").wait_for()
    text = page.locator("#start").inner_text()
    assert "not a medical device" in text
    picture = page.get_by_role("img", name="Axial slice of a head")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") == 533
    assert "BrainAI’s answer for a simulated slice: Tumor, 90.0 %" in (
        page.locator("#answered").inner_text()
    )


def test_one_click_leads_from_the_first_tab_to_an_answer(visit, site):
    page = visit("Start", url=site)
    page.get_by_role("button", name="Try an example").click()
    page.wait_for_selector("#answer .card.tumor")
    assert page.get_by_role("tab", name="Slice", exact=True, selected=True).is_visible()
    page.get_by_role("img", name="FLAIR slice").wait_for()


@pytest.mark.parametrize(
    ("button", "tab"),
    [("Upload a slice", "Slice"), ("Upload a whole scan", "Scan"), ("Upload many", "Many slices")],
)
def test_the_other_buttons_lead_to_their_tabs(visit, site, button, tab):
    page = visit("Start", url=site)
    page.get_by_role("button", name=button).click()
    page.get_by_role("tab", name=tab, selected=True).wait_for()


def test_a_visitor_sees_the_place_in_the_queue_or_an_error_if_it_is_full(
    visit, running, monkeypatch
):
    monkeypatch.setitem(SLICE_TURN, "concurrency_limit", 2)
    go_on = threading.Event()

    def slow(**_):
        go_on.wait(60)
        return known_slice()

    jobs = Jobs.of(running.classifier)._replace(slice=slow)
    page = build_page(jobs, running.classifier.info, running.examples).queue(max_size=1)
    with served(page) as url:
        pages = [visit("Slice", url=url) for _ in range(4)]
        for number, visitor in enumerate(pages):
            visitor.locator("#examples").get_by_role("button").first.click()
            told = ["processing", "processing", "queue: 1/1", "Too many requests are waiting"][
                number
            ]
            visitor.locator("#answer").get_by_text(told).wait_for()
        assert "Not judged yet" in pages[3].locator("#answer").inner_text()
        go_on.set()
        for visitor in pages[:3]:
            visitor.wait_for_selector("#answer .card.tumor")
        assert pages[3].locator("#answer .card.tumor").count() == 0


def test_about_shows_every_figure_with_its_interval(visit, site):
    page = visit("About", url=site)
    table = page.get_by_role("table", name="LGG (TCGA): 12 patients, 355 slices")
    report = json.loads((ROOT / "weights" / "report.json").read_text())
    auroc = report["source"]["lgg"]["figures"]["auroc"]
    row = table.get_by_role("row", name="AUROC of slices").inner_text()
    assert f"{auroc['value']:.3f}" in row
    assert f"{auroc['low']:.3f} to {auroc['high']:.3f}" in row
    page.get_by_role("button", name="Full model card").click()
    page.get_by_role("heading", name="Training data").wait_for()


def test_the_api_tab_shows_the_address_of_the_page(visit, site):
    page = visit("API", url=site)
    page.get_by_text(f'Client("{site.rstrip("/")}"').first.wait_for()
    assert page.locator("#api pre").count() == 3


@pytest.mark.parametrize("look", LOOKS)
def test_no_tab_has_a_serious_accessibility_violation(visit, site, save, look):
    """axe-core, https://github.com/dequelabs/axe-core: all its rules, on every tab and state."""
    axe = pytest.importorskip("axe_playwright_python").__path__[0]
    script = next(Path(axe).rglob("axe.min.js")).read_text()
    page = visit("Start", url=site, **LOOKS[look])
    page.wait_for_selector("#answered img")
    found = {}

    def examine(state: str) -> None:
        page.wait_for_timeout(400)  # until the colors have changed
        page.evaluate(script)
        found[state] = [
            (violation["id"], node["html"][:120])
            for violation in page.evaluate("axe.run()")["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, state

    def open_tab(name: str) -> None:
        page.get_by_role("tab", name=name, exact=True).click()

    examine("start")
    open_tab("Slice")
    page.get_by_role("button", name="Add T1c, T2 or the pixel size").click()
    examine("slice, waiting")
    page.locator("#examples").get_by_role("button").first.click()
    page.wait_for_selector("#answer .card.tumor")
    examine("slice, answered")
    open_tab("Scan")
    examine("scan, waiting")
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector("#scan-answer .card.tumor")
    examine("scan, answered")
    open_tab("Many slices")
    page.set_input_files(
        "#many-files input[type=file]", [save(f"{n}.png", head(n)) for n in range(3)]
    )
    page.get_by_role("heading", name="3 of 3 files judged").wait_for()
    examine("many, answered")
    open_tab("About")
    page.get_by_role("button", name="Full model card").click()
    examine("about")
    open_tab("API")
    examine("api")
    assert {state: nodes for state, nodes in found.items() if nodes} == {}


def test_the_color_scheme_follows_the_visitors_preference(visit, site):
    shades = []
    for look in ("light", "dark"):
        page = visit("Start", url=site, **LOOKS[look])
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(int(part) for part in color.strip("rgba()").split(",")[:3]))
    assert shades[0] > 600 > 200 > shades[1]


def test_gradios_own_api_page_is_one_click_away(visit, site):
    page = visit("Start", url=site, **PHONE)
    page.get_by_text("Use via API", exact=False).last.click()
    page.get_by_text("predict_scan").locator("visible=true").first.wait_for()


def test_the_page_works_without_examples_and_without_a_report(visit, running):
    with served(build_page(Jobs.of(running.classifier), running.classifier.info)) as url:
        page = visit("Slice", url=url)
        page.wait_for_selector("#answer .card.waiting")
        assert not page.locator("#examples").is_visible()
        page.get_by_role("tab", name="About").click()
        page.get_by_text("There is no report for these weights").wait_for()
