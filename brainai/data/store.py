"""The decoded data set: memory-mapped uint8, made once beside the dataset folder. No torch in here.

    <dataset>/.store/<content hash>-<size>.npy   `[N, C + 1, size, size]`, rows as in metadata.csv

C is 1 where every slice is FLAIR alone, else 3 (FLAIR, T1c, T2); the last plane is the mask, 0 to
255, softened where resizing mixed tumour with brain. Reading a batch touches only its own pages,
so a data set larger than memory trains as well as a small one.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from brainai.data.dataset import SliceRecord, read_info, read_records
from brainai.data.images import fit, prepare_slice
from brainai.errors import DataError


@dataclass(frozen=True)
class Store:
    """Decoded slices of one size, in the order of `records`."""

    records: list[SliceRecord]
    planes: np.ndarray  # memory-mapped `[N, C + 1, S, S]` uint8

    def read(self, indices: Iterable[int]) -> np.ndarray:
        """The slices at `indices` as `[n, C + 1, S, S]` uint8, C as stored, the mask last."""
        return self.planes[np.asarray(list(indices), dtype=np.intp)]


def open_store(folder: str | Path, size: int, *, progress: bool = True) -> Store:
    """The store of a dataset folder at one size, made first if it is not there.

    Several processes may call this at once: one makes it, the others wait for the lock.

    Raises:
        DataError: the folder is no data set, or one of its pictures cannot be read.
    """
    folder = Path(folder)
    records = read_records(folder)
    path = folder / ".store" / f"{read_info(folder)['content_hash'][:16]}-{size}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _build(folder, records, size, path, progress)
    planes = np.load(path, mmap_mode="r")
    if len(planes) != len(records):
        raise DataError(
            f"{path} holds {len(planes)} slices, metadata.csv {len(records)}: "
            f"delete {path.parent} and start again."
        )
    return Store(records, planes)


def _build(folder: Path, records: list[SliceRecord], size: int, path: Path, progress: bool) -> None:
    channels = 1 if all(record.modalities == ("flair",) for record in records) else 3
    part = path.with_suffix(".partial")
    shape = (len(records), channels + 1, size, size)
    planes = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
    read = partial(_read_slice, folder, size=size, channels=channels)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Spawned, because a forked child of a process that runs torch threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        slices = pool.map(read, records, chunksize=64)
        bar = tqdm(slices, f"decode at {size} px", len(records), disable=not progress)
        for row, decoded in enumerate(bar):
            planes[row] = decoded
    planes.flush()
    del planes
    os.replace(part, path)


def _read_slice(folder: Path, record: SliceRecord, *, size: int, channels: int) -> np.ndarray:
    """One slice and its mask as `[channels + 1, size, size]` uint8."""
    planes = np.zeros((channels + 1, size, size), np.uint8)
    try:
        with Image.open(folder / record.file_name) as image:
            pixels = np.atleast_3d(np.asarray(image))
        for channel in range(channels):
            source = pixels[..., min(channel, pixels.shape[2] - 1)]
            planes[channel] = np.rint(prepare_slice(source, size) * 255)
        if record.mask_file_name:
            with Image.open(folder / record.mask_file_name) as image:
                mask = np.asarray(image, np.float32)
            planes[-1] = np.rint(fit(mask, size))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / record.file_name} or its mask cannot be read ({error}): "
            "prepare the data set again."
        ) from error
    return planes
