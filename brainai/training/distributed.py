"""What several processes need beyond Accelerate, so that they compute what one would; on CPUs
batch norm is the exception."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from brainai.data.files import storage_error
from brainai.errors import BrainAIError, ConfigError
from brainai.model.network import BrainNet, with_shared_batch_norm

Result = TypeVar("Result")
LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|timed out", re.I)


class MainProcessFailed(BrainAIError):
    """The main process failed and tells why; raised in the other processes, which end as well."""


def in_main_process(accelerator: Accelerator, call: Callable, *arguments: object) -> None:
    """Run in the main process alone while the others wait, and raise in all of them if it fails.

    Raises:
        BrainAIError: in the main process, what `call` raised; `MainProcessFailed` in the others.
    """
    problem: BrainAIError | None = None
    if accelerator.is_main_process:
        try:
            call(*arguments)
        except BrainAIError as error:
            problem = error
        except OSError as error:
            problem = storage_error(error, Path(error.filename) if error.filename else None)
    found = [None if problem is None else str(problem)]
    broadcast_object_list(found)
    if problem is not None:
        raise problem
    if found[0] is not None:
        raise MainProcessFailed(found[0])


def main_process_first(
    accelerator: Accelerator, call: Callable[..., Result], *arguments: object
) -> Result:
    """Run in the main process, then in the others, which find what it has written; the result.

    Raises:
        BrainAIError: as `in_main_process`.
    """
    result: list[Result] = []
    in_main_process(accelerator, lambda: result.append(call(*arguments)))
    return result[0] if result else call(*arguments)


def lost_process(error: Exception) -> bool:
    """Whether an error means that another process of this training is gone."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return False
    return isinstance(error, dist.DistError) or bool(LOST.search(str(error)))


def share_batch_norm(network: BrainNet, accelerator: Accelerator) -> BrainNet:
    """Let batch norm use the statistics of the global batch, as one process would.

    On GPUs alone: torch has no such batch norm for CPUs, where each process uses those of its own
    part of the batch.
    """
    if accelerator.num_processes == 1 or accelerator.device.type != "cuda":
        return network
    return with_shared_batch_norm(network)


def check_processes(accelerator: Accelerator, launched: int, batch_sizes: list[int]) -> None:
    """Refuse a launch whose processes do not see each other, or that no batch divides into.

    Args:
        launched: processes that the launcher says there are (WORLD_SIZE).
    Raises:
        ConfigError
    """
    if accelerator.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, Accelerate joined {accelerator.num_processes}: "
            "add --cpu where there is no GPU."
        )
    uneven = [size for size in batch_sizes if size % launched]
    if uneven:
        raise ConfigError(
            f"Batch sizes {uneven} do not divide among {launched} processes: change --stages."
        )
