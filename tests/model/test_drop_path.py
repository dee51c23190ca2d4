"""Skipped blocks: the same for a slice in any batch."""

import pytest
import torch

from brainai.model.drop_path import TablePath, paths, set_draws
from brainai.model.network import BrainNet, build_network


@pytest.fixture
def network() -> BrainNet:
    """A network in which every residual branch counts, with batch norm that ignores the batch."""
    torch.manual_seed(0)
    network = build_network("test_resnet", drop_path=0.5).eval()
    for block in network.classifier.modules():
        if hasattr(block, "zero_init_last"):
            last = block.bn3 if hasattr(block, "bn3") else block.bn2
            torch.nn.init.ones_(last.weight)  # timm starts them at 0: skipping changes nothing
    for path in paths(network):
        path.train()
    return network


def answers(network: BrainNet, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    set_draws(network, draws)
    with torch.no_grad():
        return network(images).logits


def test_a_slice_skips_the_same_blocks_in_any_batch(network) -> None:
    images = torch.rand(4, 3, 32, 32)
    draws = torch.rand(4, len(paths(network)))
    together = answers(network, images, draws)
    apart = torch.cat([answers(network, images[[n]], draws[[n]]) for n in range(4)])
    assert torch.allclose(together, apart, atol=1e-5)


def test_different_draws_skip_different_blocks(network) -> None:
    images = torch.rand(1, 3, 32, 32)
    last = len(paths(network)) - 1
    kept = torch.full((1, last + 1), 0.999)
    skipped = kept.clone()
    skipped[0, last] = 0.0
    difference = answers(network, images, kept) - answers(network, images, skipped)
    assert difference.abs().max() > 1e-3


def test_kept_branches_are_scaled_up_to_compensate_for_skipped_ones() -> None:
    path = TablePath(0.2).train()
    path.draws = torch.tensor([0.1, 0.2, 0.9])  # below 0.2 a slice skips
    assert path(torch.full((3, 1, 1, 1), 4.0)).flatten().tolist() == pytest.approx([0, 5, 5])


def test_nothing_is_skipped_in_evaluation_mode() -> None:
    path = TablePath(0.9).eval()
    assert path(torch.tensor([4.0])).item() == 4


def test_a_pass_without_draws_for_its_slices_is_refused() -> None:
    path = TablePath(0.2).train()
    path.draws = torch.tensor([0.1])
    with pytest.raises(RuntimeError, match="set_draws"):
        path(torch.zeros(2, 1, 1, 1))


def test_later_blocks_are_skipped_more_often_and_none_without_drop_path() -> None:
    rates = [path.drop_prob for path in paths(build_network("resnet18", drop_path=0.7))]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])  # the first of eight: 0
    assert paths(build_network("resnet18")) == []
