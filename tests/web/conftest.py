"""The running app, shared by all web tests, pictures to send it, and Chromium to visit it."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from gradio_client import Client
from PIL import Image
from serving import connect, own, served
from toy_heads import head, scan_file

from brainai import Classifier
from brainai.web.examples import Examples
from brainai.web.interface import build_page
from brainai.web.jobs import Jobs
from brainai.web.sweep import claim_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCREENSHOTS = os.environ.get("BRAINAI_SCREENSHOTS")  # a folder for screenshots


class Running(NamedTuple):
    url: str
    classifier: Classifier
    examples: Examples


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The app's folder of uploads."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        claim_folder()
        yield Path(os.environ["GRADIO_TEMP_DIR"])


@pytest.fixture(autouse=True)
def _own_temporary_files(uploads: Path) -> None:
    """The app runs longer than one test, so all tests here share its folder of uploads."""


@pytest.fixture(scope="session")
def running(
    model_folder: Path, uploads: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The app with a tiny network, two examples and an example scan, on a free port."""
    folder = tmp_path_factory.mktemp("examples")
    files = [folder / f"tumor_{seed}.png" for seed in (10, 11)]
    for seed, file in zip((10, 11), files, strict=True):
        Image.fromarray(head(seed)).save(file)
    examples = Examples(files, scan_file(folder / "example.nii.gz"))
    classifier = Classifier.load(model_folder, device="cpu")
    page = build_page(Jobs.of(classifier), classifier.info, examples)
    with served(page) as url:
        yield Running(url, classifier, examples)


@pytest.fixture(scope="session")
def client(running: Running) -> Client:
    return connect(running.url)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes an array as a file, in the format of its name."""

    def write(name: str, pixels: np.ndarray) -> Path:
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, running, request) -> Iterator[Callable]:
    """Opens a page for a new visitor, on a tab; checks at the end that no other host was contacted,
    and saves a screenshot of the last state if one is wanted."""
    contexts, foreign = [], []

    def open_page(tab: str = "Slice", url: str = running.url, **options: Any):
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda asked: foreign.append(asked.url) if not own(asked, url) else None)
        page.goto(url)
        page.get_by_role("tab", name=tab, exact=True).click()
        return page

    yield open_page
    for number, context in enumerate(contexts):
        if SCREENSHOTS:
            name = re.sub(r"\W+", "_", request.node.name).strip("_")
            picture = Path(SCREENSHOTS) / f"{name}_{number}.png"
            context.pages[0].screenshot(path=picture, full_page=True)
        context.close()
    assert foreign == []
