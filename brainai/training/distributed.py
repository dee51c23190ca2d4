"""Additions to Accelerate with which several processes compute the same as a single one.

Batch norm on CPUs is the exception, see `share_batch_norm`.
"""

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
    """Raised in the other processes when the main process has failed and printed the reason."""


def in_main_process(accelerator: Accelerator, call: Callable, *arguments: object) -> None:
    """Call a function in the main process while the others wait; raise in all if it fails.

    Raises:
        BrainAIError: the error of `call` in the main process; `MainProcessFailed` in the others.
    """
    problem: BrainAIError | None = None
    if accelerator.is_main_process:
        try:
            call(*arguments)
        except BrainAIError as error:
            problem = error
        except OSError as error:
            problem = storage_error(error, Path(error.filename) if error.filename else None)
    message = [None if problem is None else str(problem)]
    broadcast_object_list(message)
    if problem is not None:
        raise problem
    if message[0] is not None:
        raise MainProcessFailed(message[0])


def main_process_first(
    accelerator: Accelerator, call: Callable[..., Result], *arguments: object
) -> Result:
    """Call a function in the main process, then in the others, and return its result.

    The other processes can therefore read files that the main process has written.

    Raises:
        BrainAIError: as in `in_main_process`.
    """
    result: list[Result] = []
    in_main_process(accelerator, lambda: result.append(call(*arguments)))
    return result[0] if result else call(*arguments)


def lost_process(error: Exception) -> bool:
    """Return whether an error means that another process of this training has ended."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return False
    return isinstance(error, dist.DistError) or bool(LOST.search(str(error)))


def share_batch_norm(network: BrainNet, accelerator: Accelerator) -> BrainNet:
    """Let batch norm use the statistics of the whole batch, as a single process would.

    This works on GPUs only: torch has no synchronized batch norm for CPUs, where each process uses
    the statistics of its own part of the batch.
    """
    if accelerator.num_processes == 1 or accelerator.device.type != "cuda":
        return network
    return with_shared_batch_norm(network)


def check_processes(accelerator: Accelerator, launched: int, batch_sizes: list[int]) -> None:
    """Check that the processes see each other and can divide each batch evenly.

    Args:
        launched: number of processes that the launcher has started (WORLD_SIZE).
        batch_sizes: slices per update in each stage.
    Raises:
        ConfigError: Accelerate joined fewer processes, or a batch size does not divide evenly.
    """
    if accelerator.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, but Accelerate joined only "
            f"{accelerator.num_processes}: add --cpu if there is no GPU."
        )
    uneven = [size for size in batch_sizes if size % launched]
    if uneven:
        raise ConfigError(
            f"Batch sizes {uneven} cannot be divided evenly among {launched} processes: change "
            "--stages or the number of processes."
        )
