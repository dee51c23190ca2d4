"""Freezing, groups and shapes of the network."""

import pytest
import torch

from brainai.errors import ConfigError
from brainai.model.groups import group_names, parameter_groups, set_trainable
from brainai.model.network import build_network, check_picture_size, with_shared_batch_norm

# The last part of the early encoder and the first of the late encoder, in five families.
CUTS = {
    "resnet18": ("layer2", "layer3"),
    "regnety_002": ("s2", "s3"),
    "test_efficientnet": ("blocks.1", "blocks.2"),
    "densenet121": ("features.transition2", "features.denseblock3"),
    "test_convnext": ("stages.1", "stages.2"),
}
HEADS = {
    "resnet18": "fc",
    "regnety_002": "head.fc",
    "test_efficientnet": "classifier",
    "densenet121": "classifier",
    "test_convnext": "head.fc",
}


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


def test_unfreezing_updates_batch_norm_again() -> None:
    network = build_network("test_resnet")
    set_trainable(network, "head")
    set_trainable(network, "all")
    network.train()
    before = network.classifier.bn1.running_mean.clone()
    network(torch.randn(4, 3, 64, 64))
    assert not torch.equal(before, network.classifier.bn1.running_mean)


def test_learning_rates_are_spread_geometrically_from_head_to_stem() -> None:
    groups = parameter_groups(build_network("resnet18"), lr=1e-3, spread=100, weight_decay=0.05)
    rates = {group["name"]: group["lr"] for group in groups}
    assert rates == {
        "head": pytest.approx(1e-3),
        "late encoder": pytest.approx(1e-4),
        "early encoder": pytest.approx(1e-5),
    }


def test_every_parameter_is_in_one_group_and_norms_do_not_decay() -> None:
    network = build_network("test_resnet")
    groups = parameter_groups(network, lr=1e-3, spread=10, weight_decay=0.05)
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    for group in groups:
        flat = all(p.ndim == 1 for p in group["params"])
        assert group["weight_decay"] == (0.0 if flat else 0.05)


def test_an_architecture_without_imagenet_weights_raises_a_one_sentence_error() -> None:
    with pytest.raises(ConfigError, match="no ImageNet weights of efficientnet_b6"):
        build_network("efficientnet_b6", pretrained=True)


def test_an_unknown_architecture_raises_a_one_sentence_error() -> None:
    with pytest.raises(ConfigError, match="found 'resnet51'"):
        build_network("resnet51")


def test_the_error_for_unreachable_imagenet_weights_names_the_remedies() -> None:
    with pytest.raises(ConfigError, match=r"--no-pretrained.*--init-from"):
        build_network("resnet18", pretrained=True)


@pytest.mark.parametrize("family", HEADS)
def test_every_family_has_an_early_encoder_a_late_encoder_and_a_head(family: str) -> None:
    names = group_names(build_network(family))
    order = [name for name in names if name.startswith("classifier.")]
    late = [names[name] == "late encoder" for name in order]
    early = [names[name] == "early encoder" for name in order]
    last_early = max(n for n, own in enumerate(early) if own)
    assert order[last_early].startswith(f"classifier.{CUTS[family][0]}.")
    assert order[late.index(True)].startswith(f"classifier.{CUTS[family][1]}.")
    heads = {n for n, group in names.items() if group == "head" and not n.startswith("decoder.")}
    head = f"classifier.{HEADS[family]}"
    assert heads == {f"{head}.weight", f"{head}.bias"}


@pytest.mark.parametrize("family", HEADS)
def test_every_family_gives_the_classifiers_own_scores_and_a_mask(family: str) -> None:
    torch.manual_seed(0)
    network = build_network(family).eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        output = network(images)
        assert torch.allclose(output.logits, network.classifier(images), atol=1e-5)
    assert output.mask_logits.shape == (2, 1, 64, 96)


@pytest.mark.parametrize("family", ["test_resnet", "test_efficientnet", "regnety_002"])
def test_shared_batch_norm_changes_neither_answers_nor_names(family: str) -> None:
    torch.manual_seed(0)
    network = build_network(family).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before, names = network(images), list(network.state_dict())
        shared = with_shared_batch_norm(network)
        after = shared(images)
    assert torch.allclose(before.logits, after.logits, atol=1e-6)
    assert torch.allclose(before.mask_logits, after.mask_logits, atol=1e-6)
    assert list(shared.state_dict()) == names
    norms = [m for m in shared.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in norms)


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("test_vit", "[16, 16"),
        pytest.param("vgg11", "[1, 2, 4", marks=pytest.mark.slow),  # 130 million weights
    ],
)
def test_feature_maps_that_the_decoder_cannot_join_are_refused(name, strides) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        build_network(name)
    assert strides in str(refused.value)
    assert "--no-decoder" in str(refused.value)
    assert build_network(name, decoder=False)(torch.zeros(1, 3, 160, 160)).logits.shape == (1, 2)


def test_a_picture_size_that_the_network_does_not_accept_is_refused() -> None:
    network = build_network("vit_tiny_patch16_224", decoder=False)
    check_picture_size(network, 224)
    with pytest.raises(
        ConfigError, match=r"does not accept pictures of 64×64 pixels\. Choose another"
    ):
        check_picture_size(network, 64)


def test_a_network_without_defined_stages_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"poolformer_s12 does not define its stem"):
        build_network("poolformer_s12", decoder=False)


def test_drop_path_is_refused_for_a_network_without_stochastic_depth() -> None:
    with pytest.raises(
        ConfigError, match=r"densenet121 does not support stochastic depth: expected --drop-path 0"
    ):
        build_network("densenet121", drop_path=0.1)
