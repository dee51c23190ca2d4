"""Score a split of a dataset folder with a network, in the same way as the app."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from brainai import __version__
from brainai.data.dataset import MODALITIES, SPLITS, read_dataset_info, read_records
from brainai.data.store import Store, open_store
from brainai.errors import ConfigError, DataError
from brainai.evaluation.metrics import UNKNOWN, SliceScores
from brainai.model.answer import answer
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet

INSIDE = 128  # smallest value of a stored mask, 0 to 255, that means tumor


class ScoredBatch(NamedTuple):
    """Scores of n slices, in the order of the arguments of `SliceScores.from_records`."""

    probabilities: Tensor  # [n] float64, of tumor
    mask_counts: Tensor  # [n, 3] int64: tp, fp, fn in pixels of S × S; UNKNOWN without a decoder
    uncalibrated: Tensor  # [n] float64, from the class score alone
    hits: Tensor  # [n, 2] int64, `pointing_hits` of mask and heat map


def score_split(
    network: BrainNet,
    info: ModelInfo,
    dataset_folder: str | Path,
    split: str,
    *,
    modalities: tuple[str, ...] = ("flair",),
    batch_size: int = 16,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> SliceScores:
    """Score every slice of a split.

    Args:
        modalities: sequences that the network may use; the others are replaced by FLAIR. FLAIR
            alone, which is all that most visitors have, is the main case.
        device: device to compute on; None takes the GPU if there is one.

    Raises:
        ConfigError: the split, a sequence or the device is unknown.
        DataError: there is no data set, the split is empty, or a probability is not finite.
    """
    channels = seen_channels(modalities)
    store = open_store(dataset_folder, info.image_size, progress=progress)
    rows = split_rows(store, split, dataset_folder)
    device = choose_device(device)
    network = network.to(device, memory_format=torch.channels_last).eval()
    parts = []
    with tqdm(total=len(rows), desc=f"score {split}", unit="slice", disable=not progress) as bar:
        for start in range(0, len(rows), batch_size):
            planes = torch.from_numpy(store.read(rows[start : start + batch_size]))
            scored = score_batch(network, info, planes.to(device), channels)
            parts.append([values.cpu().numpy() for values in scored])
            bar.update(len(planes))
    records = [store.records[row] for row in rows]
    return SliceScores.from_records(records, *map(np.concatenate, zip(*parts, strict=True)))


def score_batch(
    network: BrainNet, info: ModelInfo, planes: Tensor, channels: list[int]
) -> ScoredBatch:
    """Score a batch and compare it with the ground truth.

    Args:
        planes: `[n, C + 1, S, S]` uint8 from the store, C = 1 or 3, the mask last.
        channels: the stored channel for each of the three input channels.
    """
    images, truth = planes[:, :-1], planes[:, -1] >= INSIDE
    if images.shape[1] > 1:
        images = images[:, channels]
    answers = answer(network, info, images, explain=True)
    hits = [pointing_hits(maps, truth) for maps in (answers.mask_logits, answers.evidence)]
    mask_counts = torch.full((len(planes), 3), UNKNOWN, device=truth.device)
    if answers.mask_logits is not None:
        predicted = answers.mask_logits > 0
        counts = [truth & predicted, ~truth & predicted, truth & ~predicted]
        mask_counts = torch.stack([pixels.sum(dim=(1, 2)) for pixels in counts], dim=1)
    return ScoredBatch(
        answers.probabilities,
        mask_counts,
        torch.sigmoid(answers.class_scores),
        torch.stack(hits, dim=1),
    )


def pointing_hits(maps: Tensor | None, truth: Tensor) -> Tensor:
    """Return whether the strongest pixel of each map lies in the tumor.

    This is the pointing game of Zhang et al. 2018, https://doi.org/10.1007/s11263-017-1059-x

    Args:
        maps: `[n, S, S]`, or None.
        truth: `[n, S, S]` bool.
    Returns:
        `[n]` int64: 1, 0, or UNKNOWN without a map or without tumor.
    """
    if maps is None:
        return torch.full((len(truth),), UNKNOWN, device=truth.device)
    strongest = maps.flatten(1).argmax(dim=1, keepdim=True)
    hit = truth.flatten(1).gather(1, strongest)[:, 0].long()
    return torch.where(truth.flatten(1).any(dim=1), hit, UNKNOWN)


def choose_device(name: str | torch.device | None) -> torch.device:
    """Return the named device; without a name, the GPU if there is one, else the CPU.

    Raises:
        ConfigError: the machine has no such device.
    """
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"Expected a device that torch can use on this machine, found {str(name)!r}: try cpu."
        ) from error


def seen_channels(modalities: tuple[str, ...]) -> list[int]:
    """Return the stored channel for each input channel: FLAIR's for sequences not to be used.

    Raises:
        ConfigError: FLAIR is not among the sequences, or one is unknown.
    """
    if MODALITIES[0] not in modalities or set(modalities) - set(MODALITIES):
        raise ConfigError(
            f"Expected {MODALITIES[0]}, alone or with others as in {'+'.join(MODALITIES)}, found "
            f"{'+'.join(modalities)!r}."
        )
    return [row if name in modalities else 0 for row, name in enumerate(MODALITIES)]


def split_rows(store: Store, split: str, dataset_folder: str | Path) -> np.ndarray:
    """Return the rows of a split in a store, `[N]`.

    Raises:
        ConfigError: the split is unknown.
        DataError: the split has no slices.
    """
    if split not in SPLITS:
        raise ConfigError(f"Expected one of the splits {', '.join(SPLITS)}, found {split!r}.")
    rows = np.flatnonzero([record.split == split for record in store.records])
    if not rows.size:
        raise DataError(
            f"{dataset_folder} has no slice in the split {split!r}: "
            "prepare more patients, or choose another split."
        )
    return rows


def slice_loader(dataset_folder: str | Path, image_size: int) -> Callable[[str], np.ndarray]:
    """Return a function that loads a slice by file name for the figures.

    It returns `[C + 1, S, S]` uint8, FLAIR first, mask last.
    """
    store = open_store(dataset_folder, image_size, progress=False)
    rows = {record.file_name: row for row, record in enumerate(store.records)}
    return lambda file_name: store.read([rows[file_name]])[0]


def describe(info: ModelInfo, data: Path, split: str, modalities: tuple[str, ...]) -> dict:
    """Return the `about` part of a report: model, data set, split and sequences."""
    chosen = [record for record in read_records(data) if record.split == split]
    return {
        "model": info.name,
        "model_revision": info.revision,
        "operating_point": info.operating_point,
        "calibrated": info.calibrated,
        "dataset_hash": read_dataset_info(data)["content_hash"],
        "split": split,
        "sites": "+".join(sorted({record.site for record in chosen})),
        "modalities": "+".join(modalities),
        "slices_with_all_modalities": sum(set(modalities) <= set(r.modalities) for r in chosen),
        "image_size": info.image_size,
        "version": __version__,
    }
