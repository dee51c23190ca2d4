"""What several processes need beyond Accelerate, so that they compute what one would."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from brainai.data.files import storage_error
from brainai.errors import BrainAIError, ConfigError

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


def share_batch_norm(network: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Let batch norm use the statistics of the global batch, as one process would."""
    if accelerator.num_processes == 1:
        return network
    if accelerator.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _CpuSyncBatchNorm  # same parameters, same state dict
    return network


class _CpuSyncBatchNorm(nn.BatchNorm2d):
    """Batch norm over all processes on CPUs, where torch's own SyncBatchNorm refuses to work."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        moments = torch.stack([x.float().mean((0, 2, 3)), x.float().square().mean((0, 2, 3))])
        mean, square = all_reduce(moments) / dist.get_world_size()
        var = square - mean.square()
        with torch.no_grad():
            count = x.numel() / x.shape[1] * dist.get_world_size()
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


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
