"""The cohort scorer: one network over one split of a dataset folder, as the app would answer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from brainai import __version__
from brainai.data.dataset import MODALITIES, SPLITS, read_info, read_records
from brainai.data.store import Store, open_store
from brainai.errors import ConfigError, DataError
from brainai.evaluation.metrics import UNKNOWN, SliceScores
from brainai.model.answer import Answer, answer
from brainai.model.folder import ModelInfo
from brainai.model.network import BrainNet

INSIDE = 128  # a stored mask, 0 to 255, is tumour from here on


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
    """What a network says of every slice of a split.

    Args:
        modalities: the sequences it may see; the others are replaced by FLAIR. FLAIR alone is what
            most visitors have, and the main case.
        device: None is the GPU if there is one.

    Raises:
        ConfigError: an unknown split, sequence or device.
        DataError: no data set, an empty split, or probabilities that are not numbers.
    """
    channels = seen_channels(modalities)
    store = open_store(dataset_folder, info.image_size, progress=progress)
    rows = split_rows(store, split, dataset_folder)
    device = choose_device(device)
    network = network.to(device, memory_format=torch.channels_last).eval()
    probabilities, uncalibrated, masks = [], [], []
    with tqdm(total=len(rows), desc=f"score {split}", unit="slice", disable=not progress) as bar:
        for start in range(0, len(rows), batch_size):
            planes = torch.from_numpy(store.read(rows[start : start + batch_size]))
            found, mask = score_batch(network, info, planes.to(device), channels)
            probabilities.append(found.probabilities.cpu().numpy())
            uncalibrated.append(torch.sigmoid(found.class_scores).cpu().numpy())
            masks.append(mask.cpu().numpy())
            bar.update(len(planes))
    records = [store.records[row] for row in rows]
    return SliceScores.from_records(
        records, *map(np.concatenate, (probabilities, masks, uncalibrated))
    )


def score_batch(
    network: BrainNet, info: ModelInfo, planes: Tensor, channels: list[int]
) -> tuple[Answer, Tensor]:
    """The answer for a batch, and its mask counts.

    Args:
        planes: `[n, C + 1, S, S]` uint8 as the store gives them, C = 1 or 3, the mask last.
        channels: the stored channel that each of the three of the input is read from.

    Returns:
        The answer, and `[n, 3]` int64 (tp, fp, fn) in pixels of S × S, UNKNOWN without decoder.
    """
    images, truth = planes[:, :-1], planes[:, -1] >= INSIDE
    if images.shape[1] > 1:
        images = images[:, channels]
    found = answer(network, info, images)
    if found.mask_logits is None:
        return found, torch.full((len(planes), 3), UNKNOWN)
    claimed = found.mask_logits > 0
    counts = [truth & claimed, ~truth & claimed, truth & ~claimed]
    return found, torch.stack([pixels.sum(dim=(1, 2)) for pixels in counts], dim=1)


def choose_device(name: str | torch.device | None) -> torch.device:
    """The device named, else the GPU if there is one, else the CPU.

    Raises:
        ConfigError: the machine has no such device.
    """
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"Expected a device that torch can use here, found {str(name)!r}: try cpu."
        ) from error


def seen_channels(modalities: tuple[str, ...]) -> list[int]:
    """The stored channel for each channel of the input: its own if it may be seen, else FLAIR's.

    Raises:
        ConfigError: FLAIR is not among them, or one is unknown.
    """
    if MODALITIES[0] not in modalities or set(modalities) - set(MODALITIES):
        raise ConfigError(
            f"Expected sequences of {'+'.join(MODALITIES)}, with {MODALITIES[0]} among them, "
            f"found {'+'.join(modalities)!r}."
        )
    return [row if name in modalities else 0 for row, name in enumerate(MODALITIES)]


def split_rows(store: Store, split: str, dataset_folder: str | Path) -> np.ndarray:
    """The rows of a split in a store, `[N]`.

    Raises:
        ConfigError: an unknown split. DataError: it has no slices.
    """
    if split not in SPLITS:
        raise ConfigError(f"Expected a split of {', '.join(SPLITS)}, found {split!r}.")
    rows = np.flatnonzero([record.split == split for record in store.records])
    if not rows.size:
        raise DataError(
            f"{dataset_folder} has no slice in the split {split!r}: "
            "prepare more patients, or name another split."
        )
    return rows


def slice_loader(dataset_folder: str | Path, image_size: int) -> Callable[[str], np.ndarray]:
    """A function from file name to `[C + 1, S, S]` uint8 (FLAIR first, mask last), for figures."""
    store = open_store(dataset_folder, image_size, progress=False)
    rows = {record.file_name: row for row, record in enumerate(store.records)}
    return lambda file_name: store.read([rows[file_name]])[0]


def describe(info: ModelInfo, data: Path, split: str, modalities: tuple[str, ...]) -> dict:
    """What was evaluated, for the report's `about`."""
    chosen = [record for record in read_records(data) if record.split == split]
    return {
        "model": info.name,
        "model_revision": info.revision,
        "dataset_hash": read_info(data)["content_hash"],
        "split": split,
        "modalities": "+".join(modalities),
        "slices_with_all_modalities": sum(set(modalities) <= set(r.modalities) for r in chosen),
        "image_size": info.image_size,
        "version": __version__,
    }
