"""Choose which parameters train, and their learning rates: early encoder, late encoder and head."""

from timm.models import group_parameters
from torch import nn

from brainai.model.network import BrainNet

GROUPS = ("early encoder", "late encoder", "head")


def set_trainable(network: BrainNet, train: str) -> None:
    """Freeze the encoder (`train="head"`) or nothing (`train="all"`)."""
    groups = group_names(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(train == "all" or groups[name] == "head")


def parameter_groups(
    network: BrainNet, lr: float, spread: float, weight_decay: float
) -> list[dict]:
    """Return optimizer groups, each with its learning rate, for the parameters that train.

    The learning rate of the head is `lr`, that of the early encoder `lr / spread`, and that of the
    late encoder their geometric mean (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146).
    Biases and norms have no weight decay.
    """
    rates = dict(zip(GROUPS, (lr / spread, lr / spread**0.5, lr), strict=True))
    names = group_names(network)
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((names[name], parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "name": group,
            "lr": rates[group],
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (group, decays), parameters in groups.items()
    ]


def group_names(network: BrainNet) -> dict[str, str]:
    """Return the group of each parameter.

    The head consists of the decoder and the classifier's last layer. The encoder is the sequence of
    stem and stages from timm's `group_matcher`, divided in the middle.
    """
    classifier = network.classifier
    last_layer = classifier.default_cfg["classifier"] + "."
    stages = group_parameters(classifier, classifier.group_matcher(coarse=True), reverse=True)
    encoder = {name: stage for name, stage in stages.items() if not name.startswith(last_layer)}
    middle = max(encoder.values()) / 2
    late = {f"classifier.{name}": stage > middle for name, stage in encoder.items()}
    return {
        name: GROUPS[late[name]] if name in late else "head"
        for name, _ in network.named_parameters()
    }
