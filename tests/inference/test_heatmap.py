"""Prediction.heatmap: right way up, not mirrored, in the picture's own pixels, on one scale."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from brainai import Classifier
from brainai.data.images import decode
from brainai.inference.classifier import Prediction
from brainai.model.folder import ModelInfo
from brainai.model.network import build_network

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LESION = (slice(113, 134), slice(162, 189))  # well inside the tumor of tumor_temporal.png


AROUND = (slice(85, 165), slice(140, 210))  # contains all of it, and a sixth of the head


def bright_band(height: int, width: int) -> np.ndarray:
    pixels = np.zeros((height, width), np.uint8)
    pixels[height * 3 // 4 :, : width // 4] = 200
    return pixels


@pytest.mark.parametrize(("height", "width"), [(48, 96), (96, 48), (64, 64)])
@pytest.mark.parametrize("turned", [(1, 1), (-1, 1), (1, -1)])
def test_the_heat_map_is_aligned_with_the_picture_as_given(plain, height, width, turned):
    # Evidence is 16 ln 3 on the bright corner: heat 1/2 there (tests/model/test_cam.py), else 0.
    classifier, _ = plain(gain=16 * math.log(3))
    pixels = bright_band(height, width)[:: turned[0], :: turned[1]]
    heatmap = classifier.predict(pixels.copy()).heatmap
    assert heatmap.shape == (height, width)
    assert heatmap.dtype == np.float32
    upright = heatmap[:: turned[0], :: turned[1]]
    assert upright[-6, 6] == pytest.approx(0.5, abs=1e-3)  # the middle of the corner
    assert upright[: height // 2].max() == 0
    assert upright[:, width // 2 :].max() == 0


def test_heat_follows_the_weight_of_the_class_and_negative_evidence_gives_none(plain):
    cooled, _ = plain(gain=32 * math.log(3), score_weights=(0.5, 0.0, 0.0))
    assert cooled.predict(bright_band(64, 64)).heatmap.max() == pytest.approx(0.5, abs=1e-3)
    against, _ = plain(gain=-50.0)
    assert against.predict(bright_band(64, 64)).heatmap.max() == 0


def test_evidence_is_computed_only_on_request(plain):
    classifier, _ = plain()
    planes = np.zeros((2, 3, 32, 32), np.float32)
    assert classifier._judge(planes).evidence is None
    assert classifier._judge(planes, explain=True).evidence.shape == (2, 32, 32)


def test_a_classifier_head_without_an_exact_map_gives_no_heat_map():
    torch.manual_seed(0)
    network = build_network("test_convnext", decoder=False)
    info = ModelInfo(architecture="test_convnext", image_size=64, decoder=False)
    assert Classifier(network, info).predict(bright_band(64, 64)).heatmap is None


def answers(classifier: Classifier) -> tuple[Prediction, Prediction, list[Prediction]]:
    """The answers for a phantom with a lesion, for its mirror image, and for other phantoms."""
    pixels = decode(EXAMPLES / "tumor_temporal.png")
    others = [classifier.predict(file) for file in sorted(EXAMPLES.glob("no_tumor_*.png"))]
    return classifier.predict(pixels), classifier.predict(pixels[:, ::-1].copy()), others


def localizes_the_lesion(given: Prediction, mirrored: Prediction, others: list[Prediction]) -> bool:
    """Whether heat lies on a phantom's lesion, not on its mirror image, and on no other phantom."""
    on_lesion = all(
        heatmap[LESION].mean() > max(0.2, 1.5 * heatmap[:, ::-1][LESION].mean())
        for heatmap in (given.heatmap, mirrored.heatmap[:, ::-1])
    )
    return on_lesion and max(other.heatmap.mean() for other in others) < 0.05


def outlines_the_lesion(given: Prediction, mirrored: Prediction, others: list[Prediction]) -> bool:
    """Whether the mask fills the middle of a phantom's lesion and lies around it, on the mirror
    image too, and next to nothing is outlined on other phantoms."""
    on_lesion = all(
        mask[LESION].mean() > 0.9 and mask[AROUND].sum() > 0.9 * mask.sum()
        for mask in (given.mask, mirrored.mask[:, ::-1])
    )
    return on_lesion and max(other.mask.mean() for other in others) < 0.01


@pytest.mark.slow
def test_the_committed_weights_localize_and_outline_the_lesion():
    given = answers(Classifier.load(ROOT / "weights", device="cpu"))
    assert localizes_the_lesion(*given)
    assert outlines_the_lesion(*given)


@pytest.mark.slow
def test_random_weights_outline_no_lesion():
    torch.manual_seed(0)
    network = build_network("resnet18")
    classifier = Classifier(network, ModelInfo(architecture="resnet18", image_size=128))
    assert not outlines_the_lesion(*answers(classifier))
    network.decoder.mask.weight.data *= -1
    assert not outlines_the_lesion(*answers(classifier))


@pytest.mark.slow
def test_random_weights_do_not_localize_the_lesion():
    torch.manual_seed(0)
    network = build_network("resnet18", decoder=False)
    classifier = Classifier(network, ModelInfo(architecture="resnet18", image_size=128))
    assert not localizes_the_lesion(*answers(classifier))
    # Nor when amplified or inverted: the location is missing, not the strength.
    for factor in (1000, -1):
        network.classifier.get_classifier().weight.data *= factor
        assert not localizes_the_lesion(*answers(classifier))
