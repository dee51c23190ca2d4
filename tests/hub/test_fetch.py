"""Models by name, from a server that answers the Hub's protocol to the real client."""

import json
import re
import time
from pathlib import Path

import pytest
import timm
import torch
from hub_server import Hub
from huggingface_hub import constants
from timm.models import save_for_hf

from brainai.data.seals import sealed, unsealed
from brainai.errors import HubError, WeightsError
from brainai.inference.classifier import Classifier
from brainai.model import fetch
from brainai.model.fetch import fetch_model
from brainai.model.hub_errors import hub_error

PICTURE = torch.linspace(0, 255, 64 * 64).reshape(64, 64).numpy()


@pytest.fixture
def tiny(hub: Hub, model_folder: Path):
    """me/tiny on the Hub, and the sha of its only commit with weights."""
    return hub.hold("me/tiny", model_folder)


def test_a_path_is_returned_unchanged_even_if_it_does_not_exist(tmp_path: Path) -> None:
    assert fetch_model(tmp_path).folder == tmp_path
    for name in ("weights that are not there", "../weights", "./me/tiny", "/me/tiny"):
        assert fetch_model(name).folder == Path(name)


def test_a_name_that_the_hub_rejects_raises_a_hub_error(hub: Hub) -> None:
    with pytest.raises(HubError, match=r"me/ti--ny was not fetched: the Hub rejects the request"):
        fetch_model("me/ti--ny")
    assert hub.asked == []


