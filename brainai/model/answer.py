"""Compute the answers for prepared slices, in one pass that pictures, scans and figures share."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from brainai.data.augment import to_input
from brainai.model.cam import heat
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet, Output

TOP = 0.002  # share of a slice's pixels, about that of a lesion of one centimeter across


class Answer(NamedTuple):
    """The answers for N slices, computed from the network's `Output`, on its device.

    probabilities: `[N]` float64, the probability of tumor.
    class_scores: `[N]` float64, log-odds of tumor from the classifier alone.
    mask_scores: `[N]` float64 from the mask; None without a decoder.
    mask_logits: `[N, S, S]` float32; None without a decoder.
    evidence: `[N, S, S]` float32 from `BrainNet.explain`; None if it was not requested, or if the
        network's head allows no exact map.
    """

    probabilities: Tensor
    class_scores: Tensor
    mask_scores: Tensor | None
    mask_logits: Tensor | None
    evidence: Tensor | None

    def masks(self) -> np.ndarray | None:
        """Return the probability of each pixel, `[N, S, S]` float32; None without a decoder."""
        return None if self.mask_logits is None else self.mask_logits.sigmoid().cpu().numpy()

    def heatmaps(self, weight: float) -> np.ndarray | None:
        """Return `cam.heat`, `[N, S, S]` float32 in [0, 1]; None without evidence.

        Args:
            weight: factor of the class score, the first of `ModelInfo.score_weights`.
        """
        return None if self.evidence is None else heat(self.evidence, weight).cpu().numpy()


@torch.inference_mode()
def answer(network: BrainNet, info: ModelInfo, images: Tensor, *, explain: bool = False) -> Answer:
    """Run one pass over slices on the network's device.

    On a processor with native bfloat16 the pass uses it, which halves its time.

    Args:
        network: the network in eval mode.
        info: the values of its model folder.
        images: `[N, 1 or 3, S, S]`, uint8 or float in [0, 1].
        explain: whether to compute how much each pixel contributes to the class decision.
    """
    inputs = to_input(images, info.mean, info.std)
    halved = inputs.device.type == "cpu" and has_fast_bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=halved):
        output, evidence = network.explain(inputs) if explain else (network(inputs), None)
    class_scores, mask_scores, masks = read_output(output)
    scores = combine(class_scores, mask_scores, info.score_weights)
    return Answer(
        torch.sigmoid(scores),
        class_scores,
        mask_scores,
        masks,
        None if evidence is None else evidence.float(),
    )


def read_output(output: Output) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return class scores, mask scores and mask logits of N slices, as in `Answer`."""
    class_scores = output.logits[:, 1].double() - output.logits[:, 0].double()
    if output.mask_logits is None:
        return class_scores, None, None
    masks = output.mask_logits[:, 0].float()
    return class_scores, score_masks(masks), masks


def score_masks(mask_logits: Tensor) -> Tensor:
    """Return the mean of the highest mask logits, a share of `TOP`: `[N, S, S]` → `[N]` float64."""
    pixels = mask_logits.flatten(1)
    return pixels.topk(max(1, round(TOP * pixels.shape[1])), dim=1).values.double().mean(dim=1)


def combine(
    class_scores: Tensor, mask_scores: Tensor | None, weights: tuple[float, float, float]
) -> Tensor:
    """Combine class and mask scores to log-odds of tumor, `[N]`.

    A small lesion changes the mask score more than the class score, a mean over all places.

    Args:
        class_scores: `[N]`.
        mask_scores: `[N]`; None without a decoder.
        weights: factor of the class score, factor of the mask score, and a constant, from
            `fit_score_weights`.
    """
    class_weight, mask_weight, constant = weights
    scores = class_weight * class_scores + constant
    return scores if mask_scores is None else scores + mask_weight * mask_scores


def has_fast_bfloat16() -> bool:
    """Return whether the processor has native bfloat16. Without it, bfloat16 is slower."""
    return bool(getattr(torch.cpu, "get_capabilities", dict[str, bool])().get("avx512_bf16"))
