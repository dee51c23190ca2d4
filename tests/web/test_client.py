"""The running app, asked with the Python client: correct answers, plain error messages, and nothing
about the server."""

import io
import json
import shutil
import threading
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from asking import ask, checked, harmless, refusal, run_over_http
from dicom_files import write_series
from formats.dicom_parts import one_file, text
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from serving import connect, served
from toy_heads import head, scan_file

from brainai.errors import OutOfScope
from brainai.inference.forms import scan_form, slice_form
from brainai.web.endpoints import info_form
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs

GRAY = head()
COLOR = np.stack([GRAY, GRAY.T.copy().T[::-1], 255 - GRAY], axis=2)
ROOT = Path(__file__).parents[2]


def palette(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels).convert("P")
    image.putpalette([value for value in range(256) for _ in range(3)])
    return image


def transparent(pixels: np.ndarray) -> Image.Image:
    opaque = np.full_like(pixels, 255)
    return Image.fromarray(np.stack([pixels, pixels, pixels, opaque], axis=2))


def test_the_answer_is_that_of_the_classifier_in_the_documented_form(client, running, save):
    file = save("slice.png", GRAY)
    answer = ask(client, file, pixel_mm=0.5)
    expected = slice_form(
        running.classifier.predict(file), running.classifier.info, 0.5, answer["mask"]
    )
    assert answer == expected


def test_the_area_of_a_dicom_slice_follows_from_its_header(client, running, tmp_path):
    file = one_file(tmp_path / "IM0001", [text(0x28, 0x30, "0.5\\0.5", "DS")])
    found = running.classifier.predict(file)
    assert ask(client, file)["area_cm2"] == pytest.approx(found.mask.sum() * 0.25 / 100, abs=1e-4)


def test_the_mask_is_a_file_of_the_size_of_the_slice(client, running, save):
    file = save("slice.png", GRAY)
    with Image.open(ask(client, file)["mask"]) as mask:
        assert mask.mode == "1"
        assert (np.asarray(mask) == running.classifier.predict(file).mask).all()