def test_a_folder_takes_precedence_over_a_repository_of_the_same_name(
    hub, tiny, tmp_path, monkeypatch
):
    (tmp_path / "me" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert fetch_model("me/tiny").repository is None
    assert hub.asked == []


@pytest.mark.parametrize("name", ["me/tiny", "me/tiny@main", "me/tiny@v1", "me/tiny@SHA"])
def test_branch_tag_and_commit_give_the_same_answers_as_the_folder(
    hub: Hub, tiny, model_folder: Path, name: str
) -> None:
    tiny.tags["v1"] = tiny.head
    found = Classifier.load(name.replace("SHA", tiny.head), device="cpu")
    own = Classifier.load(model_folder, device="cpu")
    assert found.weights.commit == tiny.head
    assert found.weights.notice is None
    assert found.info.name == "me/tiny"
    assert found.info.revision == own.info.revision
    assert found.predict(PICTURE).probability == own.predict(PICTURE).probability


def test_a_tag_keeps_its_commit_when_the_branch_moves(hub: Hub, tiny) -> None:
    tiny.tags["v1"] = first = tiny.head
    second = tiny.commit(tiny.files | {"README.md": b"newer"})
    assert fetch_model("me/tiny@v1").commit == first
    assert fetch_model("me/tiny").commit == second


def test_a_cached_commit_is_used_without_any_request(hub: Hub, tiny) -> None:
    fetch_model(f"me/tiny@{tiny.head}")
    hub.asked.clear()
    found = fetch_model(f"me/tiny@{tiny.head}")
    assert hub.asked == []
    assert found.notice is None


def test_only_the_files_of_a_model_are_fetched(hub: Hub, tiny) -> None:
    tiny.commit(tiny.files | {"pytorch_model.bin": b"pickle", "more/model.safetensors": b"no"})
    folder = fetch_model("me/tiny").folder
    assert {path.name for path in folder.iterdir()} == {
        "brainai.json", "config.json", "decoder.safetensors", "model.safetensors"
    }  # fmt: skip


@pytest.mark.parametrize("offline", [True, False], ids=["HF_HUB_OFFLINE", "a Hub with a fault"])
def test_without_the_hub_the_cache_is_used_with_a_notice(hub, tiny, monkeypatch, offline) -> None:
    fetch_model("me/tiny@main")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    hub.status = 503
    found = fetch_model("me/tiny@main")
    assert found.commit == tiny.head
    assert "fetched last" in found.notice
    assert tiny.head[:12] in found.notice


def no_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "fault":
        hub.status = 503
    elif how == "slow":
        hub.pause = 30
    else:  # nobody listens
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["offline", "fault", "slow", "nobody"])
def test_without_hub_and_cache_the_fallback_is_used_within_three_seconds(
    hub: Hub, model_folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    no_hub(hub, monkeypatch, how)
    start = time.monotonic()
    found = fetch_model("me/tiny@v1", fallback=model_folder)
    assert time.monotonic() - start < 3
    assert (found.folder, found.commit) == (model_folder, None)
    assert found.notice == (
        "The requested weights, me/tiny@v1, cannot be loaded from the Hub at the moment. The "
        "weights included with this program are used instead."
    )


@pytest.mark.parametrize("how", ["offline", "fault", "nobody"])
def test_without_hub_cache_and_fallback_a_hub_error_is_raised(hub, monkeypatch, how) -> None:
    no_hub(hub, monkeypatch, how)
    with pytest.raises(HubError, match=r"^me/tiny@v1 was not fetched: .*\.$") as told:
        fetch_model("me/tiny@v1")
    assert told.value.unreachable


def test_a_refusal_by_the_hub_does_not_use_the_fallback(hub: Hub, tiny, model_folder: Path) -> None:
    with pytest.raises(
        HubError, match=r"me/tiny@v9 was not fetched: the repository has no such branch"
    ):
        fetch_model("me/tiny@v9", fallback=model_folder)
    with pytest.raises(HubError, match=r"me/none was not fetched: .* no such repository"):
        fetch_model("me/none", fallback=model_folder)


def test_a_private_model_needs_a_token_which_is_never_printed(
    hub: Hub, model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog, capfd
) -> None:
    hub.hold("me/secret", model_folder, private=True)
    hub.user("hf_other", "other")
    told = []
    for token in (None, "hf_wrong", "hf_other"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(HubError, match="HF_TOKEN") as error:
            fetch_model("me/secret")
        told.append(str(error.value))
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert fetch_model("me/secret").commit
    heard = " ".join((*told, caplog.text, *capfd.readouterr()))
    assert not re.search("hf_(wrong|other|right)", heard)


def test_an_interrupted_download_resumes_by_itself(hub: Hub, tiny) -> None:
    hub.cut_downloads = 1
    folder = fetch_model("me/tiny").folder
    whole = (folder / "model.safetensors").read_bytes()
    assert whole == tiny.files["model.safetensors"]


@pytest.mark.slow
def test_a_download_that_keeps_failing_leaves_no_partial_file(hub: Hub, tiny, tmp_path) -> None:
    hub.cut_downloads = 1000
    with pytest.raises(HubError, match=r"connection was lost\. Try again later"):
        fetch_model("me/tiny")
    assert not list((tmp_path / "cache").rglob("*.incomplete"))
    hub.cut_downloads = 0
    assert Classifier.load("me/tiny", device="cpu").weights.notice is None


def test_a_truncated_file_is_not_kept(hub: Hub, tiny, tmp_path: Path) -> None:
    hub.truncate = "model.safetensors"
    with pytest.raises(HubError, match="Try again later"):
        fetch_model("me/tiny")
    assert not list((tmp_path / "cache").rglob("model.safetensors"))
    hub.truncate = ""
    fetch_model("me/tiny")


def test_files_fetched_by_timm_alone_are_not_taken_for_a_complete_model(
    hub: Hub, tiny, model_folder: Path
) -> None:
    timm.create_model(f"hf-hub:me/tiny@{tiny.head}", pretrained=True)
    found = Classifier.load(f"me/tiny@{tiny.head}", device="cpu")
    assert found.info.decoder
    own = Classifier.load(model_folder, device="cpu")
    assert found.predict(PICTURE).probability == own.predict(PICTURE).probability


def test_an_incomplete_cached_model_is_not_used_without_the_hub(hub: Hub, tiny) -> None:
    timm.create_model(f"hf-hub:me/tiny@{tiny.head}", pretrained=True)
    hub.status = 503
    with pytest.raises(HubError, match="internal error"):
        fetch_model(f"me/tiny@{tiny.head}")


def test_a_branch_is_resolved_once(hub: Hub, tiny) -> None:
    fetch_model("me/tiny@main")
    assert [asked for asked in hub.asked if asked.endswith("/revision/main")] == [
        "GET /api/models/me/tiny/revision/main"
    ]


@pytest.mark.slow
def test_a_stalled_download_is_abandoned(hub: Hub, tiny, model_folder, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 1.0)
    hub.hang = True
    start = time.monotonic()
    found = fetch_model("me/tiny", fallback=model_folder)
    assert time.monotonic() - start < 6
    assert "cannot be loaded from the Hub" in found.notice


@pytest.mark.parametrize("answer", [b"<html>log in</html>", b"{}", b"[]"])
def test_replies_of_something_other_than_the_hub_count_as_unreachable(
    hub: Hub, model_folder: Path, answer: bytes
) -> None:
    hub.answer = answer
    assert fetch_model("me/tiny", fallback=model_folder).notice
    with pytest.raises(HubError, match="could not be reached"):
        fetch_model("me/tiny")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("HTTP status client error (403 Forbidden) for url", "no permission for this"),
        ("HTTP status client error (429 Too Many Requests)", "too many requests"),
        ("HTTP status server error (502 Bad Gateway)", "could not be reached"),
    ],
)
def test_errors_that_xet_reports_only_as_text_are_understood(said: str, words: str) -> None:
    assert words in str(hub_error("x", ConnectionError(said)))
    assert "no permission" in str(hub_error("x", PermissionError("token")))


