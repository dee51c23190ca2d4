"""The Space from one command, to a server that answers the Hub's protocol to the real client."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hub_server import Hub
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement

from brainai.hub.space import ROOT, main
from brainai.hub.terms import NON_COMMERCIAL
from brainai.model.folder import ModelInfo, write_model
from brainai.model.network import build_network

VARIABLE = "BRAINAI_WEIGHTS"


@pytest.fixture
def model(hub: Hub, model_folder: Path):
    """me/model, with the release v1."""
    repository = hub.hold("me/model", model_folder)
    repository.tags["v1"] = repository.head
    return repository


CALL = ["me/space", "--model", "me/model@v1"]


def written(hub: Hub) -> list[str]:
    """What was asked of the Hub that may change it."""
    return [asked for asked in hub.asked if asked.split()[0] in ("POST", "PUT")]


def test_a_space_is_created_with_its_variable_and_the_pinned_commit(
    hub, token, model, capsys
) -> None:
    assert main(CALL) == 0
    space = hub.repositories["spaces/me/space"]
    pinned = f"me/model@{model.head}"
    assert space.private
    assert space.variables == {VARIABLE: pinned}
    assert capsys.readouterr().out == (
        f"{hub.url}/spaces/me/space: commit {space.head}, {VARIABLE}={pinned}\n"
    )


def test_the_front_matter_of_the_space_is_filled_in(hub: Hub, token, model) -> None:
    main([*CALL, "--hardware", "zero-a10g"])
    card = SpaceCard(hub.repositories["spaces/me/space"].files["README.md"].decode())
    own = SpaceCard.load(ROOT / "README.md").data
    assert card.data.models == ["me/model"]
    assert card.data["suggested_hardware"] == "zero-a10g"
    assert (card.data.sdk_version, card.data.python_version) == (
        own.sdk_version,
        own.python_version,
    )
    repository, files, sha = card.data["preload_from_hub"][0].split()
    assert (repository, sha) == ("me/model", model.head)
    assert set(files.split(",")) == set(model.files) - {".gitattributes"}
    assert "not a medical device" in card.text


@pytest.mark.parametrize(
    ("training", "for_the_fallback_only"),
    [({"sources": ["brats", "lgg"]}, False), ({"sources": ["brats"]}, True), ({}, True)],
)
def test_the_terms_of_lgg_are_stated_for_the_weights_trained_on_it(
    hub, token, tmp_path: Path, training: dict, for_the_fallback_only: bool
) -> None:
    info = ModelInfo(architecture="test_resnet", image_size=64, training=training)
    write_model(tmp_path / "model", build_network("test_resnet"), info)
    hub.hold("me/model", tmp_path / "model")
    assert main(["me/space", "--model", "me/model"]) == 0
    card = hub.repositories["spaces/me/space"].files["README.md"].decode()
    assert NON_COMMERCIAL in card
    words = f"{NON_COMMERCIAL} This applies to the fallback weights in `weights/`."
    assert (words in card) is for_the_fallback_only


def test_the_space_holds_only_app_package_examples_and_weights(hub: Hub, token, model) -> None:
    main(CALL)
    files = hub.repositories["spaces/me/space"].files
    assert {"brainai/web/assets/page.css", "brainai/web/assets/snippets/predict.py"} < set(files)
    assert {"weights/model.safetensors", "examples/tumor_frontal.png"} < set(files)
    assert "brainai/data/reader_process.py" in files  # which the app starts by its name
    assert {name.partition("/")[0] for name in files} == {
        ".gitattributes", "LICENSE", "README.md", "app.py", "brainai", "examples",
        "requirements.txt", "weights",
    }  # fmt: skip
    assert not [name for name in files if name.startswith("weights/figures")]
    assert files["requirements.txt"] == (ROOT / "requirements.txt").read_bytes()


def test_a_second_run_without_changes_writes_nothing(hub: Hub, token, model) -> None:
    main(CALL)
    space, done = hub.repositories["spaces/me/space"], len(written(hub))
    head = space.head
    assert main(CALL) == 0
    assert (space.head, len(written(hub))) == (head, done)


@pytest.mark.slow
def test_a_new_release_updates_variable_and_pin(hub: Hub, token, model) -> None:
    main(CALL)
    newer = model.commit(model.files | {"notes.md": b"newer"})
    assert main(["me/space", "--model", "me/model"]) == 0
    space = hub.repositories["spaces/me/space"]
    assert space.variables == {VARIABLE: f"me/model@{newer}"}
    assert newer in space.files["README.md"].decode()
    assert len(space.messages) == 3


@pytest.mark.slow
def test_old_modules_are_deleted_and_foreign_files_are_kept(hub: Hub, token, model) -> None:
    main(CALL)
    space = hub.repositories["spaces/me/space"]
    space.commit(space.files | {"brainai/web/old_page.py": b"", "packages.txt": b"theirs"})
    main(CALL)
    assert "brainai/web/old_page.py" not in space.files
    assert space.files["packages.txt"] == b"theirs"


def test_a_dry_run_prints_the_plan_and_changes_nothing(hub: Hub, model, capsys) -> None:
    assert main([*CALL, "--dry-run"]) == 0
    said = capsys.readouterr().out
    for words in (
        "spaces/me/space (new; private if new)",
        f"{VARIABLE}=me/model@{model.head}",
        "+ app.py (",
        "0 are up to date",
        "suggested_hardware: cpu-basic",
    ):
        assert words in said
    assert written(hub) == []


@pytest.mark.slow
def test_the_owner_is_told_which_secret_to_set(hub, token, model_folder, capsys) -> None:
    hub.hold("me/secret", model_folder, private=True)
    call = ["me/space", "--model", "me/secret"]
    main([*call, "--dry-run"])
    assert "HF_TOKEN: set it yourself" in capsys.readouterr().out
    assert main(call) == 0
    said = capsys.readouterr()
    assert "set the secret HF_TOKEN" in said.out
    space = hub.repositories["spaces/me/space"]
    assert "preload_from_hub" not in space.files["README.md"].decode()
    sent = b" ".join(space.files.values()).decode(errors="ignore") + str(space.variables)
    assert token not in sent + said.out + said.err


def test_a_missing_permission_model_or_checkout_is_reported(
    hub, model, monkeypatch, tmp_path, capsys
) -> None:
    def refused(call: list[str]) -> str:
        assert main(call) == 2
        return capsys.readouterr().err

    assert "there is no token" in refused(CALL)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert "no permission for this" in refused(["you/space", "--model", "me/model"])
    assert "no such branch, tag or commit" in refused(["me/space", "--model", "me/model@v9"])
    assert "expected owner/name@revision" in refused(["me/space", "--model", "weights"])
    model.commit({"pytorch_model.bin": b""})
    assert "only as a pickle" in refused(["me/space", "--model", "me/model"])
    monkeypatch.setattr("brainai.hub.space.ROOT", tmp_path)
    assert "is not a checkout of BrainAI" in refused(CALL)
    assert "spaces/me/space" not in hub.repositories


def test_an_output_folder_that_is_not_empty_is_refused(hub, model, tmp_path, capsys) -> None:
    (tmp_path / "mine").touch()
    assert main([*CALL, "--out", str(tmp_path)]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["mine"]


@pytest.mark.parametrize("within", [False, True], ids=["no repository", "another repository"])
def test_untracked_checkouts_are_published_without_hidden_and_compiled_files(
    hub, model, tmp_path, monkeypatch, within: bool
):
    if within:
        subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "brainai", checkout / "brainai")
    for name in ("app.py", "requirements.txt", "README.md", "examples", "weights"):
        (checkout / name).symlink_to(ROOT / name)
    (checkout / "brainai" / "web" / ".secret").touch()
    (checkout / "brainai" / "__pycache__").mkdir(exist_ok=True)
    (checkout / "brainai" / "__pycache__" / "errors.pyc").touch()
    (checkout / "scans").mkdir()
    (checkout / "scans" / "mr_smith.nii.gz").touch()
    monkeypatch.setattr("brainai.hub.space.ROOT", checkout)
    assert main([*CALL, "--out", str(tmp_path / "space")]) == 0
    found = {path.name for path in (tmp_path / "space").rglob("*")}
    assert not found & {".secret", "__pycache__", "errors.pyc", "mr_smith.nii.gz"}
    assert {"app.py", "errors.py", "page.css", "tumor_frontal.png"} < found


@pytest.mark.slow
def test_files_unknown_to_git_are_not_published(hub, token, model, tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
    (checkout / "examples" / "mr_smith.nii.gz").touch()
    (checkout / "brainai" / "web" / "notes.txt").touch()
    monkeypatch.setattr("brainai.hub.space.ROOT", checkout)
    assert main(CALL) == 0
    files = hub.repositories["spaces/me/space"].files
    assert not files.keys() & {"examples/mr_smith.nii.gz", "brainai/web/notes.txt"}
    assert "examples/tumor_frontal.png" in files


@pytest.fixture
def space(hub: Hub, model, tmp_path: Path) -> Path:
    assert main([*CALL, "--out", str(tmp_path / "space")]) == 0
    return tmp_path / "space"


def started(folder: Path, python: str, log: Path, **environment: str) -> str:
    """Start a Space, and give its `/model_info` and the config of its page as one text."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "GRADIO_", "PYTHON"))}
    ours |= {"GRADIO_SERVER_PORT": str(port), "HF_HUB_DISABLE_XET": "1", **environment}
    with log.open("w") as file:
        app = subprocess.Popen(
            [python, "app.py"], cwd=folder, env=ours, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}/gradio_api/run/model_info"
        asked = urllib.request.Request(url, b'{"data": []}', {"Content-Type": "application/json"})
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and app.poll() is None:
            try:
                told = urllib.request.urlopen(asked).read().decode()
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/config").read().decode()
                return told + page
            except OSError:
                time.sleep(0.3)
        raise AssertionError(log.read_text())
    finally:
        app.terminate()
        app.wait(30)


