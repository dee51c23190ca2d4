"""The source `phantom` of `brainai prepare`, which simulates studies if its folder has none."""

from collections.abc import Sequence
from pathlib import Path

from brainai.data import prepare
from brainai.data.files import write_folder
from brainai.data.lock import hold
from brainai.data.options import Prepare
from brainai.data.sources import check_root
from brainai.phantom.files import write_studies


def run(given: Prepare, words: Sequence[str]) -> None:
    """Simulate the studies that are missing, then write the dataset folder.

    Errors are those of `simulate_missing` and of `prepare.run`. A missing folder is an error before
    any study is simulated.
    """
    sources = list(zip(given.source, given.root, strict=True))
    for source, root in sources:
        if source != "phantom":
            check_root(root.resolve())  # before the simulation, which takes minutes
    with prepare.resumable():
        for source, root in sources:
            if source == "phantom":
                simulate_missing(root.resolve(), given.phantoms)
    prepare.run(given, words)


def simulate_missing(root: Path, count: int) -> None:
    """Write `count` simulated studies, all of them or none, if the folder is missing or empty.

    Raises:
        DataError: nilearn is not installed.
        ConfigError: another process is writing the same studies.
    """
    if _has_studies(root):  # checked before the lock, because the disk may be read-only
        return
    busy = f"Another preparation is simulating the studies of {root}. Wait until it has ended."
    with hold(root.parent, busy, f".{root.name}.lock"):
        if _has_studies(root):
            return
        with write_folder(root) as partial:
            write_studies(partial, count=count, seed=0, progress=True)


def _has_studies(root: Path) -> bool:
    return root.is_dir() and any(root.iterdir())
