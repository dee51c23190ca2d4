"""What several processes need beyond Accelerate, so that they compute what one would."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from brainai.errors import BrainAIError, ConfigError


def in_main_process(accelerator: Accelerator, call: Callable, *arguments: object) -> None:
    """Run in the main process alone, and raise in all of them what a user can mend: else the others
    would wait for it for ever."""
    problem: list[str | None] = [None]
    if accelerator.is_main_process:
        try:
            call(*arguments)
        except BrainAIError as error:
            problem = [str(error)]
    broadcast_object_list(problem)
    if problem[0] is not None:
        raise ConfigError(problem[0])


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
