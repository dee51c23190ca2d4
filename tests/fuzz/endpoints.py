"""A tiny network, the app with it, and one request to its endpoints."""

import contextlib
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from gradio.utils import get_upload_folder

from brainai import Classifier
from brainai.model.folder import ModelInfo, write_model
from brainai.model.network import build_network
from brainai.web.examples import Examples
from brainai.web.interface import build_page, launch
from brainai.web.jobs import Jobs
from tests.fuzz.bodies import SECRET_FILE, UPLOAD, UPLOADS
from tests.fuzz.cases import Case
from tests.fuzz.reading import LEAKS

BOUNDARY = "fuzz-boundary"
REPLY_SECONDS = 10


def tiny_classifier(folder: Path) -> Classifier:
    """A seeded, untrained network, as in the tests of the app."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = folder / "model"
    info = ModelInfo(architecture="test_resnet", image_size=64)
    write_model(model, build_network("test_resnet"), info)
    return Classifier.load(model, device="cpu")


@contextlib.contextmanager
def served(classifier: Classifier) -> Iterator[str]:
    """The address of the app while it is served."""
    page = build_page(Jobs.of(classifier), classifier.info, Examples())
    _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        yield url
    finally:
        page.close()


def run_request(case: Case, url: str) -> dict[str, Any]:
    """The result of one request, in the form of `reading.run_case`."""
    started = time.perf_counter()
    found = {"kind": case.kind, "digest": case.digest, "recognized": True, "where": ""}
    endpoint = case.files["endpoint"].decode()
    name = case.entries["flair"]
    uploaded = upload(url, name, case.files[name])
    secret = Path(get_upload_folder()).parent / "secret.raw"
    secret.write_bytes(b"secret of the server")
    body = case.files["body.json"].decode()
    places = {UPLOAD: uploaded, UPLOADS: get_upload_folder(), SECRET_FILE: str(secret)}
    for mark, place in places.items():
        body = body.replace(mark, place)
    status, reply = ask(url, endpoint, body)
    found |= judged(status, reply, (str(secret), str(Path(get_upload_folder()).parent)))
    return found | {"seconds": round(time.perf_counter() - started, 4)}


def judged(status: int, reply: str, paths: tuple[str, ...]) -> dict[str, str]:
    """Whether a reply is an answer, a refusal, or what nobody should get."""
    if status >= 500:
        return {"result": "failed", "code": f"HTTP status {status}"}
    if status >= 400:
        return {"result": "refused", "code": f"HTTP status {status}"}
    if "event: complete" in reply:
        return {"result": "read", "code": "read"}
    if "event: error" not in reply:
        return {"result": "failed", "code": "wrong: neither an answer nor an error"}
    title = re.search(r'"title": "([a-z_]+)"', reply)
    if title and title[1] == "internal":
        return {"result": "failed", "code": "internal"}
    if LEAKS.search(reply) or any(path in reply for path in paths):
        return {"result": "failed", "code": "wrong: an error with a path or a place in the code"}
    return {"result": "refused", "code": title[1] if title else "an error of Gradio"}


def upload(url: str, name: str, content: bytes) -> str:
    """Send a file as a browser does; the path that the server gave it."""
    head = f'Content-Disposition: form-data; name="files"; filename="{name}"'
    body = f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    request = urllib.request.Request(f"{url}gradio_api/upload", body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=REPLY_SECONDS) as reply:
        return json.load(reply)[0]


def ask(url: str, endpoint: str, body: str) -> tuple[int, str]:
    """The status and the text of the reply to one call."""
    call = f"{url}gradio_api/call/{endpoint}"
    request = urllib.request.Request(
        call, body.encode("utf-8", "surrogatepass"), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=REPLY_SECONDS) as reply:
            event = json.load(reply)["event_id"]
        with urllib.request.urlopen(f"{call}/{event}", timeout=REPLY_SECONDS) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
