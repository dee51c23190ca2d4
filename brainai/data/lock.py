"""One writer for a folder: a lock that the operating system releases when its holder ends.

The lock also ends with a process that is killed, so nobody ever has to remove it by hand.
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
    """Hold a folder, made if need be, until the block ends. Does not wait for another holder.

    Args:
        refusal: what the user is told where another process holds it.
        name: of the lock file in the folder; it stays there, empty.
    Raises:
        ConfigError: another process holds the folder.
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
