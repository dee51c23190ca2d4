"""From prepared slices to answers: the one pass that pictures, scans and figures share."""

from typing import NamedTuple

import torch
from torch import Tensor

from brainai.data.augment import to_input
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet, Output

TOP = 0.002  # of a slice's pixels: a lesion of about a centimeter across fills them


class Answer(NamedTuple):
    """What the network says of N slices."""

    probabilities: Tensor  # [N] float64, of tumor
    class_scores: Tensor  # [N] float64, log-odds of tumor of the classifier alone
    mask_scores: Tensor | None  # [N] float64, of the mask; this and the mask None without a decoder
    mask_logits: Tensor | None  # [N, S, S] float32
    evidence: Tensor | None  # [N, S, S] float32 of `BrainNet.explain`, where it was asked for


@torch.inference_mode()
def answer(network: BrainNet, info: ModelInfo, images: Tensor, *, explain: bool = False) -> Answer:
    """One pass over slices that lie on the network's device.

    On a processor that calculates in bfloat16 the pass does too, which halves its time.

    Args:
        images: `[N, 1 or 3, S, S]`, uint8 or float in [0, 1].
        explain: also give each pixel's share in the class decision.
    """
    inputs = to_input(images, info.mean, info.std)
    halved = inputs.device.type == "cpu" and has_fast_bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=halved):
        output, evidence = network.explain(inputs) if explain else (network(inputs), None)
    class_scores, mask_scores, masks = read_output(output)
    scores = combine(class_scores, mask_scores, info.score_weights)
    return Answer(
        torch.sigmoid(scores / info.temperature),
        class_scores,
        mask_scores,
        masks,
        None if evidence is None else evidence.float(),
    )


def read_output(output: Output) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Class scores, mask scores and mask logits of N slices, as in `Answer`."""
    class_scores = output.logits[:, 1].double() - output.logits[:, 0].double()
    if output.mask_logits is None:
        return class_scores, None, None
    masks = output.mask_logits[:, 0].float()
    return class_scores, score_masks(masks), masks


def score_masks(mask_logits: Tensor) -> Tensor:
    """The mean of the highest mask logits, `TOP` of all: `[N, S, S]` → `[N]` float64."""
    pixels = mask_logits.flatten(1)
    return pixels.topk(max(1, round(TOP * pixels.shape[1])), dim=1).values.double().mean(dim=1)


def combine(
    class_scores: Tensor, mask_scores: Tensor | None, weights: tuple[float, float, float]
) -> Tensor:
    """Log-odds of tumor before the temperature, `[N]`, from class and mask together.

    A lesion of few pixels moves the mask more than the class score, a mean over all places.

    Args:
        weights: of the class score, of the mask score, and a constant; `fit_score_weights`.
    """
    of_class, of_mask, constant = weights
    scores = of_class * class_scores + constant
    return scores if mask_scores is None else scores + of_mask * mask_scores


def has_fast_bfloat16() -> bool:
    """True where the processor calculates in bfloat16 itself; elsewhere that is slower."""
    return bool(getattr(torch.cpu, "get_capabilities", dict[str, bool])().get("avx512_bf16"))
