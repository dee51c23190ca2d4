"""The tab for a scan as a visitor meets it, in Chromium."""

import csv
import shutil
import threading

import nibabel
import numpy as np
import pytest
from dicom_files import PLANTED, write_series
from serving import PHONE, served
from toy_answers import known_answer, known_scan
from toy_heads import head, scan_file

from brainai.data.scans import read_scan
from brainai.errors import OutOfScope
from brainai.inference.scan import JudgedSlice, ScanProgress
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs

pytestmark = pytest.mark.browser

ANSWERED = "#scan-answer :is(.card.tumor, .card.clear)"
FILES = "#scan-file input[type=file]"


@pytest.fixture
def known(running):
    """A page whose answer for the example scan is known."""
    jobs = Jobs.of(running.classifier)._replace(scan=known_scan)
    info = running.classifier.info
    with served(build_page(jobs, info, running.examples)) as url:
        yield url


def judge_example(page) -> None:
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(ANSWERED)


def test_the_example_scan_is_answered_in_words_and_numbers(visit, known):
    page = visit("Scan", url=known)
    judge_example(page)
    card = page.locator("#scan-answer").inner_text()
    assert "The network sees a tumor in this scan" in card
    assert "90.0 %" in card
    assert "2.3 mL" in card  # 16 + 64 + 36 voxels of 0.02 mL
    assert "3 of 10 judged" in card
    assert "2.6 cm²" in card
    assert "FLAIR: a <note>." in card
    assert "not a medical device" in card


