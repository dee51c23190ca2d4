"""Stochastic depth whose random draws depend on the slice and not on the process.

timm's `DropPath` draws from torch's generator, so that the blocks which a slice skips depend on its
batch and its process. Here the draws come from a table with one row per slice, as in augmentation.
Source: Huang et al. 2016, https://arxiv.org/abs/1603.09382
"""

from timm.layers import DropPath
from torch import Tensor, nn


class TablePath(nn.Module):
    """timm's `DropPath` with given `draws`, `[N]` in [0, 1): they say which slices skip a block."""

    def __init__(self, drop_prob: float):
        super().__init__()
        self.drop_prob = drop_prob
        self.draws: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if self.draws is None or len(self.draws) != len(x):
            raise RuntimeError("Call `set_draws` with a row for each slice before the pass.")
        kept = (self.draws >= self.drop_prob).to(x.dtype) / (1 - self.drop_prob)
        return x * kept.view(-1, *[1] * (x.ndim - 1))


def use_table(network: nn.Module) -> None:
    """Replace each of timm's `DropPath` modules in a network by a `TablePath`."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, DropPath):
                setattr(parent, name, TablePath(child.drop_prob or 0.0))


def paths(network: nn.Module) -> list[TablePath]:
    """Return the modules that skip blocks, in the order of the network."""
    return [module for module in network.modules() if isinstance(module, TablePath)]


def set_draws(network: nn.Module, draws: Tensor) -> None:
    """Set the draws that decide which slices skip which blocks in the next training pass.

    Args:
        draws: `[N, P]` uniform in [0, 1), with a row for each slice of the batch and a column for
            each of `paths(network)`.
    """
    for path, column in zip(paths(network), draws.unbind(1), strict=True):
        path.draws = column
