"""The page of a cohort: what it counts and shows, and how it sorts in a browser."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from brainai.inference.cohort import tables
from brainai.inference.cohort.page import CohortPage
from brainai.model.folder import ModelInfo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def row(name: str, probability: float | None, volume: float = 0.0, reason: str = "") -> dict:
    found = dict.fromkeys(tables.SCAN_COLUMNS)
    judged = probability is not None
    found |= {"scan": name, "probability": probability, "reason": reason or None, "seconds": 1.0}
    return found | {
        "status": "judged" if judged else "error",
        "label": ("Tumor" if probability >= 0.5 else "No Tumor") if judged else None,
        "volume_ml": volume if judged else None,
    }


def test_the_page_sorts_counts_and_escapes(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("brainai.inference.cohort.page.MAX_ROWS", 3)
    page = CohortPage()
    for name, probability, volume in (("a", 0.2, 0.0), ("b", 0.97, 30.0), ("c", 1.0, 300.0)):
        page.add(row(name, probability, volume), f"thumbnails/{name}.jpg")
    for name in ("d", "e", "f", "g"):
        page.add(row(name, None, reason="a <b> & more"), None)
    page.write(tmp_path, ModelInfo(revision="r"))
    html = (tmp_path / "index.html").read_text()
    assert re.findall(r"<td>([a-g])</td>", html) == ["c", "b", "a"]
    assert "The 3 scans with the highest probability; results.csv has all 7" in html
    assert "4 × a &lt;b&gt; &amp; more" in html
    assert "d, e, f, g" in html
    bars = [float(height) for height in re.findall(r'height="([\d.]+)"', html)]
    # Probabilities in 20 bins: 0.2 in the fifth, 0.97 and 1 in the last.
    assert bars[:20] == [0, 0, 0, 0, 0.5] + 14 * [0] + [1]
    # Volumes up to 0, 1, 2, 5, 10, 20, 50, 100, 200 and above.
    assert bars[20:] == [1, 0, 0, 0, 0, 0, 1, 0, 0, 1]


def test_names_of_scans_and_of_the_model_cannot_become_html(tmp_path) -> None:
    page = CohortPage()
    page.add(row("<script>1</script>", 0.9), 'thumbnails/".jpg')
    page.add(row("<script>2</script>", None, reason="damaged"), None)
    page.write(
        tmp_path, ModelInfo(name="<b>m</b>", operating_point="<i>p</i>", revision="<u>r</u>")
    )
    html = (tmp_path / "index.html").read_text()
    assert html.count("<script>") == html.count("</script>") == 1  # the page's own
    assert 'alt="Strongest slice of &lt;script&gt;1&lt;/script&gt;"' in html
    assert 'src="thumbnails/&#34;.jpg"' in html
    assert "<p>&lt;script&gt;2&lt;/script&gt;</p>" in html
    assert not any(tag in html for tag in ("<b>", "<i>", "<u>"))


def shown(page) -> list[str]:
    return [cell.text_content() for cell in page.locator("tbody td:nth-child(2)").all()]


@pytest.mark.browser
def test_a_click_on_a_heading_sorts_and_the_page_contacts_no_server(tmp_path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    axe = pytest.importorskip("axe_playwright_python").__path__[0]
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    page = CohortPage()
    for name, probability, volume in (("b", 0.9, 9.0), ("a", 0.1, 10.5), ("c", 0.5, 0.0)):
        page.add(row(name, probability, volume), f"thumbnails/{name}.jpg")
        (tmp_path / "thumbnails").mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "thumbnails" / f"{name}.jpg")
    page.add(row("d", None, reason="damaged"), None)
    page.write(tmp_path, ModelInfo(revision="r"))
    asked = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        seen = browser.new_page()
        seen.on("request", lambda request: asked.append(request.url))
        seen.goto((tmp_path / "index.html").as_uri())
        assert shown(seen) == ["b", "c", "a", "d"]  # by probability
        for heading, order in (
            ("Volume, mL", "cbad"),  # 0, 9 and 10.5 as numbers
            ("Volume, mL", "abcd"),  # what has no value stays last
            ("Scan", "abcd"),
        ):
            seen.get_by_role("button", name=heading).click()
            assert "".join(shown(seen)) == order
        seen.evaluate(next(Path(axe).rglob("axe.min.js")).read_text())
        assert seen.evaluate("axe.run()")["violations"] == []
        browser.close()
    assert asked
    assert all(url.startswith(("file:", "data:")) for url in asked)
