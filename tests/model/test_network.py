"""Freezing, groups and shapes of the network."""

import pytest
import torch

from brainai.errors import ConfigError
from brainai.model.network import build_network, parameter_groups, set_trainable


def test_one_pass_gives_two_scores_and_a_mask_of_the_pictures_size() -> None:
    output = build_network("test_resnet")(torch.zeros(2, 3, 64, 96))
    assert output.logits.shape == (2, 2)
    assert output.mask_logits.shape == (2, 1, 64, 96)


def test_without_a_decoder_there_is_no_mask() -> None:
    assert (
        build_network("test_resnet", decoder=False)(torch.zeros(1, 3, 64, 64)).mask_logits is None
    )


def test_a_frozen_body_keeps_weights_and_batch_norm_while_the_head_trains() -> None:
    network = build_network("test_resnet")
    set_trainable(network, "head")
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    groups = parameter_groups(network, lr=0.1, spread=10, weight_decay=0.1)
    optimizer = torch.optim.AdamW(groups)
    output = network(torch.randn(4, 3, 64, 64))
    (output.logits.square().mean() + output.mask_logits.square().mean()).backward()
    optimizer.step()
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert {k for k in changed if not k.startswith(("decoder.", "classifier.fc."))} == set()
    assert "classifier.fc.weight" in changed
    assert any(k.startswith("decoder.") and "running_mean" in k for k in changed)


def test_unfreezing_lets_batch_norm_move_again() -> None:
    network = build_network("test_resnet")
    set_trainable(network, "head")
    set_trainable(network, "all")
    network.train()
    before = network.classifier.bn1.running_mean.clone()
    network(torch.randn(4, 3, 64, 64))
    assert not torch.equal(before, network.classifier.bn1.running_mean)


def test_rates_are_spread_geometrically_from_head_to_stem() -> None:
    groups = parameter_groups(build_network("resnet18"), lr=1e-3, spread=100, weight_decay=0.05)
    rates = {group["name"]: group["lr"] for group in groups}
    assert rates == {
        "head": pytest.approx(1e-3),
        "late body": pytest.approx(1e-4),
        "early body": pytest.approx(1e-5),
    }


def test_every_parameter_stands_in_one_group_and_norms_do_not_decay() -> None:
    network = build_network("test_resnet")
    groups = parameter_groups(network, lr=1e-3, spread=10, weight_decay=0.05)
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    for group in groups:
        flat = all(p.ndim == 1 for p in group["params"])
        assert group["weight_decay"] == (0.0 if flat else 0.05)


def test_an_unknown_architecture_is_told_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match="found 'resnet51'"):
        build_network("resnet51")


def test_unreachable_imagenet_weights_name_the_remedies() -> None:
    with pytest.raises(ConfigError, match=r"--no-pretrained.*--init-from"):
        build_network("resnet18", pretrained=True)
