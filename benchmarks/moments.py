"""Moments at which to kill a training run, detected by its files instead of the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EPOCHS = 9  # of the smoke preset


@dataclass(frozen=True)
class Moment:
    """A moment to kill at: when `reached` holds for run folder and store folder, plus a delay."""

    name: str
    phase: str
    reached: Callable[[Path, Path], bool]
    delay: float = 0.0
    new_store: bool = False  # remove the store before the run


def lines(out: Path) -> int:
    """Return the number of epochs that the run has logged."""
    try:
        return len((out / "metrics.jsonl").read_bytes().splitlines())
    except OSError:
        return 0


def appears(name: str) -> Callable[[Path, Path], bool]:
    """A file or folder of the run exists."""
    return lambda out, store: (out / name).exists()


def store_is(size: int, partial: bool) -> Callable[[Path, Path], bool]:
    """A store is being written, or exists."""
    pattern = f".*-{size}.npy.partial" if partial else f"[!.]*-{size}.npy"
    return lambda out, store: any(store.glob(pattern))


def writing(name: str, epoch: int) -> Callable[[Path, Path], bool]:
    """A checkpoint file is being written, after at least `epoch` epochs."""
    partial = f"checkpoints/.{name}.partial"
    return lambda out, store: lines(out) >= epoch and (out / partial).exists()


def logged(epoch: int) -> Callable[[Path, Path], bool]:
    """metrics.jsonl holds `epoch` epochs, and the last checkpoint is not written yet."""
    return lambda out, store: lines(out) >= epoch


def kept(epoch: int) -> Callable[[Path, Path], bool]:
    """The checkpoint of an epoch is complete."""
    last = "checkpoints/last.pt"
    return lambda out, store: (
        lines(out) >= epoch
        and (
            (out / last).exists()
            and (out / last).stat().st_mtime_ns > (out / "metrics.jsonl").stat().st_mtime_ns
        )
    )


def moments() -> list[Moment]:
    """Return thirty moments, in the order in which a run reaches them."""
    return [
        Moment("the lock is taken", "start", appears(".lock")),
        Moment("config.json is there", "start", appears("config.json")),
        Moment("the store at 32 px begins", "store", store_is(32, True), new_store=True),
        Moment("the store at 32 px grows", "store", store_is(32, True), 1.0, new_store=True),
        Moment("the store at 32 px is done", "store", store_is(32, False), new_store=True),
        *(Moment(f"epoch {n} is logged", "epoch", logged(n)) for n in range(1, EPOCHS + 1, 2)),
        *(
            Moment(f"best.safetensors is written in epoch {n} or later", "checkpoint",
                   writing("best.safetensors", n)) for n in (1, 2, 3)
        ),
        *(
            Moment(f"last.pt is written in epoch {n} or later", "checkpoint", writing("last.pt", n))
            for n in (1, 3, 6, 9)
        ),
        *(Moment(f"epoch {n} has begun", "epoch", kept(n - 1), 0.2) for n in (2, 4, 6, 8)),
        Moment("the store at 64 px begins", "store", store_is(64, True), new_store=True),
        Moment("the store at 128 px begins", "scope", store_is(128, True), new_store=True),
        Moment("the scope is trained", "scope", kept(EPOCHS), 1.0),
        Moment("the model folder begins", "model folder", appears(".model.partial")),
        Moment("the weights are written", "model folder",
               appears(".model.partial/decoder.safetensors")),
        Moment("test is evaluated", "evaluation", appears(".model.partial/brainai.json"), 0.5),
        Moment("the figures begin", "evaluation", appears("figures")),
        Moment("report.md is there", "evaluation", appears("report.md")),
        Moment("report.json is there", "model folder", appears("report.json")),
    ]  # fmt: skip