def test_other_sequences_are_used(client, running, save):
    files = {"flair": save("f.png", GRAY), "t1c": save("c.png", head(1)), "t2": save("t.png", GRAY)}
    answer = ask(client, **files)
    expected = running.classifier.predict(**files).probability
    assert answer["probability"] == round(expected, 6)
    assert ask(client, files["flair"])["probability"] != answer["probability"]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("sixteen.png", Image.fromarray(GRAY.astype(np.uint16) * 200)),
        ("sixteen.tif", Image.fromarray(GRAY.astype(np.uint16) * 15)),
        ("float.tif", Image.fromarray(GRAY.astype(np.float32) * 0.01)),
        ("rgb.png", Image.fromarray(GRAY).convert("RGB")),
        ("rgba.png", transparent(GRAY)),
        ("palette.png", palette(GRAY)),
        ("no suffix", Image.fromarray(GRAY)),
        ("Schnitt ä & b's.png", Image.fromarray(GRAY)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_bit_depth_and_mode_gets_the_answer_of_the_plain_slice(
    client, save, tmp_path, name, image
):
    plain = ask(client, save("plain.png", GRAY))
    image.save(tmp_path / name, format=None if "." in name else "PNG")
    assert ask(client, tmp_path / name)["probability"] == pytest.approx(
        plain["probability"], abs=1e-4
    )


def animated() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GRAY).save(
        buffer, "GIF", save_all=True, append_images=[Image.fromarray(head(1))]
    )
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("corrupt.png", b"\x89PNG\r\n\x1a\nnonsense", "unreadable", "could not be read"),
        ("half.png", png(GRAY)[:2000], "unreadable", "could not be read"),
        ("empty.png", b"", "unreadable", "could not be read"),
        ("words.txt", b"a letter", "unreadable", "could not be read"),
        (
            "drawing.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "unreadable",
            "a drawing in SVG",
        ),
        ("page.eps", b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 99 99\n", "unreadable", "could not be"),
        ("small.png", png(GRAY[40:60, 40:60]), "too_small", "too small"),
        ("huge.png", png(np.zeros((5700, 5700), np.uint8)), "too_large", "at most 32 million"),
        ("heavy.png", b"0" * 21 * 2**20, "too_large", "21 MB: send one of at most 20 MB"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_an_unreadable_file_gets_a_one_sentence_error(client, tmp_path, name, content, code, words):
    (tmp_path / name).write_bytes(content)
    assert words in refusal(client, tmp_path / name, code)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("moving.gif", animated(), "file holds 2 frames"),
        ("photo.png", png(COLOR), "color picture"),
        ("black.png", png(np.zeros((64, 64), np.uint8)), "empty picture"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_picture_that_is_not_a_slice_cannot_be_judged_for_a_stated_reason(
    client, tmp_path, name, content, reason
):
    (tmp_path / name).write_bytes(content)
    answer = ask(client, tmp_path / name)
    assert (answer["label"], answer["probability"]) == ("Cannot judge", None)
    assert answer["reason"] == reason


def test_sequences_of_different_sizes_are_refused(client, save):
    others = {"t1c": save("c.png", head(1, 96, 96))}
    sentence = refusal(client, save("f.png", GRAY), "sequences_differ", **others)
    assert sentence.startswith("FLAIR is 80×96 pixels and T1c 96×96")


def test_an_impossible_pixel_size_is_refused(client, save):
    with pytest.raises(AppError, match="Expected pixels of 0") as caught:
        ask(client, save("f.png", GRAY), pixel_mm=300)
    assert caught.value.title == "bad_pixel_size"


def test_a_scan_gets_an_answer_for_each_slice_and_a_mask_in_its_geometry(client, running, tmp_path):
    file = scan_file(tmp_path / "flair.nii.gz")
    answer = checked(
        client.predict(handle_file(str(file)), api_name="/predict_scan"), "predict_scan"
    )
    found = running.classifier.predict_scan(file)
    assert answer == scan_form(found, running.classifier.info, answer["mask"])
    mask, scan = nibabel.load(answer["mask"]), nibabel.load(file)
    assert (mask.affine == scan.affine).all()
    assert mask.get_fdata().sum() == found.mask.sum()


@pytest.mark.parametrize("bundle", ["files", "zip"])
def test_a_dicom_series_can_be_sent_as_files_or_as_a_zip_file(client, running, tmp_path, bundle):
    voxels = np.stack([head(0, 64, 64).T] * 6, axis=2).astype(np.int16)
    folder = write_series(tmp_path / "series", voxels, spacing=(2.0, 2.0, 5.0))
    files = sorted(folder.iterdir())
    if bundle == "zip":
        files = [Path(shutil.make_archive(str(tmp_path / "series"), "zip", folder))]
    sent = [handle_file(str(file)) for file in files]
    answer = checked(client.predict(sent, api_name="/predict_scan"), "predict_scan")
    assert len(answer["slices"]) == 6
    assert answer["probability"] == round(running.classifier.predict_scan(folder).probability, 6)


def test_an_invalid_scan_gets_a_one_sentence_error(client, tmp_path):
    (tmp_path / "Mueller^Anna.nii.gz").write_bytes(b"no scan")
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(str(tmp_path / "Mueller^Anna.nii.gz")), api_name="/predict_scan")
    assert caught.value.title == "unreadable"
    assert "Anna" not in harmless(str(caught.value.message), tmp_path)


@pytest.mark.slow
def test_a_scan_out_of_scope_is_answered_with_the_reason(running, tmp_path):
    def refuse(**_):
        raise OutOfScope("FLAIR: …", "looks like T1 or T2, not like FLAIR")
        yield

    jobs = Jobs.of(running.classifier)._replace(scan=refuse)
    with served(build_page(jobs, running.classifier.info)) as url:
        sent = handle_file(str(scan_file(tmp_path / "t2.nii.gz")))
        answer = checked(connect(url).predict(sent, api_name="/predict_scan"), "predict_scan")
    assert (answer["label"], answer["slices"]) == ("Cannot judge", [])
    assert answer["reason"] == "looks like T1 or T2, not like FLAIR"


def test_many_slices_are_answered_in_order_and_a_bad_one_does_not_stop_them(
    client, running, save, tmp_path
):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    files = [save("a.png", head(1)), tmp_path / "bad.png", save("b.png", head(2))]
    sent = [handle_file(str(file)) for file in files]
    reply = checked(client.predict(sent, api_name="/predict_batch"), "predict_batch")
    first, bad, last = reply["answers"]
    for answer, file in ((first, files[0]), (last, files[2])):
        assert answer["file"] == file.name
        assert answer["probability"] == round(running.classifier.predict(file).probability, 6)
        assert answer["error"] is answer["mask"] is None
    assert (bad["file"], bad["error"]["code"]) == ("bad.png", "unreadable")
    assert "could not be read as a picture" in bad["error"]["message"]


def test_many_slices_are_returned_with_masks_on_request(client, save):
    sent = [handle_file(str(save("a.png", head(1))))]
    reply = checked(client.predict(sent, masks=True, api_name="/predict_batch"), "predict_batch")
    with Image.open(reply["answers"][0]["mask"]) as mask:
        assert mask.size == (80, 96)


def test_model_info_states_the_limits_and_figures_of_the_model(running):
    report = json.loads((ROOT / "weights" / "report.json").read_text())
    classifier = running.classifier
    told = info_form(classifier.info, report, classifier.weights)
    answer = checked(json.loads(json.dumps(told)), "model_info")  # lists instead of tuples
    assert answer["threshold"] == classifier.info.threshold
    assert answer["limits"]["slice_bytes"] == 20 * 2**20
    assert set(answer["figures"]) == {"all", *report["source"]}
    assert answer["figures"]["lgg"] == report["source"]["lgg"]["figures"]


def test_without_a_report_model_info_has_no_figures(client):
    assert checked(client.predict(api_name="/model_info"), "model_info")["figures"] is None


def test_health_reports_ok(client):
    assert checked(client.predict(api_name="/health"), "health")["status"] == "ok"


@pytest.mark.slow
def test_a_full_queue_is_reported_and_health_still_answers(running, save):
    busy, go_on = threading.Event(), threading.Event()

    def wait(**_):
        busy.set()
        go_on.wait(60)
        return running.classifier.predict(GRAY)

    jobs = Jobs.of(running.classifier)._replace(slice=wait)
    page = build_page(jobs, running.classifier.info).queue(max_size=1)
    with served(page) as url:
        visitor, file = connect(url), handle_file(str(save("a.png", GRAY)))
        first = visitor.submit(file, api_name="/predict")
        assert busy.wait(30)
        try:
            deadline = time.monotonic() + 30
            sentence = ""
            while "full" not in sentence and time.monotonic() < deadline:
                try:
                    visitor.submit(file, api_name="/predict").result(timeout=0.5)
                except Exception as error:
                    sentence = str(error)
            assert "Queue is full" in sentence
            assert checked(run_over_http(url, "health"), "health")["status"] == "ok"
        finally:
            go_on.set()
        assert first.result(timeout=60)["label"] in ("Tumor", "No Tumor")


@pytest.mark.slow
def test_an_internal_error_is_reported_in_general_and_logged_without_its_message(
    running, save, caplog
):
    patient = "Mueller^Anna"

    def fail(**_):
        raise ValueError(patient)

    jobs = Jobs.of(running.classifier)._replace(slice=fail)
    with served(build_page(jobs, running.classifier.info)) as url:
        sentence = refusal(connect(url), save("a.png", GRAY), "internal")
    assert sentence == "Something went wrong on the server, not with your request. Try again."
    assert "ValueError at" in caplog.text
    assert "Anna" not in caplog.text
