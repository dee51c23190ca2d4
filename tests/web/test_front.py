"""The front door of the running app: what is open, and how the rest is refused."""

import json
import urllib.request
from pathlib import Path

import pytest
from formats.dicom_parts import named, one_file
from hostile import CLOSED, PLANTED, SESSION, ask, ask_raw, file, upload

from brainai.web.refusals import STATUS

SENTENCES = {
    "not_found": "There is nothing at this address.",
    "wrong_method": "This address does not accept this HTTP method.",
}


def events(url: str, session: str) -> list[dict]:
    """The events that the queue sends to a session, up to the last one."""
    address = f"{url}gradio_api/queue/data?session_hash={session}"
    with urllib.request.urlopen(address, timeout=60) as reply:
        lines = reply.read().decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def number_of(client, name: str) -> int:
    return next(d["id"] for d in client.config["dependencies"] if d["api_name"] == name.strip("/"))


@pytest.mark.parametrize("path", CLOSED)
def test_addresses_that_the_app_does_not_need_are_closed(running, path):
    reply = ask(running.url, "GET", path)
    assert reply.status in (404, 405)
    assert reply.code in SENTENCES
    assert json.loads(reply.text) == {"error": SENTENCES[reply.code], "title": reply.code}


@pytest.mark.parametrize(
    "path", ["/", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/theme.css"]
)
def test_addresses_that_page_and_clients_read_are_open(running, path):
    assert ask(running.url, "GET", path).status == 200
    assert ask(running.url, "PUT", path).code == "wrong_method"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("queue/join", {"data": [], "fn_index": 999, "session_hash": SESSION}, 404, "no_endpoint"),
        ("call/nothing", {"data": []}, 404, "no_endpoint"),
        ("call/v2/nothing", {}, 404, "no_endpoint"),
        ("run/nothing", {"data": []}, 404, "no_endpoint"),
        ("call/answer", {"data": [None, None, None, None]}, 404, "no_endpoint"),
        ("call/v2/answer", {"flair": None}, 404, "no_endpoint"),
        ("run/picked", {"data": [None, None]}, 404, "no_endpoint"),
        ("run/predict", {"data": []}, 404, "queued"),
        ("call/predict", {"data": [1]}, 400, "bad_request"),
        ("call/predict", {"data": {"flair": 1}}, 400, "bad_request"),
        ("call/v2/predict", {"slice": 1}, 400, "bad_request"),
        ("call/v2/predict", {}, 400, "bad_request"),
        ("call/predict", b'{"data": [', 400, "bad_request"),
        ("call/predict", b"[" * 100_000, 400, "bad_request"),
        ("call/predict", b'{"data": ["\\ud800", null, null, null]}', 400, "bad_request"),
        ("call/predict", b'{"data": ["\\u0000", null, null, null]}', 400, "bad_request"),
        ("call/predict", b" " * (16 * 2**20 + 1), 413, "too_large"),
        ("cancel", {"session_hash": SESSION}, 400, "bad_request"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_malformed_requests_get_an_error_message_and_a_code(running, path, body, status, code):
    reply = ask(running.url, "POST", f"/gradio_api/{path}", body)
    assert (reply.status, reply.code) == (status, code)
    told = json.loads(reply.text)
    assert told["title"] == code
    assert told["error"].endswith(".")


@pytest.mark.parametrize("session", [None, "", "short", "a" * 129, "with a space", "../../etc"])
def test_a_session_hash_that_can_be_guessed_is_refused(running, client, session):
    number = number_of(client, "health")
    body = {"data": [], "fn_index": number, "session_hash": session}
    assert ask(running.url, "POST", "/gradio_api/queue/join", body).code == "bad_request"
    if session:
        path = f"/gradio_api/queue/data?session_hash={session.replace(' ', '%20')}"
        assert ask(running.url, "GET", path).code == "bad_request"


@pytest.mark.parametrize(
    "session", ["k3j9d8", "k3j9d8s7f6a", "3f2b8c1e-7d4a-4c1b-9e0f-1a2b3c4d5e6f"]
)
def test_the_session_hashes_of_gradios_clients_are_accepted(running, client, session):
    """JavaScript's come from Math.random(), which gives fewer than 8 characters once in 180,000
    times and fewer than 6 never in 20 million; Python's are UUIDs."""
    body = {"data": [], "fn_index": number_of(client, "health"), "session_hash": session}
    assert ask(running.url, "POST", "/gradio_api/queue/join", body).status == 200


@pytest.mark.parametrize(
    "path",
    ["/etc/hostname", "pyproject.toml", f"/tmp/{PLANTED}", "", "uploads", "a" * 5000],
    ids=lambda value: value[:20],
)
@pytest.mark.parametrize("name", ["predict", "predict_scan", "predict_batch"])
def test_a_foreign_path_is_refused_at_every_endpoint(running, client, uploads, path, name):
    path = str(uploads) if path == "uploads" else path
    foreign = file(path, orig_name="a.png")
    sent = {"predict": [foreign, *[None] * 3], "predict_scan": [foreign, None, None]}
    data = sent.get(name, [[foreign], False])
    session = f"session-{abs(hash((path, name)))}"
    body = {"data": data, "fn_index": number_of(client, name), "session_hash": session}
    assert ask(running.url, "POST", "/gradio_api/queue/join", body).status == 200
    told = [one for one in events(running.url, session) if one["msg"] == "process_completed"]
    assert len(told) == 1
    assert "no_upload" in json.dumps(told[0]["output"])
    assert PLANTED not in json.dumps(told[0]["output"])


def test_a_foreign_path_is_refused_in_every_event_of_the_page(running, client):
    for number, dependency in enumerate(client.config["dependencies"]):
        if not (dependency["inputs"] and dependency["backend_fn"]) or dependency["cancels"]:
            continue
        if dependency["api_name"] in ("predict", "predict_scan", "predict_batch", "refuse"):
            continue
        session = f"session-{number}"
        count = len(dependency["inputs"])
        body = {"data": [file()] * count, "fn_index": dependency["id"], "session_hash": session}
        body["event_data"] = {"index": 0}
        path = "queue/join" if dependency["queue"] in (True, None) else "run/predict"
        reply = ask(running.url, "POST", f"/gradio_api/{path}", body)
        if path == "queue/join":
            told = events(running.url, session)[-2]
        else:
            assert reply.status == 400
            told = json.loads(reply.text)
        assert "uploaded file" in json.dumps(told), dependency
        assert PLANTED not in json.dumps(told)


def test_choosing_a_folder_leaves_no_further_file_on_the_server(running, client, uploads):
    (path,) = json.loads(upload(running.url, b"content").text)
    components = client.config["components"]
    buttons = {c["id"] for c in components if c["props"].get("file_count") == "directory"}
    chosen = [d for d in client.config["dependencies"] if buttons.intersection(d["inputs"])]
    assert len(chosen) == 2  # for a DICOM folder, and for many slices
    before = set(uploads.rglob("*"))
    for number in (dependency["id"] for dependency in chosen):
        body = {"data": [[file(path)]], "fn_index": number, "session_hash": SESSION}
        reply = ask(running.url, "POST", "/gradio_api/run/predict", body)
        assert [one["path"] for one in json.loads(reply.text)["data"][0]] == [path]
    assert set(uploads.rglob("*")) == before


@pytest.mark.parametrize(("name", "copied"), [("flair", False), ("t1c", True)])
def test_a_dicom_file_that_is_not_flair_is_copied_for_the_browser_except_as_flair(
    running, client, tmp_path, name, copied
):
    content = one_file(tmp_path / "t1.dcm", named("AX", echo="9")).read_bytes()
    (path,) = json.loads(upload(running.url, content, "t1.dcm").text)
    image = next(c["id"] for c in client.config["components"] if c["props"].get("elem_id") == name)
    dependencies = client.config["dependencies"]
    number = next(d["id"] for d in dependencies if [image, "upload"] in map(list, d["targets"]))
    body = {"data": [file(path)], "fn_index": number, "session_hash": f"session-copy-{name}"}
    assert ask(running.url, "POST", "/gradio_api/queue/join", body).status == 200
    told = events(running.url, body["session_hash"])
    (output,) = [one["output"] for one in told if one["msg"] == "process_completed"]
    assert ("slice.png" in json.dumps(output)) is copied
    assert "error" not in output


def test_a_language_model_cannot_name_a_file_of_the_server(running):
    call = {"name": "predict", "arguments": {"flair": file(str(running.examples.slices[0]))}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream"}
    reply = ask(running.url, "POST", "/gradio_api/mcp/", body, headers)
    assert (reply.status, reply.code) == (400, "no_upload")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "https"},
        {"X-Gradio-Server": "http://evil.example/"},
        {"Forwarded": "host=evil.example;proto=https"},
    ],
)
def test_forwarded_headers_do_not_change_the_address_of_the_app(running, headers):
    for path in ("/config", "/", "/gradio_api/info", "/gradio_api/openapi.json"):
        text = ask(running.url, "GET", path, headers=headers).text
        assert "evil.example" not in text
        assert "https://127.0.0.1" not in text


