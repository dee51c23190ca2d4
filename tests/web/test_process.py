"""`python app.py` as a process of its own: no network, and a log that reveals nothing."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import hostile
import numpy as np
import pytest
from dicom_files import PLANTED, write_series
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from serving import connect
from toy_heads import head

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAME = "Mueller^Anna 1961"  # of a patient, in the names of files
TOKEN = "hf_planted"
WATCH = """
import os, socket
real = socket.getaddrinfo
def noted(host, *rest, **options):
    if host not in (None, "localhost", "127.0.0.1", "0.0.0.0", "::1", b"localhost"):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{host}\\n")
    return real(host, *rest, **options)
socket.getaddrinfo = noted
"""


class Process(NamedTuple):
    app: subprocess.Popen
    url: str
    log: Path
    asked: Path  # hosts that it looked up


@pytest.fixture(scope="module")
def process(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("process")
    (folder / "sitecustomize.py").write_text(WATCH)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The app's own settings must keep it quiet, not those of the tests.
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "HF_HUB_"))}
    ours |= {"PYTHONPATH": str(folder), "ASKED": str(folder / "asked"), "TMPDIR": str(folder)}
    ours |= {"GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1", "HF_TOKEN": TOKEN}
    with (folder / "log").open("w") as log:
        app = subprocess.Popen(
            [sys.executable, "app.py", "--weights", str(model_folder)],
            cwd=ROOT,
            env=ours,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        url = f"http://127.0.0.1:{port}/"
        try:
            wait_for(url, app)
            yield Process(app, url, folder / "log", folder / "asked")
        finally:
            app.terminate()
            app.wait(30)


def wait_for(url: str, app: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and app.poll() is None:
        try:
            urllib.request.urlopen(f"{url}config").close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the app did not start")


def test_neither_pictures_nor_their_names_or_headers_are_logged(process, tmp_path):
    client = connect(process.url)
    picture = tmp_path / f"{NAME}.png"
    Image.fromarray(head(1)).save(picture)
    client.predict(handle_file(str(picture)), api_name="/predict")
    client.predict([handle_file(str(picture))], api_name="/predict_batch")
    voxels = np.stack([head(0, 64, 64).T] * 6, axis=2).astype(np.int16)
    series = sorted(write_series(tmp_path / "s", voxels, spacing=(2.0, 2.0, 5.0)).iterdir())
    client.predict([handle_file(str(file)) for file in series], api_name="/predict_scan")
    for name, api_name in ((f"{NAME}.png", "/predict"), (f"{NAME}.nii.gz", "/predict_scan")):
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(AppError):
            client.predict(handle_file(str(tmp_path / name)), api_name=api_name)
    with pytest.raises(AppError):
        client.predict([handle_file(str(file)) for file in series[:2]], api_name="/predict_scan")
    log = process.log.read_text()
    assert "Running on local URL" in log
    for planted in (*PLANTED, *re.split(r"\W", NAME), "Traceback"):
        assert planted not in log
    left = {path.name[:16] for path in process.log.parent.glob("brainai-*")}
    assert left == {"brainai-uploads-"}  # not the folder where the series lay


@pytest.mark.skipif(sys.platform != "linux", reason="shown by /proc")
def test_neither_the_app_nor_its_children_have_the_token_after_the_start(process):
    """A leaked file of the server, /proc/self/environ, would have shown it."""
    assert connect(process.url).predict(api_name="/health")["status"] == "ok"
    tree = Path(f"/proc/{process.app.pid}/task/{process.app.pid}/children").read_text().split()
    assert tree  # the processes that read files
    for pid in (process.app.pid, *tree):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH=" in environment
        assert TOKEN.encode() not in environment


def test_hostile_requests_cause_no_server_error_and_leave_nothing_in_the_log(process):
    functions = len(connect(process.url).config["dependencies"])
    before = len(process.log.read_text())
    found = list(hostile.statuses(process.url, functions))
    assert len(found) > 500
    assert [(what[:200], status) for what, status in found if status >= 500] == []
    log = process.log.read_text()[before:]
    for planted in (*re.split(r"\W", hostile.PLANTED), "Traceback", "a-session-of-somebody"):
        assert planted not in log
    assert connect(process.url).predict(api_name="/health")["status"] == "ok"


def test_the_app_contacts_no_other_machine(process):
    assert connect(process.url).predict(api_name="/health")["status"] == "ok"
    assert not process.asked.exists(), process.asked.read_text()


def test_termination_deletes_every_upload(process, tmp_path):
    Image.fromarray(head(2)).save(tmp_path / "last.png")
    answer = handle_file(str(tmp_path / "last.png"))
    connect(process.url).predict(answer, api_name="/predict")
    folder = process.log.parent
    assert list(folder.glob("brainai-uploads-*/*/*/last.png"))
    process.app.terminate()
    process.app.wait(30)
    assert not list(folder.glob("brainai-*"))
