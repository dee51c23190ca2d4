"""train.py as a researcher runs it: learning, kills, several processes, and its refusals."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from faults import listing
from safetensors.torch import load_file
from toy import write_dataset

from benchmarks.flips import flip_rows
from brainai.data.dataset import read_dataset_info, read_records, write_records
from brainai.data.lock import hold
from brainai.data.seals import sealed
from brainai.evaluation.calibration import score_valid
from brainai.evaluation.metrics import slice_figures
from brainai.evaluation.valid import judge
from brainai.hub.publish import main as publish
from brainai.model.folder import ModelInfo
from brainai.model.network import build_network
from brainai.training.__main__ import main
from brainai.training.checkpoints import load_best

ROOT = Path(__file__).parents[1]
ALONE = [sys.executable]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
GROUP_NORMS = "tests/training/group_norms.py"
ROUNDING = 1e-3  # of figures and weights; 2e-6 was found on a processor with AVX-512
SHORT = [
    "--preset", "smoke", "--cpu", "--mixed-precision", "no",
    "--stages.1.epochs", "2", "--stages.2.epochs", "1", "--stages.2.image-size", "32",
    "--average", "0.8", "--drop-path", "0.1",
]  # fmt: skip
NO_SCOPE = [*SHORT, "--scope-steps", "0"]  # half the time, where nothing is about the scope


def command(data: Path, out: Path, *options: str) -> list[str]:
    """A run of the smoke recipe on one process."""
    return [sys.executable, "train.py", "--data", str(data), "--out", str(out), *options]


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess:
    """Run to the end with one thread, as every process of a larger run has."""
    return subprocess.run(
        arguments,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capfd) -> Iterator[Callable[..., str]]:
    """The error that train.py prints for a command that it refuses, run in this process."""
    monkeypatch.setattr("threading.excepthook", None)

    def ask(data: Path, out: Path, *options: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(command(data, out, "--cpu", *options)[2:])
        assert ended.value.code == 2
        said = capfd.readouterr().err
        assert "Traceback" not in said
        return said

    yield ask
    AcceleratorState._reset_state(reset_partial_state=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for_epochs(out: Path, count: int) -> None:
    """Wait until a run has logged `count` epochs and has a checkpoint to resume from."""
    deadline = time.monotonic() + 300
    while not (out / "checkpoints" / "last.pt").exists() or len(history(out)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def history(out: Path) -> list[dict]:
    """The epochs that a run logged."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short, uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run(command(dataset_folder, out, *SHORT))
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_the_smoke_preset_learns_and_writes_a_complete_run(
    dataset_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ("--preset", "smoke", "--cpu", "--log-with", "tensorboard")
    done = run(command(dataset_folder, out, *options))
    assert done.returncode == 0, done.stderr
    assert list(out.rglob("events.out.tfevents*"))
    report = json.loads((out / "report.json").read_text())
    assert report["all"]["figures"]["auroc"]["value"] > 0.9
    assert {path.name for path in (out / "model").iterdir()} == {
        "README.md", "brainai.json", "config.json", "decoder.safetensors", "model.safetensors",
        "report.json", "scope.safetensors", "figures",
    }  # fmt: skip
    assert {path.name for path in (out / "figures").iterdir()} == {
        "confusion.png", "learning_curves.png", "mask_dice.png", "reliability.png", "roc_pr.png",
        "sizes.png", "top_losses.png",
    }  # fmt: skip
    assert [(line["stage"], line["image_size"]) for line in history(out)] == (
        [(0, 32)] + 4 * [(1, 32)] + 4 * [(2, 64)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("epochs_before", [1, 2])
def test_a_killed_run_resumes_bit_for_bit(
    dataset_folder: Path, whole_run: Path, tmp_path: Path, epochs_before: int
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command(dataset_folder, out, *NO_SCOPE),
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_epochs(out, epochs_before)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "model").exists()
    first = history(out)[0]
    done = run(command(dataset_folder, out, *NO_SCOPE, "--resume"))
    assert done.returncode == 0, done.stderr
    assert history(out)[0] == first  # its measured speed too: that epoch was not trained again
    for name in ("model/model.safetensors", "checkpoints/best.safetensors"):
        expected, found = load_file(whole_run / name), load_file(out / name)
        assert all(torch.equal(expected[key], found[key]) for key in expected)
    drop = "images_per_second"
    assert [{**line, drop: 0} for line in history(out)] == [
        {**line, drop: 0} for line in history(whole_run)
    ]


def start_run(
    start: list[str], data: Path, out: Path, *options: str, script: str = "train.py"
) -> None:
    """A short run to its end, with one process or two."""
    call = [*start, script, *command(data, out, *NO_SCOPE, *options)[2:]]
    done = run(call, GLOO_SOCKET_IFNAME="lo", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


def compare(one: list[dict], two: list[dict]) -> None:
    """Check that two runs had the same epochs, up to rounding."""
    assert len(one) == len(two) == 4  # one writer
    for alone, together in zip(one, two, strict=True):
        for key in ("train_loss", "loss", "auroc", "mask_dice", "selection"):
            assert together[key] == pytest.approx(alone[key], abs=ROUNDING), key


def apart(one: Path, two: Path) -> float:
    """The distance between the best weights of two runs, relative to their norm."""
    runs = [load_file(out / "checkpoints" / "best.safetensors") for out in (one, two)]
    first, second = (torch.cat([run[key].float().flatten() for key in runs[0]]) for run in runs)
    return float((first - second).norm() / first.norm())


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_give_the_same_as_one_without_batch_norm(
    dataset_folder: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for start, out in ((ALONE, one), (TWO, two)):
        start_run(start, dataset_folder, out, script=GROUP_NORMS)
    compare(history(one), history(two))
    assert apart(one, two) < ROUNDING


@pytest.mark.slow
@pytest.mark.distributed
def test_the_rate_finder_uses_the_loss_of_all_processes(
    dataset_folder: Path, tmp_path: Path
) -> None:
    curves = []
    for start, out in ((ALONE, tmp_path / "one"), (TWO, tmp_path / "two")):
        start_run(start, dataset_folder, out, "--find-lr", script=GROUP_NORMS)
        curves.append(json.loads((out / "lr_finder.json").read_text())["loss"])
    low = 40  # updates; at rates above, the smallest difference grows
    assert curves[0][:low] == pytest.approx(curves[1][:low], abs=ROUNDING)


@pytest.mark.slow
@pytest.mark.distributed
def test_on_cpus_batch_norm_uses_only_the_slices_of_its_own_process(
    dataset_folder: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In bfloat16 pixels of this hardly trained network cross the level with every rounding.
    monkeypatch.setattr("brainai.model.answer.has_fast_bfloat16", lambda: False)
    start_run(TWO, dataset_folder, tmp_path / "run", "--mixed-precision", "no")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["processes"] == 2
    assert json.loads((whole_run / "config.json").read_text())["processes"] == 1
    assert len(history(tmp_path / "run")) == 4
    assert 10 * ROUNDING < apart(whole_run, tmp_path / "run") < 0.2
    # Yet both evaluated the weights that were kept, those of the main process.
    network = build_network("test_resnet")
    load_best(tmp_path / "run", network)
    info = ModelInfo(architecture="test_resnet", image_size=32)
    valid = score_valid(network, info, dataset_folder)
    measured = judge(valid)
    # Of equal epochs the later one is kept.
    logged = max(reversed(history(tmp_path / "run")), key=lambda epoch: epoch["selection"])
    assert logged["mask_dice"] == pytest.approx(measured.mask_dice, abs=ROUNDING)
    loss = slice_figures(valid.label, measured.probability)["loss"]
    assert logged["loss"] == pytest.approx(loss, abs=ROUNDING)


@pytest.mark.slow
def test_every_damaged_file_of_a_run_is_repaired_or_refused(
    dataset_folder: Path, whole_run: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(dataset_folder, tmp_path / "data")
    checksum = write_records(data / "metadata.csv", read_records(data))
    info = read_dataset_info(data) | {"metadata_checksum": checksum}
    (data / "dataset.json").write_text(json.dumps(sealed(info)))
    run = shutil.copytree(whole_run, tmp_path / "run")
    outcomes = {
        row["file"]: row["outcome"] for row in flip_rows(data, run, tmp_path / "flipped", SHORT)
    }
    repaired = {
        "config.json": "written anew (resumes with 4 epochs)",
        "metrics.jsonl": "written anew (resumes with 4 epochs)",
        "checkpoints/previous.pt": "(resumes with 4 epochs)",
    }
    assert {name: outcomes.pop(name) for name in repaired} == repaired
    assert outcomes.pop("checkpoints/last.pt").endswith("previous.pt. (resumes with 3 epochs)")
    store = next(name for name in outcomes if name.startswith(".store/"))
    assert outcomes.pop(store).endswith("is made again. (equal: True)")
    assert len(outcomes) == 11
    for name, outcome in outcomes.items():
        assert outcome.startswith("refused: "), (name, outcome)


@pytest.mark.slow
@pytest.mark.distributed
def test_when_one_process_is_killed_the_other_ends_and_the_run_resumes(
    dataset_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    meeting |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    first, second = (
        subprocess.Popen(
            command(dataset_folder, out, *NO_SCOPE),
            cwd=ROOT,
            env=os.environ | meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    )
    wait_for_epochs(out, 1)
    second.kill()
    said = first.communicate(timeout=60)[1]
    second.communicate()
    assert first.returncode == 2
    assert said.splitlines()[-1].startswith("train.py: Another process of this training has ended")
    assert "Traceback" not in said
    before = history(out)[0]
    done = run(command(dataset_folder, out, *NO_SCOPE, "--resume"))
    assert done.returncode == 0, done.stderr
    assert history(out)[0] == before  # its measured speed too: that epoch was not trained again
    assert len(history(out)) == 4


@pytest.mark.slow
def test_a_second_training_in_the_same_folder_is_refused(
    dataset_folder: Path, whole_run: Path, refused: Callable[..., str]
) -> None:
    before = listing(whole_run)
    with hold(whole_run, "held by this test"):
        assert "Another training is writing to" in refused(dataset_folder, whole_run, *SHORT)
        assert publish([str(whole_run), "me/model"]) == 2
        assert publish([str(whole_run / "model"), "me/model"]) == 2
    assert listing(whole_run) == before


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_in_the_folder_of_another_training_give_one_error(
    dataset_folder: Path, tmp_path: Path
) -> None:
    with hold(tmp_path / "run", "held by this test"):
        call = [*TWO, *command(dataset_folder, tmp_path / "run", *SHORT)[1:]]
        done = run(call, GLOO_SOCKET_IFNAME="lo")
    assert done.returncode == 1  # the launcher's own status
    assert done.stderr.count("Another training is writing to") == 1
    assert 'training/__main__.py", line' not in done.stderr
    assert listing(tmp_path / "run") == {".lock": b""}


@pytest.mark.slow
def test_resuming_with_other_options_is_refused(
    dataset_folder: Path, whole_run: Path, refused: Callable[..., str]
) -> None:
    said = refused(dataset_folder, whole_run, *SHORT, "--resume", "--seed", "5")
    assert "another seed" in said


@pytest.mark.slow
def test_training_starts_from_a_model_folder(
    dataset_folder: Path, whole_run: Path, tmp_path: Path
) -> None:
    options = (*NO_SCOPE, "--init-from", str(whole_run / "model"))
    done = run(command(dataset_folder, tmp_path / "run", *options))
    assert done.returncode == 0, done.stderr
    assert history(tmp_path / "run")[0]["train_loss"] < history(whole_run)[0]["train_loss"]


@pytest.mark.slow
def test_a_compiled_network_saves_weights_under_their_usual_names(
    dataset_folder: Path, whole_run: Path, tmp_path: Path
) -> None:
    call = command(dataset_folder, tmp_path / "run", *NO_SCOPE)
    done = run(call, ACCELERATE_DYNAMO_BACKEND="EAGER")  # as of `accelerate launch`
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "report.json").is_file()
    assert apart(whole_run, tmp_path / "run") < ROUNDING


def test_a_missing_data_set_gives_a_one_sentence_error(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "is not a dataset folder" in refused(tmp_path, tmp_path / "run", "--preset", "smoke")


def test_a_data_set_without_test_patients_is_refused_before_training(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    data = write_dataset(tmp_path / "data")
    rows = (data / "metadata.csv").read_text().splitlines()
    (data / "metadata.csv").write_text("\n".join(r for r in rows if ",test," not in f"{r},") + "\n")
    assert "'test': 0" in refused(data, tmp_path / "run", *SHORT)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_run_is_not_overwritten_without_resume(
    dataset_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "previous.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"hours of work")
    assert "add --resume to go on" in refused(dataset_folder, tmp_path / "run", *SHORT)
    assert checkpoint.read_bytes() == b"hours of work"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--log-with", "wandb"], "pip install wandb"),
        (["--scope-steps", "5", "--decoys", "nowhere"], "nowhere: expected pictures or scans"),
    ],
)
def test_what_would_fail_after_training_is_refused_before_it(
    dataset_folder: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    options: list[str],
    reason: str,
) -> None:
    assert reason in refused(dataset_folder, tmp_path / "run", *SHORT, *options)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_the_error_for_unreachable_imagenet_weights_names_the_remedy(
    dataset_folder: Path, tmp_path: Path, monkeypatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert "--no-pretrained" in refused(dataset_folder, tmp_path / "run")