@pytest.mark.slow
def test_the_space_uses_the_pinned_weights_and_then_its_cache(
    hub: Hub, model, space: Path, tmp_path: Path
) -> None:
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    pinned = {VARIABLE: f"me/model@{model.head}"}
    told = started(space, sys.executable, tmp_path / "log", **ours, **pinned)
    assert f'"commit":"{model.head}","notice":null' in told
    hub.asked.clear()
    started(space, sys.executable, tmp_path / "log", **ours, **pinned)
    assert [asked for asked in hub.asked if "model" in asked] == []


@pytest.mark.slow
def test_a_space_without_the_hub_uses_its_own_weights_with_a_notice(
    hub: Hub, model, space: Path, tmp_path: Path
) -> None:
    hub.status = 503
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_secret"}
    told = started(space, sys.executable, tmp_path / "log", **ours, **{VARIABLE: "me/model@v1"})
    notice = "The requested weights, me/model@v1, cannot be loaded from the Hub at the moment"
    assert told.count(notice) >= 2  # in /model_info and on the page
    assert '"commit":null' in told
    assert "hf_secret" not in told + (tmp_path / "log").read_text()


@pytest.mark.slow
def test_an_app_whose_weights_are_refused_exits_with_one_sentence(
    hub: Hub, model, tmp_path: Path
) -> None:
    name = "me/model@v9"
    ours = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    ours |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_right"}
    call = [sys.executable, "app.py", "--weights", name]
    done = subprocess.run(call, cwd=ROOT, env=ours, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name} was not fetched: ")
    assert len(done.stderr.splitlines()) == 1
    assert "hf_right" not in done.stdout + done.stderr