def test_the_slider_moves_through_the_slices_without_server_requests(visit, known):
    page = visit("Scan", url=known)
    judge_example(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    slider, words = page.get_by_role("slider", name="Slice"), page.locator("#scan-answer .words")
    assert words.inner_text() == "Slice 7 of 12 (at 30.0 mm): Tumor, 97.0 %, outlined 2.6 cm²"
    outline = page.locator("#scan-answer img.outline")
    assert outline.is_visible()
    before = page.locator("#scan-answer img.slice").get_attribute("src")
    slider.focus()
    page.keyboard.press("Home")
    assert (
        words.inner_text()
        == "Slice 1 of 12 (at 0.0 mm): not judged because it shows too little of the head"
    )
    assert not outline.is_visible()
    assert page.locator("#scan-answer img.slice").get_attribute("src") != before
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert words.inner_text().startswith("Slice 6 of 12 (at 25.0 mm): Tumor, 90.0 %")
    assert page.get_by_role("img", name="Slice 6 of 12").is_visible()
    assert outline.is_visible()
    page.get_by_label("Show the outline").uncheck()
    assert not outline.is_visible()
    assert [url for url in asked if not url.startswith("data:")] == []


@pytest.mark.parametrize(("share", "number"), [(0.01, 1), (0.54, 7), (0.99, 12)])
def test_a_click_on_the_plot_selects_the_slice(visit, known, share, number):
    page = visit("Scan", url=known)
    judge_example(page)
    plot = page.get_by_role("img", name="Probability of tumor in each of 12 slices")
    box = plot.bounding_box()
    plot.click(position={"x": share * box["width"], "y": box["height"] / 2})
    assert page.get_by_role("slider", name="Slice").input_value() == str(number)
    assert page.locator("#scan-answer .words").inner_text().startswith(f"Slice {number} of 12")


def saved(page, name: str, path):
    with page.expect_download() as caught:
        page.get_by_role("link", name=name).click()
    caught.value.save_as(path)
    return path


def test_mask_and_table_can_be_downloaded(visit, known, running, tmp_path):
    page = visit("Scan", url=known)
    judge_example(page)
    expected = known_answer(read_scan(running.examples.scan))
    mask = nibabel.load(saved(page, "Mask (NIfTI)", tmp_path / "mask.nii.gz"))
    assert mask.get_fdata().sum() == 116
    assert (mask.affine == nibabel.load(running.examples.scan).affine).all()
    with saved(page, "Table of the slices", tmp_path / "slices.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(expected.slice_labels)
    assert float(rows[6]["probability"]) == 0.97
    assert float(rows[6]["area_cm2"]) == 2.56


def test_the_report_is_self_contained_and_prints_on_one_sheet(visit, known, tmp_path):
    page = visit("Scan", url=known)
    judge_example(page)
    file = saved(page, "Report to print", tmp_path / "report.html")
    report = page.context.new_page()
    report.goto(file.as_uri())
    text = report.locator("body").inner_text()
    for words in (
        "sees a tumor in this scan",
        "2.3 mL",
        "not a medical device",
        "FLAIR: a <note>.",
    ):
        assert words in text
    assert report.get_by_role("img", name="Slice 7 of 12").evaluate("i => i.naturalWidth > 0")
    printed = report.pdf(format="A4")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") == 1
    assert (tmp_path / "report.html").stat().st_size < 2_000_000
    report.close()


@pytest.mark.parametrize("name", ["flair.nii.gz", "flair.mha", "series.zip"])
def test_every_kind_of_file_gets_the_same_answer_as_in_python(visit, running, tmp_path, name):
    file = scan_file(tmp_path / "flair.nii.gz")
    if name == "flair.mha":
        sitk = pytest.importorskip("SimpleITK")
        sitk.WriteImage(sitk.ReadImage(str(file)), str(tmp_path / name))
    elif name == "series.zip":
        shutil.make_archive(str(tmp_path / "series"), "zip", series(tmp_path))
    page = visit("Scan")
    page.set_input_files(FILES, tmp_path / name)
    page.wait_for_selector(ANSWERED)
    probability = running.classifier.predict_scan(tmp_path / name).probability
    shown = page.locator("#scan-answer .bars dd:last-child").first.inner_text()
    assert shown == f"{100 * probability:.1f} %"


def series(folder):
    voxels = np.stack([head(0, 64, 64).T] * 6, axis=2).astype(np.int16)
    return write_series(folder / "series", voxels, spacing=(2.0, 2.0, 5.0))


def test_the_files_of_a_dicom_series_are_read_together_and_no_header_is_shown(
    visit, tmp_path, capfd
):
    page = visit("Scan")
    page.set_input_files(FILES, sorted(series(tmp_path).iterdir()))
    page.wait_for_selector(ANSWERED)
    assert "slice 6" in page.locator("#scan-answer .along").inner_text()
    card = page.locator("#scan-answer").inner_html()
    printed = "".join(capfd.readouterr())
    for planted in PLANTED:
        assert planted not in card
        assert planted not in printed


def test_a_dicom_folder_can_be_uploaded_as_a_whole(visit, tmp_path):
    page = visit("Scan")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a DICOM folder").click()
    chooser.value.set_files(series(tmp_path))
    page.wait_for_selector(ANSWERED)


def test_a_file_that_is_not_a_scan_gets_an_error_message(visit, tmp_path):
    (tmp_path / "flair.nii").write_bytes(b"no scan")
    page = visit("Scan")
    page.set_input_files(FILES, tmp_path / "flair.nii")
    card = page.wait_for_selector("#scan-answer .card.refused").inner_text()
    assert "found one that does not begin with a NIfTI header" in card
    assert str(tmp_path) not in page.content()


def test_a_scan_out_of_scope_is_refused_with_the_reason(visit, running):
    def refuse(**_):
        raise OutOfScope("FLAIR: …", "looks like T1 or T2, not like FLAIR")
        yield

    jobs = Jobs.of(running.classifier)._replace(scan=refuse)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        page = visit("Scan", url=url)
        page.get_by_role("button", name="Try the example").click()
        card = page.wait_for_selector("#scan-answer .card.refused").inner_text()
    assert "looks like T1 or T2, not like FLAIR. Upload an axial FLAIR scan" in card


def test_the_example_replaces_an_uploaded_scan(visit, known, tmp_path):
    page = visit("Scan", url=known)
    page.set_input_files(FILES, scan_file(tmp_path / "mine.nii.gz"))
    page.wait_for_selector(ANSWERED)
    page.locator("#scan-file").get_by_text("mine").wait_for()
    page.get_by_role("button", name="Try the example").click()
    page.locator("#scan-file").get_by_text("example").wait_for()
    assert page.locator("#scan-file").get_by_text("mine").count() == 0


def test_the_scan_is_judged_again_when_another_sequence_is_added_or_removed(visit, known, tmp_path):
    page = visit("Scan", url=known)
    judge_example(page)
    page.get_by_text("From FLAIR ·").wait_for()
    page.get_by_role("button", name="Add T1c or T2").click()
    page.set_input_files("#scan-t1c input[type=file]", scan_file(tmp_path / "t1c.nii.gz"))
    page.get_by_text("From FLAIR + T1c").wait_for()
    page.locator("#scan-t1c").get_by_role("button", name="Clear").click()
    page.get_by_text("From FLAIR ·").wait_for()


def test_a_scan_removed_while_it_is_judged_is_not_judged_further(visit, running):
    go_on, ended, answered = threading.Event(), threading.Event(), []

    def slow(flair, **_):
        try:
            yield ScanProgress(1, 10, JudgedSlice(4, 0.25, None))
            go_on.wait(60)
            yield ScanProgress(2, 10)
            yield known_answer(flair)
            answered.append(flair)
        finally:
            ended.set()

    jobs = Jobs.of(running.classifier)._replace(scan=slow)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        page = visit("Scan", url=url)
        page.get_by_role("button", name="Try the example").click()
        page.get_by_text("1 of 10 slices").wait_for()
        assert page.locator("#scan-answer .words").inner_text() == "Slice 5 of 12: 25.0 %"
        page.locator("#scan-file").get_by_role("button", name="Clear").click()
        page.wait_for_timeout(1500)
        go_on.set()
        assert ended.wait(20)
        page.wait_for_selector("#scan-answer .card.waiting")
        page.wait_for_timeout(1000)
        assert page.locator(ANSWERED).count() == 0
        assert not answered
        judge_example(page)


def test_two_visitors_see_only_their_own_scan(visit, running, tmp_path):
    files = [scan_file(tmp_path / f"{seed}.nii.gz", seed=seed) for seed in (3, 4)]
    pages = [visit("Scan"), visit("Scan")]
    for page, file in zip(pages, files, strict=True):
        page.set_input_files(FILES, file)
    for page, file in zip(pages, files, strict=True):
        page.wait_for_selector(ANSWERED)
        probability = running.classifier.predict_scan(file).probability
        shown = page.locator("#scan-answer .bars dd:last-child").first.inner_text()
        assert shown == f"{100 * probability:.1f} %"
    sources = [page.locator("#scan-answer img.slice").get_attribute("src") for page in pages]
    assert sources[0] != sources[1]


def test_progress_is_shown_while_the_scan_is_judged(visit, running):
    go_on = threading.Event()

    def slow(flair, **_):
        steps = known_scan(flair)
        yield next(steps)
        go_on.wait(60)
        yield from steps

    jobs = Jobs.of(running.classifier)._replace(scan=slow)
    with served(build_page(jobs, running.classifier.info, running.examples)) as url:
        page = visit("Scan", url=url)
        page.get_by_role("button", name="Try the example").click()
        bar = page.get_by_role("progressbar", name="Judging the scan")
        bar.wait_for()
        assert bar.evaluate("bar => [bar.value, bar.max]") == [5, 10]
        assert "5 of 10 slices" in page.locator("#scan-answer").inner_text()
        go_on.set()
        page.wait_for_selector(ANSWERED)


def test_a_phone_shows_the_scan_without_horizontal_scrolling(visit, known):
    page = visit("Scan", url=known, **PHONE)
    judge_example(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    picture = page.locator("#scan-answer img.slice").bounding_box()
    assert 280 < picture["width"] < 390
