"""train.py with the Hub: a run is pushed at its end, or refused before it begins."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_server import Hub
from huggingface_hub import ModelCard

from brainai.inference.classifier import Classifier
from brainai.model.folder import load_model
from brainai.training.__main__ import first_weights
from brainai.training.config import parse_config
from brainai.training.start import pinned

ROOT = Path(__file__).parents[2]
SHORT = ["--preset", "smoke", "--cpu", "--mixed-precision", "no", "--scope-steps", "0"]
SHORT += ["--stages.1.epochs", "1", "--stages.2.epochs", "1"]
ALONE = [sys.executable, "train.py"]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
TWO = [*LAUNCH, "2", "train.py"]


def train(start: list[str], data: Path, out: Path, *options: str, hub: Hub, **environment: str):
    ours = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    ours |= {"OMP_NUM_THREADS": "1", "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    ours |= {"HF_HOME": str(out.parent / "home"), **environment}
    call = [*start, "--data", str(data), "--out", str(out), *SHORT, *options]
    return subprocess.run(call, cwd=ROOT, env=ours, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_a_finished_run_is_pushed_and_can_be_loaded(hub, token, dataset_folder, tmp_path):
    out = tmp_path / "run"
    options = ("--push-to-hub", "me/model", "--tag", "v1")
    done = train(ALONE, dataset_folder, out, *options, hub=hub, HF_TOKEN=token)
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["models/me/model"]
    assert done.stdout.splitlines()[-1] == f"{hub.url}/me/model: commit {repository.head}, tag v1"
    assert json.loads((out / "hub.json").read_text())["commit"] == repository.head
    assert "hf_right" not in done.stdout + done.stderr
    card = ModelCard(repository.files["README.md"].decode())
    assert str(tmp_path) not in card.content  # no place of this machine
    assert "accelerate launch train.py --data dataset" in card.text
    assert "Training started from random weights." in card.text
    assert "figures/learning_curves.png" in repository.files
    assert Classifier.load("me/model@v1", device="cpu").weights.commit == repository.head


@pytest.mark.slow
@pytest.mark.distributed
def test_nothing_is_trained_without_write_permission(hub, dataset_folder, tmp_path):
    out = tmp_path / "run"
    done = train(TWO, dataset_folder, out, "--push-to-hub", "somebody/model", hub=hub,
                 HF_TOKEN="hf_right")  # fmt: skip
    assert done.returncode != 0
    assert "somebody/model cannot be written to: the token has no permission" in done.stderr
    assert not (out / "metrics.jsonl").exists()


def test_training_starts_from_a_model_on_the_hub(hub, model_folder, tmp_path):
    hub.hold("me/tiny", model_folder)
    options = ["--preset", "smoke", "--data", "dataset", "--out", str(tmp_path / "run")]
    config = pinned(parse_config([*options, "--init-from", "me/tiny@main"]))
    assert config.init_from == f"me/tiny@{hub.repositories['models/me/tiny'].head}"
    expected, found = load_model(model_folder)[0].state_dict(), first_weights(config).state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