def test_a_damaged_file_in_the_repository_is_refused(hub: Hub, tiny) -> None:
    half = tiny.files["model.safetensors"][:1000]
    tiny.commit(tiny.files | {"model.safetensors": half})
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged"):
        Classifier.load("me/tiny")


def test_mixed_files_of_two_models_are_refused(hub: Hub, tiny, model_folder: Path) -> None:
    info = unsealed(tiny.files["brainai.json"])
    changed = json.dumps(sealed(info | {"threshold": 0.1})).encode()
    tiny.commit(tiny.files | {"brainai.json": changed})
    with pytest.raises(WeightsError, match="not from the same model"):
        Classifier.load("me/tiny")


def test_another_architecture_or_format_is_refused(hub: Hub, tiny) -> None:
    info = unsealed(tiny.files["brainai.json"])
    for changed, words in (
        ({"architecture": "resnet18"}, "does not fit the network"),
        ({"architecture": "resnet_of_2030"}, "Expected a timm architecture"),
        ({"format_version": 3}, r"has format 3, but this version reads format 2\. Update brainai"),
        (
            {"format_version": 1},
            r"has format 1, but this version reads format 2\. Train the model again",
        ),
    ):
        tiny.commit(tiny.files | {"brainai.json": json.dumps(sealed(info | changed)).encode()})
        with pytest.raises(WeightsError, match=words):
            Classifier.load("me/tiny")


def test_a_missing_file_is_named(hub: Hub, tiny) -> None:
    tiny.commit({k: v for k, v in tiny.files.items() if k != "decoder.safetensors"})
    with pytest.raises(WeightsError, match=r"has no decoder\.safetensors"):
        Classifier.load("me/tiny")


def test_a_pickle_is_refused_before_anything_is_fetched(hub: Hub, tiny) -> None:
    tiny.commit({"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(
        WeightsError, match=r"me/tiny has .* only as a pickle \(pytorch_model\.bin\)"
    ):
        fetch_model("me/tiny")
    assert not [asked for asked in hub.asked if "resolve" in asked]


def test_a_repository_without_a_model_is_refused(hub: Hub, tiny) -> None:
    tiny.commit({"README.md": b"a data set"})
    with pytest.raises(WeightsError, match=r"expected config\.json .* found README\.md"):
        fetch_model("me/tiny")


def test_a_plain_timm_classifier_answers_uncalibrated(hub: Hub, tmp_path: Path) -> None:
    torch.manual_seed(0)
    other = timm.create_model("test_resnet", num_classes=2)
    save_for_hf(other, tmp_path / "timm", safe_serialization=True)
    hub.hold("other/timm", tmp_path / "timm")
    classifier = Classifier.load("other/timm", device="cpu")
    assert classifier.info.name == "other/timm"
    assert not classifier.info.calibrated
    assert not classifier.info.scope
    assert 0 <= classifier.predict(PICTURE).probability <= 1
