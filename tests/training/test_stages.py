"""Stages: what must hold from one to the next."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from toy import write_dataset

from brainai.data.dataset import read_records, write_records
from brainai.errors import DataError
from brainai.model.network import build_network
from brainai.training.checkpoints import Progress
from brainai.training.config import parse_config
from brainai.training.stages import fit_stage, network_to_keep, open_stage


@pytest.fixture(autouse=True)
def own_state() -> Iterator[None]:
    """Reset the state that Accelerate keeps for the life of a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def config(dataset_folder: Path, tmp_path: Path):
    """Two stages at 32 pixels, with a running average."""
    (tmp_path / "run").mkdir()
    return parse_config(
        ["--preset", "smoke", "--data", str(dataset_folder), "--out", str(tmp_path / "run"),
         "--stages.1.epochs", "1", "--average", "0.75"]
    )  # fmt: skip


@pytest.mark.slow
def test_every_stage_runs_in_the_requested_precision(config) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    network = build_network("test_resnet")
    stage, found = Progress(), []
    network.decoder.mask.register_forward_hook(lambda module, inputs, output: found.append(output))
    for _ in range(2):
        stage = fit_stage(accelerator, network, config, stage)
        assert {output.dtype for output in found} == {torch.bfloat16}
        found.clear()


def test_the_average_is_kept_and_follows_the_weights_by_its_decay(config) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    network = build_network("test_resnet")
    fitting = open_stage(accelerator, network, config, 1)
    bias, averaged = network.decoder.mask.bias, network_to_keep(network, fitting).decoder.mask.bias
    for value in (8.0, 0.0):  # the first update copies; then 0.75 of 8 and 0.25 of 0
        bias.data.fill_(value)
        fitting.ema.update_parameters(fitting.network)
    assert averaged.item() == pytest.approx(6.0)


def test_without_an_average_the_network_itself_is_kept(config) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    network = build_network("test_resnet")
    plain = type(config)(**{**vars(config), "average": 0.0})
    assert network_to_keep(network, open_stage(accelerator, network, plain, 1)) is network


def test_slices_per_case_determine_the_updates_of_an_epoch(config) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    some = type(config)(**{**vars(config), "slices_per_case": 6})
    fitting = open_stage(accelerator, build_network("test_resnet"), some, 1)
    assert fitting.updates == 2  # 6 patients of 8 slices: 36 in batches of 16


def test_too_few_slices_per_case_for_one_batch_are_refused(config) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    few = type(config)(**{**vars(config), "slices_per_case": 2})
    with pytest.raises(
        DataError, match=r"at least one batch of 16 slices.*raise --slices-per-case"
    ):
        open_stage(accelerator, build_network("test_resnet"), few, 1)


def test_an_epoch_of_just_one_batch_is_enough(config) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    one = replace(config, stages=(replace(config.stages[1], batch_size=48),))
    assert open_stage(accelerator, build_network("test_resnet"), one, 0).updates == 1
    more = replace(config, stages=(replace(config.stages[1], batch_size=49),))
    with pytest.raises(DataError, match="at least one batch of 49 slices"):
        open_stage(accelerator, build_network("test_resnet"), more, 0)


@pytest.mark.parametrize("updates", range(1, 7))
def test_a_stage_may_have_any_number_of_updates(config, updates: int) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    short = replace(config.stages[1], batch_size=48, epochs=updates)  # one update an epoch
    network = build_network("test_resnet")
    fitting = open_stage(accelerator, network, replace(config, stages=(short,)), 0)
    rates = []
    for _ in range(updates):
        rates.append(fitting.optimizer.param_groups[-1]["lr"])
        fitting.optimizer.step()
        fitting.schedule.step()
    assert all(0 < rate <= short.lr * 1.0001 for rate in rates)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_split_without_patients_is_refused_before_training(config, tmp_path, split: str) -> None:
    data = write_dataset(tmp_path / "data")
    records = [record for record in read_records(data) if record.split != split]
    write_records(data / "metadata.csv", records)
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    with pytest.raises(DataError, match=f"'{split}': 0"):
        open_stage(accelerator, build_network("test_resnet"), replace(config, data=data), 1)
