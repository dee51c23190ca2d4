"""The running app, once for all tests of the web, and pictures to send it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from gradio_client import Client
from PIL import Image
from toy_heads import head

from brainai import Classifier
from brainai.web.interface import build_page, launch


class Running(NamedTuple):
    url: str
    classifier: Classifier
    examples: list[Path]


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The app's folder of uploads."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _own_temporary_files(uploads: Path) -> None:
    """The app runs longer than one test, so all tests here share its folder of uploads."""


@pytest.fixture(scope="session")
def running(
    model_folder: Path, uploads: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The app with a tiny network and two examples, on a free port."""
    folder = tmp_path_factory.mktemp("examples")
    examples = [folder / f"{seed}.png" for seed in (10, 11)]
    for seed, file in zip((10, 11), examples, strict=True):
        Image.fromarray(head(seed)).save(file)
    classifier = Classifier.load(model_folder, device="cpu")
    page = build_page(classifier.predict, classifier.info, examples)
    _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
    yield Running(url, classifier, examples)
    page.close()


@pytest.fixture(scope="session")
def client(running: Running) -> Client:
    return Client(running.url, verbose=False, analytics_enabled=False)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes an array as a file, in the format of its name."""

    def write(name: str, pixels: np.ndarray) -> Path:
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name

    return write
