"""Models by name, from a server that answers the Hub's protocol to the real client."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import SHA, serve

from brainai.errors import WeightsError
from brainai.hub.pull import fetch_model

CODE = """
import sys
from brainai.errors import WeightsError
from brainai.hub.pull import fetch_model
from brainai.model.folder import load_model
try:
    folder = fetch_model(sys.argv[1])
    print(load_model(folder)[1].revision, folder)
except WeightsError as error:
    print(error)
    sys.exit(2)
"""


def fetch(name: str, endpoint: str, home: Path, **environment: str) -> subprocess.CompletedProcess:
    """In a process of its own: the client reads its environment when it is imported."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        **environment,
    }
    call = [sys.executable, "-c", CODE, name]
    return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=120)


def test_a_folder_is_itself_and_what_looks_like_none_is_left_to_the_loader(tmp_path: Path) -> None:
    assert fetch_model(tmp_path) == tmp_path
    assert fetch_model("weights that are not there") == Path("weights that are not there")


def test_what_is_not_in_the_cache_cannot_be_had_offline() -> None:
    with pytest.raises(WeightsError, match=r"nobody/nothing@v1 is no folder here.*HF_TOKEN"):
        fetch_model("nobody/nothing@v1")


@pytest.mark.slow
def test_a_model_of_the_hub_is_fetched_once_and_answers_without_it(
    model_folder: Path, tmp_path: Path
) -> None:
    with serve(model_folder, "me/tiny") as endpoint:
        for name in ("me/tiny", "me/tiny@main"):
            found = fetch(name, endpoint, tmp_path)
            assert found.returncode == 0, found.stderr
            assert SHA in found.stdout
        unknown = fetch("me/tiny@v9", endpoint, tmp_path)
        assert (unknown.returncode, "no model that the Hub gives" in unknown.stdout) == (2, True)
    by_commit = fetch(f"me/tiny@{SHA}", endpoint, tmp_path)  # the server is gone
    assert by_commit.stdout == found.stdout


@pytest.mark.slow
def test_a_private_model_needs_its_token_which_is_never_told(
    model_folder: Path, tmp_path: Path
) -> None:
    with serve(model_folder, "me/secret", token="hf_right") as endpoint:
        without = fetch("me/secret", endpoint, tmp_path / "a")
        wrong = fetch("me/secret", endpoint, tmp_path / "b", HF_TOKEN="hf_wrong")
        right = fetch("me/secret", endpoint, tmp_path / "c", HF_TOKEN="hf_right")
    assert (without.returncode, wrong.returncode, right.returncode) == (2, 2, 0)
    assert "HF_TOKEN" in without.stdout
    assert "hf_wrong" not in wrong.stdout + wrong.stderr


@pytest.mark.slow
def test_a_download_that_breaks_off_is_told_and_goes_on_later(
    model_folder: Path, tmp_path: Path
) -> None:
    with serve(model_folder, "me/tiny", cut=True) as endpoint:
        broken = fetch("me/tiny", endpoint, tmp_path)
    assert (broken.returncode, "no model that the Hub gives" in broken.stdout) == (2, True)
    assert "Traceback" not in broken.stderr
    with serve(model_folder, "me/tiny") as endpoint:
        assert fetch("me/tiny", endpoint, tmp_path).returncode == 0
