"""app.py: which weights it uses, and its error if there are none."""

import importlib.util
import runpy
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import pytest
from gradio.http_server import start_server
from hostile import ask

from brainai.web.interface import launch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """app.py as a module; its program keeps the page instead of launching it."""
    spec = importlib.util.spec_from_file_location("app", ROOT / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    module.pages, module.options = [], {}

    def keep(page: gr.Blocks, **options: object) -> None:
        module.pages.append(page)
        module.options |= options

    monkeypatch.setattr(module.serve, "launch", keep)
    for variable in ("BRAINAI_WEIGHTS", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(variable, raising=False)
    return module


def test_weights_are_selected_by_option(app, model_folder):
    assert app.main(["--weights", str(model_folder)]) == 0
    assert isinstance(app.pages[0], gr.Blocks)


def test_weights_are_selected_by_the_environment_when_main_runs(app, model_folder, monkeypatch):
    monkeypatch.setenv("BRAINAI_WEIGHTS", str(model_folder))
    assert app.main([]) == 0
    assert len(app.pages) == 1


def test_missing_weights_print_one_line_and_exit_with_status_2(app, tmp_path, capsys):
    assert app.main(["--weights", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not app.pages


def test_only_the_port_of_the_environment_is_tried(app, model_folder, monkeypatch):
    app.main(["--weights", str(model_folder)])
    assert app.options["server_port"] is None  # the first of Gradio's ports that is free
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8123")
    app.main(["--weights", str(model_folder)])
    assert app.options["server_port"] == 8123


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # left by Gradio
@pytest.mark.parametrize("possible", [True, False])
def test_a_port_that_cannot_be_opened_prints_one_line(
    app, model_folder, monkeypatch, capsys, possible: bool
):
    def open_port(page: gr.Blocks, server_port: int, **_: Any) -> None:
        start_server(None, server_port=server_port)

    monkeypatch.setattr(app.serve, "launch", open_port)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if possible else 65536
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
        assert app.main(["--weights", str(model_folder)]) == 2
    assert capsys.readouterr().err == (
        "GRADIO_SERVER_NAME, GRADIO_SERVER_PORT: expected an address of this machine and a free "
        f"port that you may open, found 127.0.0.1 and {port}. Set others.\n"
    )


def test_on_zero_gpu_each_job_requests_its_own_duration(app, model_folder, monkeypatch):
    asked = {}

    class Spaces:
        @staticmethod
        def GPU(duration: int):
            return lambda work: asked.setdefault(work.__name__, duration) and work

    monkeypatch.setattr(app.serve, "spaces", Spaces)
    assert app.main(["--weights", str(model_folder)]) == 0
    assert asked == {"predict": 10, "follow_scan": 60, "many": 60}


def test_examples_can_be_picked_if_the_app_was_started_in_another_folder(
    app, model_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opened = []

    def launch_here(page: gr.Blocks, **options: Any) -> None:
        opened.append((page, launch(page, prevent_thread_lock=True, quiet=True, **options)[1]))

    monkeypatch.setattr(app.serve, "launch", launch_here)
    assert app.main(["--weights", str(model_folder)]) == 0
    ((page, url),) = opened
    try:
        for words in ("Try an example", "Try the example: a simulated scan with a tumor"):
            body = {"data": [None, None], "fn_index": clicked(page, words), "session_hash": "a" * 9}
            reply = ask(url, "POST", "/gradio_api/run/predict", body)
            assert reply.status == 200, reply.text
            assert "/examples/" not in reply.text
        example = ROOT / "examples" / "tumor_frontal.png"
        assert ask(url, "GET", f"/gradio_api/file={example}").code == "not_found"
    finally:
        page.close()


def clicked(page: gr.Blocks, words: str) -> int:
    """The number of the function that a click on the button with these words runs."""
    button = next(b for b in page.blocks.values() if getattr(b, "value", None) == words)
    return next(i for i, fn in page.fns.items() if (button._id, "click") in fn.targets)


def test_the_gpu_of_a_space_is_requested_only_on_zero_gpu(app, monkeypatch):
    package = ModuleType("spaces")
    monkeypatch.setitem(sys.modules, "spaces", package)
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert runpy.run_path(app.serve.__file__)["spaces"] is None
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert runpy.run_path(app.serve.__file__)["spaces"] is package


def test_the_entry_point_of_the_space_stays_short():
    assert len((ROOT / "app.py").read_text().splitlines()) <= 60
