"""The loop does what the recipe says: a configuration in, a run folder out."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from toy import write_dataset

from brainai.data.augmentation import Augmentation
from brainai.data.dataset import read_records, write_records
from brainai.model.network import build_network
from brainai.training.checkpoints import Progress
from brainai.training.config import Stage, TrainConfig
from brainai.training.lr_finder import find_learning_rate, steepest
from brainai.training.stages import (
    augmented_batches,
    fit_stage,
    network_to_keep,
    open_stage,
    train_step,
)

UNCHANGED = Augmentation(**dict.fromkeys(asdict(Augmentation()), 0.0))
STILL = 1e-30  # a rate at which no weight moves


@pytest.fixture(autouse=True)
def own_state() -> Iterator[None]:
    """Reset the state that Accelerate keeps for the life of a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def make_config(dataset_folder: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """One stage at 32 pixels: two slices of six patients, in three updates an epoch."""

    def make(epochs: int = 1, lr: float = 3e-3, **other: object) -> TrainConfig:
        stages = (Stage(32, epochs=epochs, lr=lr, batch_size=4),)
        fields = {"data": dataset_folder, "out": tmp_path / "run", "stages": stages,
                  "augmentation": UNCHANGED, "slices_per_case": 2}  # fmt: skip
        return TrainConfig(**fields | other)

    return make


def new_accelerator() -> Accelerator:
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=True, mixed_precision="no")


def new_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network("test_resnet")


def fit(config: TrainConfig) -> list[dict]:
    """Run the first stage; its epochs as they are logged."""
    (config.out / "checkpoints").mkdir(parents=True, exist_ok=True)
    fit_stage(new_accelerator(), new_network(), config, Progress())
    return logged(config)


def logged(config: TrainConfig) -> list[dict]:
    """The epochs of a run."""
    return [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]


def kept(config: TrainConfig) -> tuple[dict, dict]:
    """The best weights of a run, and those of its last epoch."""
    folder = config.out / "checkpoints"
    last = torch.load(folder / "last.pt", weights_only=True)["network"]
    return load_file(folder / "best.safetensors"), last


def alike(one: dict, other: dict) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_mask_loss_counts_by_its_weight(make_config: Callable) -> None:
    class_alone, once, three_times = (
        fit(make_config(lr=STILL, mask_weight=weight))[0]["train_loss"] for weight in (0, 1, 3)
    )
    assert once > class_alone + 0.1
    assert three_times - class_alone == pytest.approx(3 * (once - class_alone), rel=1e-4)


def test_the_logged_loss_is_the_mean_over_the_updates(make_config: Callable) -> None:
    config, accelerator = make_config(lr=STILL), new_accelerator()
    fitting = open_stage(accelerator, new_network(), config, 0)
    fitting.network.train()
    batches = augmented_batches(accelerator, fitting, config, Progress())
    losses = [float(train_step(accelerator, fitting, config, *batch)) for batch in batches]
    assert len(losses) == 3
    assert max(losses) > min(losses) + 0.01
    assert fit(config)[0]["train_loss"] == pytest.approx(sum(losses) / 3, rel=1e-4)


def test_the_learning_rate_rises_during_the_warm_up_of_a_stage(make_config: Callable) -> None:
    # Two epochs are 6 updates. The rate rises from lr / 25 up to update 6 * 0.5 - 1 = 2, then
    # falls along half a cosine over the 3 updates left: 0.75 of it remain after the first.
    assert fit(make_config(epochs=2, warm_up=0.5))[0]["lr"] == pytest.approx(3e-3 * 0.75, rel=1e-3)


def test_gradients_are_clipped_to_the_maximum_norm(make_config: Callable) -> None:
    # AdamW adds 1e-8 to the size of a gradient: one of 1e-12 moves a weight by 1e-4 of the rate.
    before = new_network().decoder.mask.bias.item()
    moved = {}
    for norm in (1.0, 1e-12):
        config = make_config(clip_norm=norm)
        fit(config)
        moved[norm] = abs(kept(config)[1]["decoder.mask.bias"].item() - before)
    assert moved[1.0] > 1e-3
    assert moved[1e-12] < 1e-5


