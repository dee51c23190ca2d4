"""What clients may not do and may not learn about others, tested on the running app."""

import json
import shutil
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from asking import ask, call_over_http, checked, run_over_http
from dicom_files import write_series
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from serving import connect
from toy_heads import head


@pytest.mark.parametrize("meta", [{"meta": {"_type": "gradio.FileData"}}, {}, None])
def test_a_file_of_the_server_is_not_accepted_as_an_upload(running, meta):
    """Asked over HTTP: the Python client would send its own file of that name."""
    file = str(running.examples.slices[0])
    upload = file if meta is None else {"path": file, **meta}
    reply = call_over_http(running.url, [upload, None, None, None])
    assert "event: error" in reply
    assert "probability" not in reply
    assert file not in reply


@pytest.mark.parametrize("meta", [{"meta": {"_type": "gradio.FileData"}}, {}])
@pytest.mark.parametrize("part", ["", "series"])
def test_the_folder_of_all_uploads_is_not_accepted_as_an_upload(
    running, uploads, tmp_path, meta, part
):
    """A scan may be a folder on disk: another visitor's files must not be read as one."""
    voxels = np.stack([head(0, 64, 64).T] * 6, axis=2).astype(np.int16)
    write_series(uploads / "series", voxels, spacing=(2.0, 2.0, 5.0))
    try:
        upload = {"path": str(uploads / part), **meta}
        for data in ([upload, None, None], [[upload], None, None]):
            reply = call_over_http(running.url, data, "predict_scan")
            assert "event: error" in reply
            assert "probability" not in reply
    finally:
        shutil.rmtree(uploads / "series")


def test_a_url_is_never_fetched_but_refused_every_time(client):
    for _ in range(2):
        with pytest.raises(AppError, match="found a URL: send the file itself") as caught:
            client.predict(handle_file("https://example.org/slice.png"), api_name="/predict")
        assert caught.value.title == "no_upload"


@pytest.mark.parametrize(
    "bare", ["slice.png", "https://example.org/slice.png", "data:image/png;base64,iVBORw0KGgo="]
)
def test_the_error_for_a_bare_path_or_url_mentions_handle_file(client, bare):
    with pytest.raises(AppError, match=r'in Python with handle_file\("slice\.png"\)') as caught:
        client.predict(bare, api_name="/predict")
    assert caught.value.title == "no_upload"


def test_predict_cannot_bypass_the_queue(running):
    with pytest.raises(urllib.error.HTTPError) as caught:
        run_over_http(running.url, "predict")
    assert caught.value.code == 404


@pytest.mark.parametrize("data", [5, [5], ["slice.png"], [None], {"path": 5}])
def test_input_that_is_not_a_file_is_refused_as_a_client_error(running, data):
    for name, sent in (("predict_batch", [data, False]), ("predict_scan", [data, None, None])):
        reply = call_over_http(running.url, sent, name)
        assert '"internal"' not in reply
        assert "no_upload" in reply or "missing_flair" in reply


def test_a_single_file_is_a_batch_of_one(client, save):
    reply = client.predict(handle_file(str(save("a.png", head(1)))), api_name="/predict_batch")
    assert [answer["file"] for answer in checked(reply, "predict_batch")["answers"]] == ["a.png"]


@pytest.mark.slow
def test_concurrent_visitors_get_their_own_answers(running, save):
    files = [save(f"{seed}.png", head(seed)) for seed in range(16)]
    expected = [round(running.classifier.predict(file).probability, 6) for file in files]
    assert len(set(expected)) == 16
    visitors = [connect(running.url) for _ in files]

    def visit(number: int) -> list[float]:
        """The answers for two slices, one after the other."""
        return [ask(visitors[number], files[at])["probability"] for at in (number, number - 1)]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(visit, range(16)))
    assert answers == [[expected[number], expected[number - 1]] for number in range(16)]


def test_the_endpoints_have_the_expected_parameters(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    found = {
        name: [(p["parameter_name"], p["parameter_has_default"]) for p in endpoint["parameters"]]
        for name, endpoint in endpoints.items()
    }
    optional = [("t1c", True), ("t2", True)]
    assert found == {
        "/predict": [("flair", False), *optional, ("pixel_mm", True)],
        "/predict_scan": [("flair", False), *optional],
        "/predict_batch": [("files", False), ("masks", True)],
        "/model_info": [],
        "/health": [],
    }


def test_analytics_error_details_and_run_history_are_off(running):
    with urllib.request.urlopen(f"{running.url}config") as reply:
        config = json.load(reply)
    assert not config.get("analytics_enabled")
    assert not config.get("show_error")
    assert not config.get("run_history")
    assert config["max_file_size"] == 300 * 2**20


def test_files_of_the_server_are_not_served(running):
    for file in (Path(__file__), Path(__file__).parents[2] / "pyproject.toml"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{running.url}gradio_api/file={file}")
        assert caught.value.code in (403, 404)
