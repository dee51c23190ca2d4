"""A Hub on the loopback address, and the real client set to ask it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, serve
from huggingface_hub import constants


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """What HF_ENDPOINT, HF_HOME, HF_HUB_DISABLE_XET and HF_TOKEN set when the client is imported,
    set for one test."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve() as hub:
        for name, value in {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        yield hub


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """A token that may write as "me" and for "lab"."""
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    return "hf_right"
