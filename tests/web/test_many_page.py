"""The tab for many slices as a visitor meets it, in Chromium, and its table."""

import csv
import io
import threading

import pytest
from serving import PHONE, served
from toy_heads import head

from brainai.errors import DataError
from brainai.inference.classifier import Prediction
from brainai.model.folder import ModelInfo
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.many_page import judged_tables, to_csv

FILES = "#many-files input[type=file]"
INFO = ModelInfo(threshold=0.4, revision="r1")


def answers(files):
    """Answers of each kind in turn: tumor, no tumor, cannot judge, an error."""
    kinds = [
        Prediction("Tumor", 0.9, 0.4, None, None),
        Prediction("No Tumor", 0.05, 0.4, None, None),
        Prediction("Cannot judge", None, 0.4, None, None, "color picture"),
        DataError("The file could not be read."),
    ]
    for number, _ in enumerate(files):
        yield kinds[number % 4]


def rows(page) -> list[list[str]]:
    table = page.locator("#many-table")
    return [
        [cell.strip() for cell in row.get_by_role("cell").all_inner_texts()][1:]
        for row in table.get_by_role("row").all()[1:]
    ]


def heading(page, name: str):
    return page.locator("#many-table").get_by_role("button", name=name)


@pytest.fixture
def known(running):
    jobs = Jobs.of(running.classifier)._replace(many=answers)
    with served(build_page(jobs, INFO)) as url:
        yield url


@pytest.fixture
def four(save):
    return [save(name, head(n)) for n, name in enumerate(("b.png", "a.png", "d.png", "c.png"))]


@pytest.mark.browser
def test_each_file_has_a_row_which_states_the_reason_if_it_is_bad(visit, known, four):
    page = visit("Many slices", url=known)
    page.set_input_files(FILES, four)
    page.get_by_role("heading", name="2 of 4 files judged").wait_for()
    assert rows(page) == [
        ["b.png", "Tumor", "90.0 %", ""],
        ["a.png", "No Tumor", "5.0 %", ""],
        ["d.png", "Cannot judge", "", "color picture"],
        ["c.png", "No answer", "", "The file could not be read."],
    ]
    assert page.locator("#many-table img").count() == 3
    assert page.locator("#many-answer .facts dd").all_inner_texts() == ["1", "1", "1", "1"]
    assert "not a medical device" in page.locator("#many-answer").inner_text()


@pytest.mark.browser
def test_a_click_on_a_heading_sorts_and_a_second_one_reverses_the_order(visit, known, four):
    page = visit("Many slices", url=known)
    page.set_input_files(FILES, four)
    page.get_by_role("heading", name="2 of 4 files judged").wait_for()
    heading(page, "File").click()
    assert [row[0] for row in rows(page)] == ["a.png", "b.png", "c.png", "d.png"]
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("File")
    heading(page, "Probability").click()
    assert [row[2] for row in rows(page)] == ["5.0 %", "90.0 %", "", ""]
    heading(page, "Probability").click()
    assert [row[2] for row in rows(page)] == ["90.0 %", "5.0 %", "", ""]
    assert page.locator("th[aria-sort]").count() == 1


@pytest.mark.browser
def test_the_table_can_be_downloaded(visit, known, four, tmp_path):
    page = visit("Many slices", url=known)
    page.set_input_files(FILES, four)
    with page.expect_download() as caught:
        page.get_by_role("link", name="Table (CSV)").click()
    caught.value.save_as(tmp_path / "slices.csv")
    with (tmp_path / "slices.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["label"] for row in table] == ["Tumor", "No Tumor", "Cannot judge", ""]
    assert [row["probability"] for row in table] == ["0.900000", "0.050000", "", ""]


@pytest.mark.browser
def test_the_table_fills_and_stays_sorted_while_slices_are_judged(
    visit, running, four, monkeypatch
):
    monkeypatch.setattr("brainai.web.many_page.UPDATE_SECONDS", 0)
    go_on = threading.Event()

    def slow(files):
        for number, answer in enumerate(answers(files)):
            if number == 2:
                go_on.wait(60)
            yield answer

    jobs = Jobs.of(running.classifier)._replace(many=slow)
    with served(build_page(jobs, INFO)) as url:
        page = visit("Many slices", url=url)
        page.set_input_files(FILES, four)
        page.locator("#many-table").get_by_text("a.png").wait_for()
        assert page.get_by_role("progressbar", name="Judging the slices").is_visible()
        heading(page, "File").click()
        assert [row[0] for row in rows(page)] == ["a.png", "b.png"]
        go_on.set()
        page.get_by_role("heading", name="2 of 4 files judged").wait_for()
        page.wait_for_function("document.querySelectorAll('#many-table tbody tr').length === 4")
        assert [row[0] for row in rows(page)] == ["a.png", "b.png", "c.png", "d.png"]


@pytest.mark.browser
def test_real_files_are_answered_and_a_damaged_one_does_not_stop_them(
    visit, running, save, tmp_path
):
    (tmp_path / "bad <b>.png").write_bytes(b"no picture")
    good = save("good.png", head(1))
    page = visit("Many slices", **PHONE)
    page.set_input_files(FILES, [tmp_path / "bad <b>.png", good])
    page.get_by_role("heading", name="1 of 2 files judged").wait_for()
    found = running.classifier.predict(good)
    assert rows(page)[1][1:3] == [found.label, f"{100 * found.probability:.1f} %"]
    assert rows(page)[0][1] == "No answer"
    assert page.locator("#many-table b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.browser
def test_a_folder_can_be_uploaded_as_a_whole(visit, known, four):
    page = visit("Many slices", url=known)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(four[0].parent)
    page.get_by_role("heading", name="2 of 4 files judged").wait_for()


def test_a_name_cannot_become_html():
    jobs = Jobs(None, None, lambda files: iter(()))
    *_, (_, table) = judged_tables(jobs, INFO, [{"path": "/x", "orig_name": "<script>1</script>"}])
    assert "<td>&lt;script&gt;1&lt;/script&gt;</td><td>No answer</td>" in table
    assert "<script" not in table


def test_a_name_cannot_become_a_formula_in_a_spreadsheet():
    text = to_csv(['=cmd|"!A1', "a,b.png"], [DataError("No."), DataError("No.")], INFO)
    first, second = csv.DictReader(io.StringIO(text))
    assert first["file"] == "'=cmd|\"!A1"
    assert second["file"] == "a,b.png"
    assert (second["reason"], second["revision"]) == ("No.", "r1")
