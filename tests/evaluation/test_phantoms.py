"""Specificity on simulated people."""

import pytest
import torch
from torch import nn

from brainai.evaluation.phantoms import KINDS, score_phantoms
from brainai.model.folder import ModelInfo
from brainai.model.network import Output

INFO = ModelInfo(image_size=64, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
COARSE = (6.0, 6.0, 26.0)  # four slices


class Says(nn.Module):
    """Calls every slice tumour, or none, or those with skull: their corners are not exactly 0."""

    decoder = None

    def __init__(self, what: str):
        super().__init__()
        self.what = what

    def forward(self, images: torch.Tensor) -> Output:
        skull = images[:, 0, :4, :4].amax((1, 2)) > 0
        tumor = {"all": 1.0, "none": -1.0}.get(self.what, torch.where(skull, 1.0, -1.0))
        score = torch.ones(len(images)) * tumor
        return Output(torch.stack([torch.zeros_like(score), score], dim=1), None)


@pytest.fixture(scope="module", autouse=True)
def template():
    pytest.importorskip("nilearn", reason="phantoms need nilearn (requirements-dev.txt)")


@pytest.mark.slow
@pytest.mark.parametrize(("what", "value"), [("all", 0), ("none", 1), ("those with skull", 0.5)])
def test_every_slice_called_tumour_is_a_false_alarm(what: str, value: float) -> None:
    found = score_phantoms(Says(what), INFO, 2, device="cpu", spacing_mm=COARSE)
    assert set(found) == set(KINDS)
    for figure in found.values():
        assert figure["value"] == value
        assert (figure["n_patients"], figure["n_slices"]) == (2, 8)
