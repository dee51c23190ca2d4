"""The decoded data set: memory-mapped uint8, made once beside the dataset folder. No torch in here.

    <dataset>/.store/<content hash>-<size>.npy   `[N, C + 1, size, size]`, rows as in metadata.csv

Where the dataset folder cannot be written to (a shared disk, Kaggle's /kaggle/input), it lies in
the user's folder for caches instead.

C is 1 where every slice is FLAIR alone, else 3 (FLAIR, T1c, T2); the last plane is the mask, 0 to
255, softened where resizing mixed tumor with brain. Reading a batch touches only its own pages,
so a data set larger than memory trains as well as a small one.

A store ends with a checksum. One that is cut, damaged, or of another shape is made again.
"""

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from joblib import cpu_count
from PIL import Image
from platformdirs import user_cache_path
from tqdm import tqdm

from brainai.data.dataset import PARTS, SliceRecord, read_dataset_info, read_records
from brainai.data.files import NOT_ALLOWED, storage_error, write_whole
from brainai.data.images import fit, prepare_slice
from brainai.data.pools import open_pool
from brainai.data.seals import SealedWriter, check_seal
from brainai.errors import DataError, StorageError

MEMORY = "Free some memory and run the same command again."


@dataclass(frozen=True)
class Store:
    """Decoded slices of one size, in the order of `records`."""

    records: list[SliceRecord]
    planes: np.ndarray  # memory-mapped `[N, C + 1, S, S]` uint8

    def read(self, indices: Iterable[int]) -> np.ndarray:
        """The slices at `indices` as `[n, C + 1, S, S]` uint8, C as stored, the mask last."""
        return self.planes[np.asarray(list(indices), dtype=np.intp)]

    def __reduce__(self) -> tuple:
        """A worker process maps the file for itself: pickled, the planes would be a copy of all."""
        return _mapped, (self.records, self.planes.filename)


def _mapped(records: list[SliceRecord], path: str | Path) -> Store:
    return Store(records, np.load(path, mmap_mode="r"))


def open_store(folder: str | Path, size: int, *, progress: bool = True) -> Store:
    """The store of a dataset folder at one size, made first if it is not there or damaged.

    Several processes may call this at once: one makes it, the others wait for the lock.

    Raises:
        DataError: the folder is no data set, or one of its pictures cannot be read.
        StorageError: there is no room for the store, or no folder for it can be written to.
    """
    folder = Path(folder)
    records = read_records(folder)
    name = f"{read_dataset_info(folder)['content_hash'][:16]}-{size}.npy"
    channels = 1 if all(record.modalities == ("flair",) for record in records) else 3
    shape = (len(records), channels + 1, size, size)
    places = (folder / ".store", _cache(folder))
    for path in (place / name for place in places):
        if _is_whole(path, shape):
            return _mapped(records, path)
        if (lock := _lock(path)) is not None:
            break
    else:
        raise StorageError(
            f"{places[0]} cannot be written to, nor can {places[1]}: copy the data set to a folder "
            "of your own, or let XDG_CACHE_HOME name one that can be written to."
        )
    try:
        if not _is_whole(path, shape):
            if path.exists():
                print(f"{path} is damaged or outdated: it is made again.", file=sys.stderr)
            if path.parent != places[0]:
                print(
                    f"{folder} cannot be written to: its decoded slices go to {path}.",
                    file=sys.stderr,
                )
            _build(folder, records, shape, path, progress)
    finally:
        lock.release()
    return _mapped(records, path)


def _cache(folder: Path) -> Path:
    """Where the stores of a dataset folder lie that cannot be written to."""
    whole = folder.resolve()
    digest = hashlib.sha256(str(whole).encode("utf-8", "surrogateescape")).hexdigest()
    return user_cache_path("brainai") / "stores" / f"{whole.name}-{digest[:8]}"


def _lock(path: Path) -> FileLock | None:
    """The lock on a store, waited for; None where its folder may not be written to.

    Raises:
        StorageError: any other fault, such as a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
    except OSError as error:
        if error.errno in NOT_ALLOWED:
            return None
        raise storage_error(error, path) from error
    return lock


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether the store is there, of this shape, and as it was written."""
    try:
        found = path.stat()
        if not _has_seal(path, found.st_size, found.st_mtime_ns):
            return False
        return np.load(path, mmap_mode="r").shape == shape
    except OSError:
        return False


@lru_cache(maxsize=64)
def _has_seal(path: Path, size: int, modified: int) -> bool:
    """Whether the checksum is right; computed once by a process for a file that stays the same."""
    return check_seal(path) is True


def _build(
    folder: Path, records: list[SliceRecord], shape: tuple[int, ...], path: Path, progress: bool
) -> None:
    read = partial(_read_slice, folder, size=shape[-1], channels=shape[1] - 1)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with write_whole(path) as file, open_pool(cpu_count(), MEMORY) as pool:
        writer = SealedWriter(file)
        np.lib.format.write_array_header_1_0(writer, header)
        slices = pool.map(read, records, chunksize=64)
        title = f"decode at {shape[-1]} px"
        for planes in tqdm(slices, title, len(records), disable=not progress):
            writer.write(planes.tobytes())
        writer.close()


def _read_slice(folder: Path, record: SliceRecord, *, size: int, channels: int) -> np.ndarray:
    """One slice and its mask as `[channels + 1, size, size]` uint8."""
    planes = np.zeros((channels + 1, size, size), np.uint8)
    try:
        pixels = np.atleast_3d(_read_picture(folder / record.file_name))
        for channel in range(channels):
            source = pixels[..., min(channel, pixels.shape[2] - 1)]
            planes[channel] = np.rint(prepare_slice(source, size) * 255)
        if record.mask_file_name:
            mask = _read_picture(folder / record.mask_file_name).astype(np.float32)
            planes[-1] = np.rint(fit(mask, size))
    except (OSError, ValueError, SyntaxError) as error:
        part = folder / PARTS / f"{record.case_id}.json"
        advice = "copy the data set again."
        if part.exists():
            advice = f"delete {part} and prepare the data set again, which reads this case anew."
        raise DataError(
            f"{folder / record.file_name} or its mask cannot be read ({error}): {advice}"
        ) from error
    return planes


def _read_picture(path: Path) -> np.ndarray:
    """The pixels of a PNG whose checksums are right; Pillow's decoder alone ignores them.

    Raises:
        OSError, ValueError, SyntaxError: it cannot be read, or is damaged.
    """
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        return np.asarray(image)
