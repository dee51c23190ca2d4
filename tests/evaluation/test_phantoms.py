"""Specificity on simulated people."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from brainai.evaluation.phantoms import KINDS, score_phantoms
from brainai.model.folder import ModelInfo
from brainai.model.network import Output

INFO = ModelInfo(image_size=64, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
COARSE = (6.0, 6.0, 26.0)  # four slices


class Says(nn.Module):
    """Calls every slice tumor, or those with skull: their corners are not exactly 0."""

    decoder = None

    def __init__(self, what: str):
        super().__init__()
        self.what = what

    def forward(self, images: torch.Tensor) -> Output:
        skull = images[:, 0, :4, :4].amax((1, 2)) > 0
        tumor = torch.ones(len(images), dtype=torch.bool) if self.what == "all" else skull
        score = torch.where(tumor, 1.0, -1.0)
        return Output(torch.stack([torch.zeros_like(score), score], dim=1), None)


@pytest.fixture
def template():
    pytest.importorskip("nilearn", reason="phantoms need nilearn")


@pytest.mark.slow
@pytest.mark.usefixtures("template")
def test_every_slice_called_tumor_is_a_false_alarm() -> None:
    """One of two people has a skull."""
    found = score_phantoms(Says("those with skull"), INFO, 2, device="cpu", spacing_mm=COARSE)
    assert set(found) == set(KINDS)
    for figure in found.values():
        assert figure["value"] == 0.5
        assert (figure["n_patients"], figure["n_slices"]) == (2, 8)


class Whitest(nn.Module):
    """Log-odds: twice the percentage of white pixels in a slice, minus 5."""

    decoder = None

    def forward(self, images: torch.Tensor) -> Output:
        white = (images[:, 0] >= 1).float().mean((1, 2)) * 100
        return Output(torch.stack([torch.zeros_like(white), 2 * white - 5], dim=1), None)


def test_phantoms_are_simulated_alike_and_windowed_like_any_picture(monkeypatch) -> None:
    """Two people with two slices each: a ramp, of which 0.5 % is white, and a picture of two gray
    levels, of which half is white."""
    asked = []

    def simulate(seed: int, **options: object) -> SimpleNamespace:
        asked.append((seed, options))
        ramp = np.arange(1000.0, 1000 + 64 * 64).reshape(64, 64)
        steps = np.repeat([0.0, 100.0], 32 * 64).reshape(64, 64)
        return SimpleNamespace(volumes={"flair": np.stack([ramp, steps], axis=2)})

    monkeypatch.setattr("brainai.evaluation.phantoms.simulate", simulate)
    found = score_phantoms(Whitest(), INFO, 2, seed=7, device="cpu")
    assert list(found) == list(KINDS)
    for figure in found.values():
        assert figure["value"] == 0.5  # of the ramp 2 * 0.5 - 5 < 0, of the steps 2 * 50 - 5 > 0
        assert (figure["n_patients"], figure["n_slices"]) == (2, 4)
    assert [seed for seed, _ in asked] == [7, 8] * 3
    assert [options["skull"] for _, options in asked] == [False, True] * 3
    assert [options["spots"] for _, options in asked] == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert [options.get("plaques", False) for _, options in asked] == [False] * 4 + [True] * 2
    assert not any(options["lesion"] for _, options in asked)


def test_slices_are_classified_by_the_threshold_of_the_model(monkeypatch) -> None:
    flat = SimpleNamespace(volumes={"flair": np.zeros((32, 32, 3)) + np.eye(32)[..., None]})
    monkeypatch.setattr("brainai.evaluation.phantoms.simulate", lambda *_, **__: flat)
    for threshold, specificity in ((0.7, 0.0), (0.8, 1.0)):  # sigmoid(1) = 0.731
        info = ModelInfo(image_size=32, threshold=threshold)
        found = score_phantoms(Says("all"), info, 1, device="cpu")
        assert {figure["value"] for figure in found.values()} == {specificity}
