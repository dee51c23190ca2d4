"""Lock a folder, so that only one process writes to it.

The operating system releases the lock when its process ends, even by a kill, so that nobody ever
has to remove it by hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from brainai.data.files import storage_error
from brainai.errors import ConfigError

LOCK = ".lock"


@contextmanager
def hold(folder: Path, refusal: str, name: str = LOCK) -> Iterator[None]:
    """Hold the lock on a folder until the block ends. The folder is created if necessary.

    The function does not wait for another process that holds the lock.

    Args:
        refusal: the error message if another process holds the lock.
        name: name of the lock file in the folder. The empty file stays there.
    Raises:
        ConfigError: another process holds the lock.
        StorageError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / name)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ConfigError(refusal) from error
    except OSError as error:
        raise storage_error(error, folder / name) from error
    try:
        yield
    finally:
        lock.release()