@pytest.fixture(scope="module")
def contrary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data set with inverted labels in `train`: slices without a disc have a tumor."""
    data = write_dataset(tmp_path_factory.mktemp("contrary"))
    records = [
        replace(r, label=1 - r.label, mask_file_name="", tumor_pixels=r.label - 1)
        if r.split == "train"
        else r
        for r in read_records(data)
    ]
    write_records(data / "metadata.csv", records)
    return data


@pytest.mark.parametrize("spoilt", [True, False])
def test_best_weights_are_those_of_the_best_epoch_not_the_last(
    make_config: Callable, contrary: Path, spoilt: bool
) -> None:
    """One stage learns the true labels, one the inverted ones, in either order."""
    config = make_config(epochs=3, lr=1e-2, slices_per_case=4)
    config = replace(config, stages=config.stages * 2)
    both = (config, replace(config, data=contrary))
    (config.out / "checkpoints").mkdir(parents=True)
    accelerator, network, progress = new_accelerator(), new_network(), Progress()
    first, second = both if spoilt else both[::-1]
    progress = fit_stage(accelerator, network, first, progress)
    _, after_first = kept(config)
    fit_stage(accelerator, network, second, progress)
    best, last = kept(config)
    figures = [epoch["selection"] for epoch in logged(config)]
    assert (figures[-1] < figures[2]) == spoilt
    assert alike(best, after_first if spoilt else last)


def test_an_interrupted_stage_resumes_as_if_it_was_not_interrupted(make_config: Callable) -> None:
    config = make_config(epochs=3, average=0.5, augmentation=Augmentation())
    (config.out / "checkpoints").mkdir(parents=True)
    fit_stage(new_accelerator(), new_network(), config, Progress())
    whole = kept(config), logged(config)
    saved = torch.load(config.out / "checkpoints" / "previous.pt", weights_only=True)
    progress = Progress(**saved.pop("progress"))
    assert progress.epoch == 2
    (config.out / "checkpoints" / "last.pt").unlink()
    (config.out / "metrics.jsonl").unlink()
    fit_stage(new_accelerator(), build_network("test_resnet"), config, progress, saved)
    for one, other in zip(whole[0], kept(config), strict=True):
        assert alike(one, other)
    (trained,) = logged(config)  # only the last epoch
    assert trained | {"images_per_second": 0} == whole[1][2] | {"images_per_second": 0}


def test_the_average_includes_the_statistics_of_batch_norm(make_config: Callable) -> None:
    network = new_network()
    fitting = open_stage(new_accelerator(), network, make_config(average=0.75), 0)
    own, averaged = (
        dict(net.named_buffers()) for net in (network, network_to_keep(network, fitting))
    )
    name = next(name for name in own if name.endswith("running_mean"))
    for value in (8.0, 0.0):  # the first update copies; then 0.75 of 8 and 0.25 of 0
        own[name].fill_(value)
        fitting.ema.update_parameters(fitting.network)
    assert averaged[name].tolist() == pytest.approx([6.0] * len(own[name]))


def first_batch(config: TrainConfig) -> tuple[torch.Tensor, ...]:
    """What `augmented_batches` yields for the first update."""
    accelerator = new_accelerator()
    fitting = open_stage(accelerator, new_network(), config, 0)
    return next(augmented_batches(accelerator, fitting, config, Progress()))


def test_a_slice_counts_in_the_loss_by_its_weight(make_config: Callable) -> None:
    config = make_config()
    accelerator = new_accelerator()

    def loss(weights: torch.Tensor) -> float:
        fitting = open_stage(accelerator, new_network(), config, 0)
        *batch, _, draws = next(augmented_batches(accelerator, fitting, config, Progress()))
        return float(train_step(accelerator, fitting, config, *batch, weights, draws))

    count = config.stages[0].batch_size
    first = torch.zeros(count)
    first[0] = 1
    assert loss(torch.zeros(count)) == 0
    assert loss(torch.ones(count)) == pytest.approx(loss(first) + loss(1 - first), rel=1e-4)
    assert loss(3 * first) == pytest.approx(3 * loss(first), rel=1e-4)


def test_hard_slices_have_the_weight_of_the_recipe(make_config: Callable) -> None:
    assert set(first_batch(make_config())[4].tolist()) == {1.0}
    assert max(first_batch(make_config(hard_weight=5.0))[4].tolist()) == 5.0


@pytest.mark.parametrize("change", sorted(set(asdict(Augmentation())) - {"drop"}))
def test_every_augmentation_of_the_recipe_reaches_the_network(
    make_config: Callable, change: str
) -> None:
    plain = first_batch(make_config())
    how = replace(UNCHANGED, **{change: 0.9})
    changed = first_batch(make_config(augmentation=how))
    assert (changed[0] - plain[0]).abs().mean() > 0.01
    moves = {"flip", "rotation", "scale", "shift", "warp", "lend"}
    assert torch.allclose(changed[2], plain[2], atol=1e-3) == (change not in moves)


def test_every_epoch_augments_its_slices_differently(make_config: Callable) -> None:
    config = make_config(augmentation=replace(UNCHANGED, gain=0.5))
    accelerator = new_accelerator()
    fitting = open_stage(accelerator, new_network(), config, 0)
    first, again, second = (
        torch.cat([b[0] for b in augmented_batches(accelerator, fitting, config, progress)])
        for progress in (Progress(0, 0), Progress(0, 0), Progress(0, 1))
    )
    assert torch.equal(first, again)
    bright = [epoch.mean((1, 2, 3)).sort().values for epoch in (first, second)]  # in any order
    assert not torch.allclose(*bright, atol=1e-3)


def test_the_suggested_rate_is_where_the_loss_falls_fastest() -> None:
    rates = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    # Slopes between neighbors of a rate, over two decades: -0.5, -1.4, -1.1; the rise is left out.
    assert steepest(rates, [2.0, 1.9, 1.5, 0.5, 0.4, 9.0]) == 1e-3
    assert steepest(rates, [2.0, 1.9, 1.5, 0.5, 0.4, float("nan")]) == 1e-3


@pytest.mark.parametrize("losses", [[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]])
def test_a_loss_that_hardly_falls_suggests_the_lowest_rate(losses: list[float]) -> None:
    assert steepest([1e-3, 1e-2, 1e-1], losses) == 1e-3


def test_two_updates_of_falling_loss_are_enough_to_suggest_a_rate() -> None:
    assert steepest([1e-3, 1e-2, 1e-1], [2.0, 1.9, 1.0]) == 1e-1


def test_the_rate_finder_writes_its_curve_and_its_suggestion(make_config: Callable) -> None:
    config = make_config()
    config.out.mkdir()
    found = find_learning_rate(new_accelerator(), new_network(), config, updates=25)
    tried = json.loads((config.out / "lr_finder.json").read_text())
    assert tried["suggestion"] == found == steepest(tried["lr"], tried["loss"])
    assert tried["lr"][0] == pytest.approx(1e-6)
    assert 1e-5 < found < 1
    # From 1e-6 to 1 in 25 steps: four a decade.
    assert tried["lr"][4] == pytest.approx(1e-5)
    assert len(tried["lr"]) == len(tried["loss"]) <= 25
    assert (config.out / "figures" / "lr_finder.png").stat().st_size > 1000
