"""Delete uploads within the hour, whatever happens in between.

Gradio's own `delete_cache` knows only the files that it recorded, and stops for good at its first
error: interrupted uploads stay for ever, and one request that names a folder stops it. So the app
has a folder of its own, and every file that stays there too long is deleted. This module must not
import Gradio, which reads the path of that folder when it is imported.
"""

import asyncio
import atexit
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path

from brainai.web.limits import STAY_SECONDS, SWEEP_SECONDS
from brainai.web.places import log_place

PLACE = "GRADIO_TEMP_DIR"
PREFIX = "brainai-uploads-"
CLAIMED: set[str] = set()  # the folders that this process created


def claim_folder() -> None:
    """Create the folder for uploads of this process, unless GRADIO_TEMP_DIR names it already.

    It lies in the folder that GRADIO_TEMP_DIR names, which may belong to other programs too, or
    else in the system's. No other user of the machine can read it, and it is deleted when the
    process ends.
    """
    named = os.environ.get(PLACE)
    if named in CLAIMED:
        return
    parent = Path(named or tempfile.gettempdir()).absolute()
    parent.mkdir(parents=True, exist_ok=True)
    os.environ[PLACE] = folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    CLAIMED.add(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def swept(
    in_use: Callable[[], Collection[str]], afterwards: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Sweep now and every few minutes.

    Args:
        in_use: returns the folders of uploads that requests need; they are kept.
        afterwards: called after each sweep.
    """
    folder = Path(os.environ[PLACE])

    async def sweep_all() -> None:
        # Also the folders of earlier processes, which may have been killed.
        parents = {folder.parent, Path(tempfile.gettempdir())}
        places = {place for parent in parents for place in parent.glob(f"{PREFIX}*")}
        for place in (place for place in places if not place.is_symlink()):
            await asyncio.to_thread(sweep, place, STAY_SECONDS, in_use())
            if place != folder:
                _remove(place, time.time() - STAY_SECONDS)
        await afterwards()

    async def keep_sweeping() -> None:
        while True:
            try:
                await sweep_all()
            except Exception as error:  # without the next sweeps, uploads would stay for ever
                log_place(error)
            await asyncio.sleep(SWEEP_SECONDS)

    task = asyncio.create_task(keep_sweeping())
    try:
        yield
    finally:
        task.cancel()


def sweep(folder: Path, seconds: float, kept: Collection[str] = ()) -> None:
    """Delete old files and old empty folders.

    Args:
        folder: the folder to sweep.
        seconds: age from which on files and empty folders are deleted.
        kept: names of subfolders in which nothing is deleted.
    """
    before = time.time() - seconds
    for place, _, names in os.walk(folder, topdown=False):
        within = Path(place).relative_to(folder).parts
        if within and within[0] in kept:
            continue
        for name in names:
            _remove(Path(place) / name, before)
        if within:
            _remove(Path(place), before)


def _remove(path: Path, before: float) -> None:
    """Remove a file or an empty folder that has not changed since `before`.

    What cannot be removed is left for the next sweep.
    """
    with contextlib.suppress(OSError):
        if path.lstat().st_ctime <= before:  # copies keep the mtime of their source
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
