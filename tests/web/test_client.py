"""The running app, asked by programs: right answers, plain sentences, nothing of the server."""

import io
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from toy_heads import head

from brainai.web.endpoints import to_json
from brainai.web.interface import build_page, launch

GREY = head()
COLOUR = np.stack([GREY, GREY.T.copy().T[::-1], 255 - GREY], axis=2)


def ask(client: Client, flair: Path, **others: Path) -> dict:
    files = {name: handle_file(str(file)) for name, file in {"flair": flair, **others}.items()}
    return client.predict(**files, api_name="/predict")


def refusal(client: Client, flair: Path, **others: Path) -> str:
    with pytest.raises(AppError) as caught:
        ask(client, flair, **others)
    sentence = str(caught.value.message)
    for leak in ("Traceback", str(flair.parent), "gradio", ".py"):
        assert leak not in sentence
    return sentence


def palette(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels).convert("P")
    image.putpalette([value for value in range(256) for _ in range(3)])
    return image


def transparent(pixels: np.ndarray) -> Image.Image:
    opaque = np.full_like(pixels, 255)
    return Image.fromarray(np.stack([pixels, pixels, pixels, opaque], axis=2))


def test_answer_is_the_classifiers_own_in_the_documented_form(client, running, save):
    file = save("slice.png", GREY)
    expected = to_json(running.classifier.predict(file), running.classifier.info)
    assert ask(client, file) == expected


def test_other_sequences_are_used(client, running, save):
    files = {"flair": save("f.png", GREY), "t1c": save("c.png", head(1)), "t2": save("t.png", GREY)}
    expected = to_json(running.classifier.predict(**files), running.classifier.info)
    assert ask(client, **files) == expected
    assert ask(client, files["flair"])["probability"] != expected["probability"]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("sixteen.png", Image.fromarray(GREY.astype(np.uint16) * 200)),
        ("sixteen.tif", Image.fromarray(GREY.astype(np.uint16) * 15)),
        ("float.tif", Image.fromarray(GREY.astype(np.float32) * 0.01)),
        ("rgb.png", Image.fromarray(GREY).convert("RGB")),
        ("rgba.png", transparent(GREY)),
        ("palette.png", palette(GREY)),
        ("no suffix", Image.fromarray(GREY)),
        ("Schnitt ä & b's.png", Image.fromarray(GREY)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_depth_and_mode_gets_the_answer_of_the_plain_slice(
    client, save, tmp_path, name, image
):
    plain = ask(client, save("plain.png", GREY))
    image.save(tmp_path / name, format=None if "." in name else "PNG")
    assert ask(client, tmp_path / name)["probability"] == pytest.approx(
        plain["probability"], abs=1e-4
    )


def animated() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(
        buffer, "GIF", save_all=True, append_images=[Image.fromarray(head(1))]
    )
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("corrupt.png", b"\x89PNG\r\n\x1a\nnonsense", "could not be read"),
        ("half.png", png(GREY)[:2000], "could not be read"),
        ("empty.png", b"", "could not be read"),
        ("words.txt", b"a letter", "could not be read"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "could not be read"),
        ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "could not be read"),
        ("small.png", png(GREY[40:60, 40:60]), "too small"),
        ("huge.png", png(np.zeros((8000, 8000), np.uint8)), "at most 32 million pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_cannot_be_read_gets_one_plain_sentence(client, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in refusal(client, tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("moving.gif", animated(), "file holds 2 frames"),
        ("photo.png", png(COLOUR), "colour picture"),
        ("black.png", png(np.zeros((64, 64), np.uint8)), "empty picture"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_is_no_slice_is_answered_with_the_reason(client, tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    answer = ask(client, tmp_path / name)
    assert (answer["label"], answer["probability"]) == ("Cannot judge", None)
    assert answer["reason"] == reason


def test_sequences_of_different_sizes_are_refused(client, save):
    sentence = refusal(client, save("f.png", GREY), t1c=save("c.png", head(1, 96, 96)))
    assert sentence.startswith("FLAIR is 80×96 pixels and T1c 96×96")


def test_a_file_above_the_limit_is_refused(client, tmp_path):
    (tmp_path / "big.png").write_bytes(b"0" * 21_000_000)
    with pytest.raises(ValueError, match="exceeds the maximum file size"):
        ask(client, tmp_path / "big.png")


@pytest.mark.parametrize("meta", [{"meta": {"_type": "gradio.FileData"}}, {}, None])
def test_a_file_of_the_server_is_no_upload(running, meta):
    """Asked over HTTP: the Python client would send its own file of that name."""
    file = str(running.examples[0])
    upload = file if meta is None else {"path": file, **meta}
    reply = call_over_http(running.url, [upload, None, None])
    assert "event: error" in reply
    assert "probability" not in reply
    assert file not in reply


def call_over_http(url: str, data: list) -> str:
    """The stream that `/gradio_api/call/predict` gives, as docs/api.md describes it."""
    call = f"{url}gradio_api/call/predict"
    request = urllib.request.Request(
        call, json.dumps({"data": data}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}") as reply:
        return reply.read().decode()


def test_two_visitors_at_once_get_their_own_answers(running, save):
    files = [save(f"{seed}.png", head(seed)) for seed in range(6)]
    expected = [round(running.classifier.predict(file).probability, 6) for file in files]
    assert len(set(expected)) == 6
    visitors = [Client(running.url, verbose=False, analytics_enabled=False) for _ in range(2)]

    def visit(number: int) -> list[float]:
        order = files if number == 0 else files[::-1]
        return [ask(visitors[number], file)["probability"] for file in order]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(visit, range(2))
    assert first == expected
    assert second == expected[::-1]


def test_only_predict_is_offered_and_only_flair_is_required(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/predict"]
    parameters = endpoints["/predict"]["parameters"]
    assert [(p["parameter_name"], p["parameter_has_default"]) for p in parameters] == [
        ("flair", False),
        ("t1c", True),
        ("t2", True),
    ]


def test_nothing_is_kept_or_told(running):
    with urllib.request.urlopen(f"{running.url}config") as reply:
        config = json.load(reply)
    assert not config.get("analytics_enabled")
    assert not config.get("show_error")
    assert not config.get("run_history")
    assert config["max_file_size"] == 20 * 2**20


def test_files_of_the_server_are_not_served(running):
    for file in (Path(__file__), Path(__file__).parents[2] / "pyproject.toml"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{running.url}gradio_api/file={file}")
        assert caught.value.code in (403, 404)


@pytest.mark.slow
def test_uploads_are_deleted_and_examples_stay(running, uploads, save, monkeypatch):
    monkeypatch.setattr("brainai.web.interface.CACHE_SECONDS", (1, 1))
    classifier = running.classifier
    page = build_page(classifier.predict, classifier.info, running.examples)
    _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        visitor = Client(url, verbose=False, analytics_enabled=False)
        ask(visitor, save("fleeting.png", head(8)))
        assert list(uploads.rglob("fleeting.png"))
        deadline = time.monotonic() + 30
        while list(uploads.rglob("fleeting.png")) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert not list(uploads.rglob("fleeting.png"))
        assert list(uploads.rglob(running.examples[0].name))
    finally:
        page.close()
