"""Specificity on simulated people without a tumor, with and without bright spots.

BraTS and LGG hold neither healthy people nor people with other diseases: there, "no tumor" means a
tumor-free slice of a patient with a tumor. Simulated people can fill this gap only in part.
"""

import numpy as np
import torch

from brainai.data.images import prepare_slice
from brainai.evaluation.intervals import summarize_share
from brainai.evaluation.score import choose_device
from brainai.model.answer import answer
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet
from brainai.phantom.study import simulate

KINDS = {
    "no bright spots": {"spots": 0.0},
    "many white-matter spots": {"spots": 1.0},
    "plaques as in multiple sclerosis": {"spots": 0.0, "plaques": True},
}
SPACING_MM = (1.0, 1.0, 4.0)
LEVELS_MM = (-44.0, 60.0)  # from the cerebellum to below the vertex


def score_phantoms(
    network: BrainNet,
    info: ModelInfo,
    studies: int,
    *,
    seed: int = 0,
    device: str | torch.device | None = None,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
) -> dict[str, dict]:
    """Return the specificity of slices of simulated people, from FLAIR alone, for each of `KINDS`.

    All kinds use the same people, every second one with skull and scalp.

    Args:
        studies: number of simulated people.
    Returns:
        `{kind: figure}` with figures of `summarize_share`; each person counts as a patient.
    Raises:
        DataError: nilearn, which contains the anatomical template, is not installed.
        ConfigError: the machine has no such device.
    """
    device = choose_device(device)
    network = network.to(device, memory_format=torch.channels_last).eval()
    figures = {}
    for kind, options in KINDS.items():
        probabilities = [
            _judge(network, info, device, seed + number, number % 2 == 1, options, spacing_mm)
            for number in range(studies)
        ]
        figures[kind] = _specificity(probabilities, info.threshold)
    return figures


def _judge(
    network: BrainNet,
    info: ModelInfo,
    device: torch.device,
    seed: int,
    skull: bool,
    options: dict,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Return the probability of tumor of each slice of a simulated person, `[Z]`."""
    study = simulate(
        seed, lesion=False, skull=skull, spacing_mm=spacing_mm, range_mm=LEVELS_MM, **options
    )
    flair = study.volumes["flair"]
    slices = [prepare_slice(flair[:, :, k].T, info.image_size) for k in range(flair.shape[2])]
    images = torch.from_numpy(np.stack(slices)[:, None]).to(device)
    return answer(network, info, images).probabilities.cpu().numpy()


def _specificity(probabilities: list[np.ndarray], threshold: float) -> dict:
    slices = [len(of_person) for of_person in probabilities]
    people = np.repeat(np.arange(len(probabilities)), slices)
    return summarize_share(people, np.concatenate(probabilities) < threshold)
