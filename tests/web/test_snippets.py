"""The programs that the page and docs/api.md offer for copying: each is run verbatim."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from toy_heads import head

from brainai.web.api_page import LOCAL, SNIPPETS, api_text, snippet

ROOT = Path(__file__).parents[2]
JS_CLIENT = "@gradio/client@2.7.0"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the JavaScript client."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not installed: apt install nodejs npm")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", JS_CLIENT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"{JS_CLIENT} could not be installed: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return folder / "node_modules"


def run(folder: Path, title: str, url: str) -> str:
    """What a snippet prints when it is run in a folder with its slice.png."""
    file = SNIPPETS[title]
    (folder / file).write_text(snippet(file, url))
    program = {"Python": sys.executable, "JavaScript": "node", "curl": "bash"}[title]
    return subprocess.run(
        [program, file], cwd=folder, check=True, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.mark.slow
@pytest.mark.parametrize("title", SNIPPETS)
def test_each_snippet_prints_the_answer_or_the_code_and_message_of_an_error(
    running, tmp_path, title, request
):
    if title == "JavaScript":
        (tmp_path / "node_modules").symlink_to(request.getfixturevalue("node_modules"))
    Image.fromarray(head(3)).save(tmp_path / "slice.png")
    found = running.classifier.predict(tmp_path / "slice.png")
    printed = run(tmp_path, title, running.url)
    assert found.label in printed
    assert f"{found.probability:.6f}".rstrip("0") in printed
    assert "mask.png" in printed
    (tmp_path / "slice.png").write_bytes(b"no picture")
    printed = run(tmp_path, title, running.url)
    assert "unreadable" in printed
    assert "could not be read as a picture" in printed


def test_the_documentation_shows_the_snippets_of_the_page():
    page = (ROOT / "docs" / "api.md").read_text()
    for file in SNIPPETS.values():
        assert f"\n{snippet(file)}```\n" in page


def test_the_page_shows_the_snippets():
    for file in SNIPPETS.values():
        assert snippet(file) in api_text()


def test_every_link_of_the_page_has_the_address_that_the_browser_replaces():
    links = re.findall(r"\]\(([^)]+)\)", api_text())
    assert links == [f"{LOCAL}/gradio_api/openapi.json"]


def test_a_snippet_uses_the_given_address():
    for file in SNIPPETS.values():
        text = snippet(file, "https://owner-space.hf.space/")
        assert "https://owner-space.hf.space" in text
        assert LOCAL not in text
