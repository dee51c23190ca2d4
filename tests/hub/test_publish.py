"""Models and data sets to a server that answers the Hub's protocol to the real client."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import timm
import torch
from hub_server import Hub
from huggingface_hub import DatasetCard, constants

from brainai.data.seals import sealed, unsealed
from brainai.errors import ConfigError, HubError
from brainai.hub import publish
from brainai.hub.publish import (
    begin,
    main,
    model_files,
    publish_model,
    publish_run,
    read_record,
)
from brainai.hub.upload import Target
from brainai.inference.classifier import Classifier
from brainai.model.folder import read_model_info
from brainai.training.finish import main as finish

PICTURE = torch.linspace(0, 255, 64 * 64).reshape(64, 64).numpy()
SHA = r"[0-9a-f]{40}"


@pytest.fixture(scope="module")
def finished(model_folder: Path, dataset_folder: Path, tmp_path_factory, few_pictures) -> Path:
    """A finished run, with report, card and charts."""
    out = tmp_path_factory.mktemp("finished") / "run"
    call = ["--model", str(model_folder), "--data", str(dataset_folder), "--out", str(out)]
    assert finish([*call, "--scope-steps", "2"]) == 0
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def refused(call: list[str], capsys) -> str:
    """The last line that a failing command prints."""
    assert main(call) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "hf_" not in said
    return said


@pytest.mark.slow
def test_a_published_run_gives_the_same_answers(hub: Hub, token, run: Path, capsys) -> None:
    assert main([str(run), "me/model"]) == 0
    repository = hub.repositories["models/me/model"]
    said = capsys.readouterr().out.strip()
    assert said == (
        f"{hub.url}/me/model: commit {repository.head}, "
        f"tag weights-{read_model_info(run / 'model').revision}"
    )
    assert json.loads((run / "hub.json").read_text())["commit"] == repository.head
    here = Classifier.load(run / "model", device="cpu")
    for name in ("me/model", said.rpartition(" ")[2].join(("me/model@", ""))):
        there = Classifier.load(name, device="cpu")
        assert there.predict(PICTURE).probability == here.predict(PICTURE).probability
    alone = timm.create_model("hf-hub:me/model", pretrained=True).eval()
    own = timm.create_model(f"local-dir:{run / 'model'}", pretrained=True).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(alone(images), own(images))


def test_a_model_becomes_one_private_commit_with_card_and_charts_and_no_pickle(
    hub, token, run
) -> None:
    publish_model(run, Target("me/model"))
    repository = hub.repositories["models/me/model"]
    assert repository.private
    assert len(repository.messages) == 2  # the Hub's own, and ours
    assert 'Classifier.load("me/model")' in repository.files["README.md"].decode()
    assert {name for name in repository.files if name.startswith("figures/")} == {
        f"figures/{name}"
        for name in ("confusion.png", "mask_dice.png", "reliability.png", "roc_pr.png", "sizes.png")
    }
    assert not [name for name in repository.files if name.endswith((".bin", ".pt"))]


def test_a_repository_is_public_on_request(hub: Hub, token, run: Path) -> None:
    assert main([str(run / "model"), "lab/model", "--public", "--tag", "v1"]) == 0
    repository = hub.repositories["models/lab/model"]
    assert not repository.private
    assert repository.tags == {"v1": repository.head}
    assert not (run / "model" / "hub.json").exists()


def test_publishing_again_without_changes_writes_nothing(hub: Hub, token, run: Path) -> None:
    first = publish_model(run, Target("me/model"))
    sent = sum(hub.uploads.values())
    assert publish_model(run, Target("me/model")) == first
    assert len(hub.repositories["models/me/model"].messages) == 2
    assert sum(hub.uploads.values()) == sent


def test_old_model_files_are_deleted_and_foreign_files_are_kept(
    hub, token, run, model_folder
) -> None:
    publish_model(run, Target("me/model"))
    repository = hub.repositories["models/me/model"]
    repository.commit(repository.files | {"LICENSE": b"theirs", "figures/old.png": b"ours"})
    shutil.rmtree(run / "model" / "figures")
    publish_model(run, Target("me/model"))
    assert repository.files["LICENSE"] == b"theirs"
    assert not [name for name in repository.files if name.startswith("figures/")]


def test_a_card_edited_by_hand_is_published_unchanged(run: Path) -> None:
    (run / "model" / "README.md").write_text("mine")
    files, _ = model_files(run / "model", "me/model")
    assert files["README.md"] == b"mine"


def test_a_taken_tag_is_refused_before_anything_is_pushed(hub, token, run, capsys) -> None:
    assert main([str(run), "me/model", "--tag", "v1"]) == 0
    assert main([str(run), "me/model", "--tag", "v1"]) == 0  # the very same
    repository = hub.repositories["models/me/model"]
    repository.commit(repository.files | {"notes.md": b""})
    assert "already has a release v1" in refused([str(run), "me/model", "--tag", "v1"], capsys)
    assert repository.messages[-1] == "a commit"


def test_a_release_is_never_moved_to_changed_files(hub, token, run, capsys) -> None:
    assert main([str(run), "me/model", "--tag", "v1"]) == 0
    repository = hub.repositories["models/me/model"]
    first = repository.head
    (run / "model" / "README.md").write_text("---\nlicense: mit\n---\nanother card")
    assert "already has a release v1" in refused([str(run), "me/model", "--tag", "v1"], capsys)
    assert repository.head == first


def test_a_new_card_alone_does_not_move_the_tag_of_the_weights(hub, token, run) -> None:
    publish_model(run, Target("me/model"))
    first = hub.repositories["models/me/model"].head
    (run / "model" / "README.md").write_text("---\nlicense: mit\n---\nanother card")
    said = publish_model(run, Target("me/model"))
    repository = hub.repositories["models/me/model"]
    assert repository.head != first
    assert said.endswith(
        f"{repository.head}; the tag {next(iter(repository.tags))} stays at {first}"
    )
    assert "tag" not in read_record(run)


def test_a_taken_tag_is_refused_before_training(hub, token, run, tmp_path) -> None:
    publish_model(run, Target("me/model"), tag="v1")
    begin(run, Target("me/model"), "v1")  # the very run
    with pytest.raises(ConfigError, match="already has a release v1"):
        begin(tmp_path / "another", Target("me/model"), "v1")


def test_a_repository_created_meanwhile_by_another_run_is_not_overwritten(
    hub, token, run, model_folder, monkeypatch
) -> None:
    """It appears between our look-up and our attempt to create it."""
    look, made = publish.look_up, []

    def look_and_be_late(target: Target):
        found = look(target)
        made.append(hub.hold("me/model", model_folder))
        return found

    monkeypatch.setattr(publish, "look_up", look_and_be_late)
    with pytest.raises(HubError, match="somebody else changed"):
        publish_model(run, Target("me/model"))
    assert made[0].messages[-1] == "a commit"


def test_a_report_of_other_weights_is_not_published(hub, token, run, capsys) -> None:
    path = run / "model" / "report.json"
    report = unsealed(path.read_bytes())
    report["about"]["model_revision"] = "0" * 12
    path.write_text(json.dumps(sealed(report)))
    words = "has no report.json of these weights in the format of this version"
    assert words in refused([str(run), "me/model"], capsys)
    path.write_text('{"accuracy": 0.9}')
    assert words in refused([str(run), "me/model"], capsys)
    assert hub.asked == []


def test_nothing_is_pushed_without_a_token_that_may_write(hub, run, monkeypatch, capsys) -> None:
    call = [str(run), "me/model"]
    assert "there is no token. Log in with `hf auth login`" in refused(call, capsys)
    monkeypatch.setenv("HF_TOKEN", "hf_unknown")
    assert "does not accept the token" in refused(call, capsys)
    hub.user("hf_reader", "me", role="read")
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    assert "no permission for this" in refused(call, capsys)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(call, capsys)
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["model", "me/model/more", "me/mo del", "/", ""])
def test_an_invalid_repository_name_is_refused(hub, token, run, capsys, name) -> None:
    assert "Expected a repository on the Hub as owner/name" in refused([str(run), name], capsys)


def test_a_folder_without_a_complete_model_is_refused(
    hub, token, tmp_path, model_folder, capsys
) -> None:
    assert "neither a finished run nor a model" in refused([str(tmp_path), "me/model"], capsys)
    assert "has no report.json" in refused([str(model_folder), "me/model"], capsys)
    assert hub.asked == []


def test_a_damaged_model_is_not_pushed(hub: Hub, token, run: Path, capsys) -> None:
    (run / "model" / "decoder.safetensors").write_bytes(b"damaged")
    assert "is damaged" in refused([str(run), "me/model"], capsys)
    assert hub.asked == []


@pytest.mark.slow
def test_an_interrupted_upload_resumes_by_itself(hub: Hub, token, run: Path) -> None:
    hub.cut_uploads = 1
    publish_model(run, Target("me/model"))
    assert "model.safetensors" in hub.repositories["models/me/model"].files


@pytest.mark.slow
def test_an_upload_that_keeps_failing_is_reported_and_can_be_resumed(
    hub: Hub, token, run: Path, capsys
) -> None:
    begin(run, Target("me/model"))
    hub.let_through = 3  # files, then every connection breaks
    hub.cut_uploads = 1000
    with pytest.raises(HubError) as told:
        publish_run(run, Target("me/model"), None)
    assert str(told.value) == (
        f"The run in {run} is complete; only its push failed. {hub.url}/me/model was not changed: "
        "the Hub could not be reached, or the connection was lost. Try again later. "
        f"Then run: python -m brainai.hub.publish {run} me/model"
    )
    repository = hub.repositories["models/me/model"]
    assert set(repository.files) == {".gitattributes"}
    came = dict(hub.uploads)
    assert came
    hub.cut_uploads = 0
    assert main([str(run), "me/model"]) == 0
    assert all(hub.uploads[oid] == 1 for oid in came)  # none is sent twice


@pytest.mark.slow
@pytest.mark.parametrize("status", [500, 503])
def test_an_internal_error_of_the_hub_is_reported(
    hub: Hub, token, run: Path, capsys, status: int
) -> None:
    hub.status = status
    assert f"internal error (HTTP {status})" in refused([str(run), "me/model"], capsys)


def test_a_commit_whose_response_is_lost_is_found(hub: Hub, token, run: Path) -> None:
    hub.lose_commits = 1
    told = publish_model(run, Target("me/model"))
    repository = hub.repositories["models/me/model"]
    assert repository.head in told
    assert len(repository.messages) == 2


def test_one_of_two_concurrent_pushes_is_refused(
    hub: Hub, token, run: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    (other / "model" / "README.md").write_text("---\nlicense: mit\n---\nanother card")
    hub.barrier = Barrier(2)

    def push(folder: Path) -> str:
        try:
            return publish_model(folder, Target("me/model"))
        except HubError as error:
            hub.barrier.abort()
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(push, (run, other)), key=len)
    repository = hub.repositories["models/me/model"]
    assert len(repository.messages) == 2
    won, lost = (t for t in sorted(told, key=lambda t: "was changed" in t))
    assert repository.head in won
    assert lost.startswith(
        f"{hub.url}/me/model was not changed: somebody else changed the repository"
    )


def test_a_push_made_during_training_is_not_overwritten(hub, token, run, model_folder):
    target = Target("me/model")
    begin(run, target)
    theirs = hub.hold("me/model", model_folder)
    with pytest.raises(HubError, match=r"somebody else changed .* Then run: python -m brainai"):
        publish_run(run, target, None)
    assert theirs.messages[-1] == "a commit"
    assert main([str(run), "me/model"]) == 0  # with that knowledge, one may


def test_a_resumed_run_remembers_the_commit_it_began_with(hub, token, run, model_folder):
    target = Target("me/model")
    first = hub.hold("me/model", model_folder).head
    begin(run, target)
    hub.repositories["models/me/model"].commit({"README.md": b"theirs"})
    begin(run, target)
    assert read_record(run)["parent"] == first


def test_write_permission_is_checked_before_training(hub, run, monkeypatch, capsys) -> None:
    with pytest.raises(HubError, match="there is no token"):
        begin(run, Target("me/model"))
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    with pytest.raises(HubError, match="no permission for this"):
        begin(run, Target("somebody/model"))
    hub.user("hf_reader", "me", role="read")
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(HubError, match="no permission for this"):
        begin(run, Target("me/model"))
    assert [asked for asked in hub.asked if asked.startswith("POST")] == []


@pytest.mark.slow
def test_an_unreachable_hub_does_not_prevent_training(hub, token, run, capsys) -> None:
    hub.status = 503
    begin(run, Target("me/model"))
    assert "Training begins; the push is tried when it ends" in capsys.readouterr().err
    hub.status = 0
    assert "commit" in publish_run(run, Target("me/model"), None)


@pytest.mark.slow
def test_a_data_set_is_published_with_its_license_and_card(
    hub, token, dataset_folder, tmp_path, capsys
):
    data = shutil.copytree(dataset_folder, tmp_path / "data")
    (data / ".store").mkdir(exist_ok=True)
    (data / ".store" / "cache.npy").write_bytes(b"cache")
    call = ["--dataset", str(data), "me/slices"]
    assert "--license is missing" in refused(call, capsys)
    assert main([*call, "--license", "cc-by-4.0"]) == 0
    repository = hub.repositories["datasets/me/slices"]
    assert repository.private
    pictures = {p.relative_to(data).as_posix() for p in data.rglob("*.png")}
    assert set(repository.files) == pictures | {
        ".gitattributes", "README.md", "metadata.csv", "dataset.json"
    }  # fmt: skip
    card = DatasetCard(repository.files["README.md"].decode())
    assert card.data.license == "cc-by-4.0"
    # Every slice is in one split of the Hub: otherwise folders named test0 would be taken for one.
    assert card.data["configs"][0]["data_files"] == [
        {"split": "train", "path": ["metadata.csv", "images/**", "masks/**"]}
    ]
    assert re.fullmatch(rf"{hub.url}/datasets/me/slices: commit {SHA}\n", capsys.readouterr().out)
    assert not (data / "README.md").exists()
    head = repository.head
    assert main([*call, "--license", "cc-by-4.0"]) == 0
    assert repository.head == head


@pytest.mark.slow
def test_a_card_of_the_user_is_published_with_the_data_set(
    hub, token, dataset_folder, tmp_path, capsys
):
    data = shutil.copytree(dataset_folder, tmp_path / "data")
    call = ["--dataset", str(data), "me/slices", "--license", "mit"]
    for text, words in (
        ("---\nlicense: cc-by-4.0\n---\nmine", "names the license cc-by-4.0"),
        ("---\nlicense: [\n---\n", "Correct or delete it"),
    ):
        (data / "README.md").write_text(text)
        assert words in refused(call, capsys)
    (data / "README.md").write_text("---\nlicense: mit\n---\nmine")
    assert main(call) == 0
    assert hub.repositories["datasets/me/slices"].files["README.md"].endswith(b"mine")


@pytest.mark.slow
def test_deleted_slices_are_deleted_on_the_hub_too(hub, token, dataset_folder, tmp_path) -> None:
    data = shutil.copytree(dataset_folder, tmp_path / "data")
    call = ["--dataset", str(data), "me/slices", "--license", "cc-by-4.0"]
    assert main(call) == 0
    gone = next(data.glob("images/*/*.png"))
    gone.unlink()
    assert main(call) == 0
    files = hub.repositories["datasets/me/slices"].files
    assert gone.relative_to(data).as_posix() not in files
    assert len([name for name in files if name.endswith(".png")]) == len([*data.rglob("*.png")])


@pytest.mark.slow
def test_the_command_takes_hub_and_token_from_the_environment(hub: Hub, token, run: Path) -> None:
    ours = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": token}
    done = subprocess.run(
        [sys.executable, "-m", "brainai.hub.publish", str(run), "me/model"],
        env={"PATH": "", "HOME": str(run), "PYTHONPATH": ".", **ours},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert hub.repositories["models/me/model"].head in done.stdout
    assert "hf_right" not in done.stdout + done.stderr


def test_a_tag_is_refused_for_a_data_set(hub, token, dataset_folder, capsys) -> None:
    call = ["--dataset", str(dataset_folder), "me/slices", "--license", "mit", "--tag", "v1"]
    assert "--tag is for models" in refused(call, capsys)


def test_a_target_checks_its_name() -> None:
    with pytest.raises(ConfigError, match="found 'nobody'"):
        Target("nobody")
