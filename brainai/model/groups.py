"""Which parameters train, and how fast: the body early and late, and the head."""

from timm.models import group_parameters
from torch import nn

from brainai.model.network import BrainNet

GROUPS = ("early body", "late body", "head")


def set_trainable(network: BrainNet, train: str) -> None:
    """Freeze the body (`train="head"`) or nothing (`train="all"`)."""
    groups = group_names(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(train == "all" or groups[name] == "head")


def parameter_groups(
    network: BrainNet, lr: float, spread: float, weight_decay: float
) -> list[dict]:
    """Optimizer groups with a learning rate each, for what trains at present.

    The head gets `lr`, the early body `lr / spread`, the late body their geometric mean
    (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146). Biases and norms do not decay.
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
    """The group of each parameter: the head is the decoder and the classifier's last layer; the
    body is timm's own row of stem and stages, `group_matcher`, cut in the middle."""
    classifier = network.classifier
    last_layer = classifier.default_cfg["classifier"] + "."
    stages = group_parameters(classifier, classifier.group_matcher(coarse=True), reverse=True)
    body = {name: stage for name, stage in stages.items() if not name.startswith(last_layer)}
    middle = max(body.values()) / 2
    late = {f"classifier.{name}": stage > middle for name, stage in body.items()}
    return {
        name: GROUPS[late[name]] if name in late else "head"
        for name, _ in network.named_parameters()
    }