@pytest.mark.parametrize("host", ["[", "a b", "http://a", "a:b:c"])
def test_an_invalid_host_is_refused(running, host):
    head = f"GET /config HTTP/1.1\nHost: {host}\nOrigin: http://a\nConnection: close\n\n"
    assert ask_raw(running.url, head) == 400


def test_refusals_can_be_read_from_other_sites(running):
    reply = ask(running.url, "GET", "/nothing", headers={"Origin": "http://localhost:1234"})
    assert reply.headers["access-control-allow-origin"] == "http://localhost:1234"


def test_an_upload_reveals_only_the_folder_of_uploads(running, uploads):
    reply = upload(running.url, b"content", f"{PLANTED}.png")
    (path,) = json.loads(reply.text)
    place, name = path.rsplit("/", 1)
    assert name == f"{PLANTED}.png"
    assert place.startswith(f"{uploads}/")
    assert ask(running.url, "GET", f"/gradio_api/file={path}").text == "content"


def test_two_uploads_of_the_same_content_have_different_addresses(running):
    first, second = (json.loads(upload(running.url, b"same").text)[0] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"text", "text/plain"),
        (b"text", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=x"),
        (
            b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_an_invalid_upload_leaves_no_file(running, uploads, body, kind):
    before = set(uploads.iterdir())
    reply = ask(running.url, "POST", "/gradio_api/upload", body, {"Content-Type": kind})
    assert (reply.status, reply.code) == (400, "bad_request")
    assert reply.text.endswith("`files`.")
    assert set(uploads.iterdir()) == before


def test_every_code_of_the_front_door_is_documented_with_its_status():
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for code, status in STATUS.items():
        assert [row for row in rows if f"`{code}`" in row and str(status) in row], code