def needed(requirements: Path) -> set[str]:
    """The packages that a requirements file asks for, and all that these ask for."""
    lines = [line.partition("#")[0].strip() for line in requirements.read_text().splitlines()]
    waiting, seen = [Requirement(line) for line in lines if line], set()
    while waiting:
        wanted = waiting.pop()
        for part in {(wanted.name, extra) for extra in ("", *wanted.extras)} - seen:
            seen.add(part)
            more = map(Requirement, distribution(wanted.name).requires or ())
            waiting += [r for r in more if not r.marker or r.marker.evaluate({"extra": part[1]})]
    return {name for name, _ in seen}


def link_packages(venv: Path, requirements: Path) -> None:
    """Link the packages that a requirements file needs, and no other, into an environment."""
    there = next(venv.glob("lib/python*/site-packages"))
    for found in map(distribution, needed(requirements)):
        tops = {file.parts[0] for file in found.files or () if file.parts[0] != ".."}
        for name in tops - {"__pycache__"}:
            link = there / name
            if not link.exists():
                link.symlink_to(Path(found.locate_file(name)))


@pytest.mark.slow
def test_a_space_with_only_its_own_requirements_starts(
    hub: Hub, model, space: Path, tmp_path: Path
) -> None:
    """The packages are those of these tests; what the Space does not ask for is out of reach."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    link_packages(venv, space / "requirements.txt")
    python = str(venv / "bin" / "python")
    for module, status in (("gradio", 0), ("pytest", 1), ("nilearn", 1)):
        assert subprocess.run([python, "-c", f"import {module}"], check=False).returncode == status
    told = started(space, python, tmp_path / "log", HF_HUB_OFFLINE="1")
    assert '"architecture":"resnet50"' in told
