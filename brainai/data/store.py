"""The store: the decoded slices of a data set in a memory-mapped uint8 file, without torch.

    <dataset>/.store/<content hash>-<size>.npy   `[N, C + 1, size, size]`, rows as in metadata.csv

If the dataset folder is read-only (a shared disk, Kaggle's /kaggle/input), the store is in the
user's cache folder instead.

C is 1 if all slices have FLAIR alone, else 3 (FLAIR, T1c, T2). The last plane is the mask, 0 to
255, with values in between where resizing mixed tumor with brain. Reading a batch loads only its
own pages, so a data set larger than the memory can be used like a small one.

A store ends with a checksum. A store that is truncated, damaged or of another shape is made again.
A complete store replaces those of the same size that were made before the data set changed.
"""

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
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

CHUNK = 64  # slices that a worker decodes at once; it takes longer to start than to decode them
MEMORY = "Free some memory and run the same command again."


@dataclass(frozen=True)
class Store:
    """Decoded slices of one size, in the order of `records`."""

    records: list[SliceRecord]
    planes: np.memmap  # `[N, C + 1, S, S]` uint8

    def read(self, indices: Iterable[int]) -> np.ndarray:
        """Return the slices at `indices` as `[n, C + 1, S, S]` uint8, the mask last."""
        return self.planes[np.asarray(list(indices), dtype=np.intp)]

    def __reduce__(self) -> tuple:
        """Pickle the path, so that a worker process maps the file instead of copying all planes."""
        return _mapped, (self.records, self.planes.filename)


def _mapped(records: list[SliceRecord], path: str | Path) -> Store:
    return Store(records, np.load(path, mmap_mode="r"))


def open_store(folder: str | Path, size: int, *, progress: bool = True) -> Store:
    """Open the store of a dataset folder at one size. It is made first if missing or damaged.

    Several processes may call this at once. One of them makes the store, the others wait for the
    lock.

    Args:
        folder: the dataset folder.
        size: side of the slices, pixels.
        progress: whether to show a progress bar while the store is made.
    Raises:
        DataError: the folder is not a data set, or one of its pictures cannot be read.
        StorageError: there is not enough space for the store, or no folder for it is writable.
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
            f"Expected a writable folder for the decoded slices, found that neither {places[0]} "
            f"nor {places[1]} is writable. Copy the data set to a folder of your own, or set "
            "XDG_CACHE_HOME to a writable folder."
        )
    try:
        if not _is_whole(path, shape):
            if path.exists():
                print(f"{path} is damaged or outdated and is made again.", file=sys.stderr)
            if path.parent != places[0]:
                print(
                    f"{folder} is not writable, so its decoded slices are stored in {path}.",
                    file=sys.stderr,
                )
            _build(folder, records, shape, path, progress)
            _delete_outdated(path, size)
    finally:
        lock.release()
    return _mapped(records, path)


def _cache(folder: Path) -> Path:
    """Return the folder for the stores of a read-only dataset folder."""
    whole = folder.resolve()
    digest = hashlib.sha256(str(whole).encode("utf-8", "surrogateescape")).hexdigest()
    return user_cache_path("brainai") / "stores" / f"{whole.name}-{digest[:8]}"


def _lock(path: Path) -> FileLock | None:
    """Wait for the lock on a store and return it, or None if its folder is not writable.

    Raises:
        StorageError: any other failure, such as a full disk.
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
    """Return whether the store exists with this shape and is as it was written."""
    try:
        status = path.stat()
        if not _has_seal(path, status.st_size, status.st_mtime_ns):
            return False
        return np.load(path, mmap_mode="r").shape == shape
    except OSError:
        return False


@lru_cache(maxsize=64)
def _has_seal(path: Path, size: int, modified: int) -> bool:
    """Return whether the checksum is right. It is computed once per process and unchanged file."""
    return check_seal(path)


def _build(
    folder: Path, records: list[SliceRecord], shape: tuple[int, ...], path: Path, progress: bool
) -> None:
    read = partial(_read_slice, folder, size=shape[-1], channels=shape[1] - 1)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    workers = min(cpu_count(), len(records) // CHUNK)
    with write_whole(path) as file, ExitStack() as stack:
        slices: Iterator[np.ndarray] = map(read, records)
        if workers > 1:
            pool = stack.enter_context(open_pool(workers, MEMORY))
            slices = _in_processes(pool, read, records, most=3 * workers)
        writer = SealedWriter(file)
        np.lib.format.write_array_header_1_0(writer, header)
        title = f"decode at {shape[-1]} px"
        for planes in tqdm(slices, title, len(records), disable=not progress):
            writer.write(planes.tobytes())
        writer.close()


def _in_processes(
    pool: Executor, read: Callable[[SliceRecord], np.ndarray], records: list[SliceRecord], most: int
) -> Iterator[np.ndarray]:
    """Yield the slices in the order of `records`, decoded by the workers of a pool.

    At most `most` chunks are decoded ahead, so they do not fill the memory if the disk is slow.
    """
    ahead: deque[Future[list[np.ndarray]]] = deque()
    for start in range(0, len(records), CHUNK):
        if len(ahead) == most:
            yield from ahead.popleft().result()
        ahead.append(pool.submit(_read_chunk, read, records[start : start + CHUNK]))
    while ahead:
        yield from ahead.popleft().result()


def _read_chunk(
    read: Callable[[SliceRecord], np.ndarray], records: list[SliceRecord]
) -> list[np.ndarray]:
    return [read(record) for record in records]


def _delete_outdated(path: Path, size: int) -> None:
    """Delete the stores of this size next to `path` that hold another content of the data set.

    On Linux, a process that has mapped a deleted store can still read it, and so can the workers
    that it forks. On Windows, a mapped store cannot be deleted and stays.
    """
    for other in path.parent.glob("[0-9a-f]" * 16 + f"-{size}.npy"):
        if other != path:
            with suppress(OSError):  # another process uses the file or has deleted it
                other.unlink()


def _read_slice(folder: Path, record: SliceRecord, *, size: int, channels: int) -> np.ndarray:
    """Read one slice and its mask as `[channels + 1, size, size]` uint8."""
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
        advice = "Copy the data set again."
        if part.exists():
            advice = f"Delete {part} and prepare the data set again to read this case anew."
        raise DataError(
            f"{folder / record.file_name} or its mask cannot be read ({error}). {advice}"
        ) from error
    return planes


def _read_picture(path: Path) -> np.ndarray:
    """Return the pixels of a PNG after verifying its checksums, which Pillow's decoder ignores.

    Raises:
        OSError, ValueError, SyntaxError: the file cannot be read, or it is damaged.
    """
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        return np.asarray(image)
