"""Fixtures for all tests: no network, nothing written outside tmp_path, tiny data and weights."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

# Read when huggingface_hub and gradio are imported: set before any of our modules are.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["BRAINAI_ENGINE"] = (
    "torch"  # compiling takes seconds; tests/inference/test_engine.py does
)

# Each core runs one test process; more threads and workers would only compete with it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")

import pytest

# The xdist controller reads this file but runs no test: imports that take seconds go into the
# fixtures.


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No workers if files are named: one process finishes before two have started."""
    return 0 if all(".py" in argument for argument in config.args) else None


def pytest_collection_finish() -> None:
    """Exclude objects of the imports from garbage collection, which takes 0.3 s with them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder small enough to learn in seconds."""
    from toy import write_dataset

    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a tiny, seeded, untrained network."""
    import torch

    from brainai.model.folder import ModelInfo, write_model
    from brainai.model.network import build_network

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "model"
    network = build_network("test_resnet")
    write_model(folder, network, ModelInfo(architecture="test_resnet", image_size=64))
    return folder


@pytest.fixture(scope="module")
def few_pictures() -> Iterator[None]:
    """Offer a scope two pictures of each drawn kind instead of hundreds, for tests of what is
    done with the rates."""
    from brainai.evaluation import pictures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brainai.evaluation.scope_rates.shipped", list)
        patch.setattr("brainai.evaluation.scope_rates.drawn", lambda: pictures.drawn(count=2))
        yield


@pytest.fixture(autouse=True)
def _own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
