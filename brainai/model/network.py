"""The network: a timm encoder with a classification head, and a U-Net decoder for the mask.

The classifier is a plain timm model, so that timm alone can load it.
Source of the decoder: Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597
"""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import timm
import torch
from safetensors import SafetensorError
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn import functional as F

from brainai.errors import ConfigError
from brainai.model.cam import class_evidence, place
from brainai.model.drop_path import use_table

DECODER_WIDTHS = (256, 128, 96, 64, 32)  # channels, deepest map first: strides 32, 16, 8, 4, 2
LEAST_MAPS = 4  # with fewer, the finest map is too coarse for a mask


class Output(NamedTuple):
    """The output of one forward pass.

    logits: `[N, 2]` float: "No Tumor", "Tumor".
    mask_logits: `[N, 1, H, W]` float, or None without a decoder.
    """

    logits: Tensor
    mask_logits: Tensor | None


class ConvBlock(nn.Sequential):
    """3×3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Decoder(nn.Module):
    """U-Net decoder over the feature maps of the encoder. The mask has the size of the finest map.

    A 1×1 convolution reduces the channels of each map before it is joined. The decoder therefore
    needs only about a quarter of the encoder's operations.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        widths = DECODER_WIDTHS[: len(channels)]
        deepest_first = channels[::-1]
        self.narrow = nn.ModuleList(
            nn.Conv2d(inputs, width, 1) for inputs, width in zip(deepest_first, widths, strict=True)
        )
        self.join = nn.ModuleList(
            ConvBlock(widths[i] + widths[i + 1], widths[i + 1]) for i in range(len(widths) - 1)
        )
        self.mask = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return mask logits `[N, 1, h, w]` of the size of the first feature map, the finest."""
        narrowed = [layer(x) for layer, x in zip(self.narrow, features[::-1], strict=True)]
        x = narrowed[0]
        for join, skip in zip(self.join, narrowed[1:], strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = join(torch.cat([x, skip], dim=1))
        return self.mask(x)


class BrainNet(nn.Module):
    """The network: class and mask logits from slices `[N, 3, H, W]` with FLAIR, T1c and T2.

    Example:
        >>> network = build_network("resnet18").eval()
        >>> output = network(torch.zeros(1, 3, 64, 64))
        >>> tuple(output.logits.shape), tuple(output.mask_logits.shape)
        ((1, 2), (1, 1, 64, 64))
    """

    def __init__(self, classifier: nn.Module, decoder: Decoder | None):
        super().__init__()
        self.classifier = classifier
        self.decoder = decoder

    def forward(self, images: Tensor) -> Output:
        return self._answer(images)[0]

    def explain(self, images: Tensor) -> tuple[Output, Tensor | None]:
        """Run the same pass, and return how much each pixel contributes to the class decision.

        Returns:
            The output, and `[N, H, W]` log-odds of `cam.class_evidence`, or None if that returns
            None.
        """
        output, final = self._answer(images)
        evidence = class_evidence(self.classifier, final)
        if evidence is None:
            return output, None
        stride = self.classifier.feature_info[-1]["reduction"]
        return output, place(evidence, stride, images.shape[-2:])

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run encoder and decoder, which is nearly all of the work.

        Returns:
            The last feature map of the encoder, `[N, C, h, w]`, and mask logits at the size of the
            finest feature map, `[N, 1, h', w']`, or None without a decoder.
        """
        if self.decoder is None:
            return self.classifier.forward_features(images), None
        final, features = self.classifier.forward_intermediates(images)
        return final, self.decoder(features)

    def _answer(self, images: Tensor) -> tuple[Output, Tensor]:
        """Return the output, and the last feature map from which the class logits come."""
        final, mask_logits = self.maps(images)
        if mask_logits is not None:
            mask_logits = F.interpolate(mask_logits, size=images.shape[-2:], mode="bilinear")
        return Output(self._score(final), mask_logits), final

    def _score(self, final: Tensor) -> Tensor:
        """Return class logits, always in float32, because slices would tie in bfloat16."""
        with torch.autocast(final.device.type, enabled=False):
            return self.classifier.forward_head(final.float())

    def train(self, mode: bool = True) -> "BrainNet":
        """Set the mode. Frozen batch norms stay in eval mode to keep their statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and is_frozen(module):
                module.eval()
        return self


def build_network(
    architecture: str = "resnet50",
    *,
    pretrained: bool = False,
    pretrained_from: Path | None = None,
    decoder: bool = True,
    drop_path: float = 0.0,
) -> BrainNet:
    """Build a network with two classes for three sequences.

    Args:
        architecture: the name of a timm model. A decoder requires four or five feature maps, each
            half the size of the one before, as in ResNet, RegNet, EfficientNet, DenseNet and
            ConvNeXt.
        pretrained: whether to start the encoder from timm's ImageNet weights, fetched from the Hub.
        pretrained_from: a local copy of these weights: a file or folder with model.safetensors, or
            a folder that is a cache of the Hub.
        decoder: whether to add the decoder.
        drop_path: rate of stochastic depth in training (Huang et al. 2016,
            https://arxiv.org/abs/1603.09382).
    Raises:
        ConfigError: timm has no such architecture, the architecture does not support the options,
            or its weights cannot be fetched.
    """
    file, cache = _imagenet_place(pretrained_from if pretrained else None)
    try:
        classifier = timm.create_model(
            architecture,
            pretrained=pretrained,
            num_classes=2,
            **({"drop_path_rate": drop_path} if drop_path else {}),
            cache_dir=cache,
            pretrained_cfg_overlay={"file": str(file)} if file else {},
        )
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        raise ConfigError(
            f"{architecture} does not support stochastic depth: expected --drop-path 0, found "
            f"{drop_path}."
        ) from error
    except (RuntimeError, SafetensorError) as error:
        if "Unknown model" in str(error):
            raise ConfigError(
                f"Expected a timm architecture such as resnet50, found {architecture!r}."
            ) from error
        if "No pretrained weights exist" in str(error):
            raise ConfigError(
                f"timm has no ImageNet weights of {architecture}. Continue with --no-pretrained "
                "(from scratch), or choose another --architecture."
            ) from error
        if pretrained_from is None:
            raise
        raise ConfigError(
            f"--pretrained-from {pretrained_from}: expected weights of {architecture}, found "
            "those of another architecture or a damaged file."
        ) from error
    except OSError as error:  # every failure of the Hub's client is one
        raise ConfigError(
            f"The ImageNet weights of {architecture} are not in the cache, and the Hub cannot be "
            "reached. Continue with --no-pretrained (from scratch) or with --init-from FOLDER, or "
            "download the weights on a machine with a network and name their folder with "
            "--pretrained-from."
        ) from error
    classifier.pretrained_cfg.pop("file", None)  # a path of this machine
    if not hasattr(classifier, "group_matcher"):
        raise ConfigError(
            f"{architecture} does not define its stem and stages in timm (group_matcher). Choose "
            "another --architecture, such as resnet50."
        )
    use_table(classifier)
    return BrainNet(classifier, Decoder(_map_channels(classifier)) if decoder else None)


def _map_channels(classifier: nn.Module) -> tuple[int, ...]:
    """Return the channels of the feature maps that a decoder joins, the finest first.

    Raises:
        ConfigError: the maps do not halve in size from one to the next, or their number is wrong.
    """
    maps = getattr(classifier, "feature_info", ())
    strides = [each["reduction"] for each in maps]
    halving = all(later == 2 * earlier for earlier, later in pairwise(strides))
    if not (halving and LEAST_MAPS <= len(strides) <= len(DECODER_WIDTHS)):
        raise ConfigError(
            f"{classifier.pretrained_cfg['architecture']}: expected {LEAST_MAPS} or "
            f"{len(DECODER_WIDTHS)} feature maps, each half the size of the one before, found "
            f"strides {strides}. Choose another --architecture, such as resnet50, or --no-decoder."
        )
    return tuple(each["num_chs"] for each in maps)


def check_picture_size(network: BrainNet, size: int) -> None:
    """Raise ConfigError if a network does not accept pictures of this size.

    Many transformers accept only one size.
    """
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size, device=next(network.parameters()).device))
    except (RuntimeError, AssertionError, ValueError) as error:
        name = network.classifier.pretrained_cfg["architecture"]
        raise ConfigError(
            f"{name} does not accept pictures of {size}×{size} pixels. Choose another "
            "--architecture, such as resnet50, or other sizes in --stages."
        ) from error


def imagenet_id(architecture: str) -> str:
    """Return the repository on the Hub with the ImageNet weights of an architecture, `timm/…`."""
    return timm.get_pretrained_cfg(architecture).hf_hub_id


def _imagenet_place(place: Path | None) -> tuple[Path | None, Path | None]:
    """Return a file of weights, or a folder that is a cache of the Hub; the other one is None."""
    if place is None:
        return None, None
    file = place / "model.safetensors" if place.is_dir() else place
    if file.is_file() and file.suffix == ".safetensors":
        return file, None
    if any(place.glob("models--*")):
        return None, place
    raise ConfigError(
        f"--pretrained-from {place}: expected timm's model.safetensors or a cache of the Hub "
        "(with folders models--timm--…), found neither."
    )


def is_frozen(module: nn.Module) -> bool:
    """Return whether a module has parameters and none of them trains."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def with_shared_batch_norm(network: BrainNet) -> BrainNet:
    """Return the network with torch's batch norm that is synchronized across GPUs.

    timm converts it, because timm's norms contain an activation that torch's converter would drop.
    """
    return convert_sync_batchnorm(network)
