"""From a name to a model folder: one on disk, or a repository of the Hub in its cache."""

import re
import sys
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypeVar

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from brainai.errors import HubError, WeightsError
from brainai.hub.faults import OFFLINE, told
from brainai.hub.files import Listing, is_same, list_files
from brainai.model.folder import FILES, WEIGHTS, is_whole

HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*?)(@(?P<revision>[\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
PATIENCE = 10.0  # seconds without a sign until the Hub counts as not reached
IN_A_HURRY = 2.5  # seconds, where something stands in for it: a page should be up within three
T = TypeVar("T")


@dataclass(frozen=True)
class Fetched:
    """A model folder that is here, and where it comes from.

    Attributes:
        folder: with the files of a model.
        repository: `owner/name` on the Hub, or None for a folder.
        revision: the branch, tag or commit asked for; None for a folder, or for none named.
        commit: 40 digits, what the revision stood for.
        notice: where other weights answer than those asked for, or perhaps older ones: one
            sentence that says so, fit for a visitor.
    """

    folder: Path
    repository: str | None = None
    revision: str | None = None
    commit: str | None = None
    notice: str | None = None

    def tell(self) -> None:
        """Print the notice, where there is one, for whoever called a command."""
        if self.notice is not None:
            print(self.notice, file=sys.stderr)

    def __str__(self) -> str:
        if self.commit is None:
            return str(self.folder)
        asked = "" if self.revision in (None, self.commit) else f", asked for as {self.revision}"
        return f"{self.repository} at commit {self.commit}{asked}"


def fetch_model(name: str | Path, fallback: Path | None = None) -> Fetched:
    """The folder of that name where there is one, else the files of a repository on the Hub.

    A commit that is in the Hub's cache is taken without asking the Hub. A branch or tag is looked
    up; where the Hub cannot be reached, or HF_HUB_OFFLINE is set, the cache answers, and then the
    fallback.

    Args:
        name: a folder, or `owner/name` or `owner/name@revision` (branch, tag or commit).
        fallback: model folder that may stand in where the Hub cannot be reached.
    Raises:
        HubError: there is no such repository or revision, no right to it, or no Hub.
        WeightsError: the repository holds no model that may be loaded.
    """
    found = HUB_ID.fullmatch(str(name))
    if Path(name).is_dir() or not found:
        return Fetched(Path(name))
    repository, revision = found["repository"], found["revision"]
    try:
        return _fetch(repository, revision, PATIENCE if fallback is None else IN_A_HURRY)
    except HubError as error:
        if not error.unreachable or fallback is None or not fallback.is_dir():
            raise
        notice = (
            f"The weights asked for, {name}, cannot be had from the Hub at the moment: those that "
            "came with this program answer."
        )
        return Fetched(fallback, repository, revision, notice=notice)


def _fetch(repository: str, revision: str | None, patience: float) -> Fetched:
    what = f"{repository if revision is None else f'{repository}@{revision}'} was not fetched"
    with told(what):
        cached = _cached(repository, revision)
    if cached is not None and cached.notice is None:
        return cached
    try:
        if constants.HF_HUB_OFFLINE:
            raise HubError(f"{what}: {OFFLINE}", unreachable=True)
        with told(what):
            listing = _within(
                patience, lambda: list_files(repository, revision=revision, timeout=patience)
            )
            check_names(set(listing.files), repository)
            folder = _download(repository, listing)
            _check_contents(folder, listing)
            _note_commit(folder, revision)
    except HubError as error:
        if error.unreachable and cached is not None:
            return cached
        raise
    return Fetched(folder, repository, revision, listing.commit)


def _download(repository: str, listing: Listing) -> Path:
    """The folder of a commit in the Hub's cache, with the files of a model."""
    store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    return _within(
        PATIENCE,
        lambda: Path(
            snapshot_download(repository, revision=listing.commit, allow_patterns=list(FILES))
        ),
        moving=lambda: sum(path.stat().st_size for path in store.glob("blobs/*")),
    )


def _note_commit(folder: Path, revision: str | None) -> None:
    """Keep in the Hub's cache what a name stood for, as the client does, for when it is away."""
    name = revision or constants.DEFAULT_REVISION
    if not COMMIT.fullmatch(name):
        note = folder.parents[1] / "refs" / name
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(folder.name)


def _cached(repository: str, revision: str | None) -> Fetched | None:
    """What the Hub's cache holds of it, whole, as it was last fetched; without a notice where the
    revision is a commit, which never changes."""
    try:
        found = snapshot_download(
            repository, revision=revision, allow_patterns=list(FILES), local_files_only=True
        )
    except LocalEntryNotFoundError:
        return None
    folder = Path(found)
    if not is_whole(folder):  # timm alone fetches less
        return None
    notice = None
    if revision is None or not COMMIT.fullmatch(revision):
        notice = (
            f"The Hub was not asked whether there are newer weights of {repository}: those last "
            f"fetched answer, of commit {folder.name[:12]}."
        )
    return Fetched(folder, repository, revision, folder.name, notice)


def _check_contents(folder: Path, listing: Listing) -> None:
    """Raises OSError where a file is another than the Hub lists, after it is taken out of the
    cache: there it would be found again and again."""
    for path in folder.iterdir():
        if path.name in FILES and not is_same(path.read_bytes(), listing.files[path.name]):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise OSError(f"{path.name} came incomplete")


def check_names(files: set[str], name: str) -> None:
    """Raises WeightsError, before anything is fetched, where there are no weights to load."""
    if {"config.json", WEIGHTS} <= files:
        return
    pickles = sorted(file for file in files if file.endswith((".bin", ".pt", ".pth", ".ckpt")))
    if pickles:
        raise WeightsError(
            f"{name} holds its weights as a pickle only ({', '.join(pickles[:3])}), which can run "
            "any code when it is loaded: ask its author for model.safetensors."
        )
    raise WeightsError(
        f"{name} is no model of BrainAI or timm: expected config.json and model.safetensors, "
        f"found {', '.join(sorted(files)[:6]) or 'nothing'}."
    )


def _within(seconds: float, call: Callable[[], T], moving: Callable[[], int] | None = None) -> T:
    """What a call returns, or a TimeoutError once it has taken longer.

    The client's own timeouts are for each read of a connection, and for no name lookup: a Hub that
    answers drop by drop would hold up the start for minutes.

    Args:
        moving: a number that grows while all is well: then the time begins anew.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    reached = moving() if moving else 0
    while True:
        try:
            return future.result(seconds)
        except Late as error:  # another class than TimeoutError before Python 3.11
            if future.done():  # it raised one itself
                return future.result()
            last, reached = reached, moving() if moving else 0
            if reached == last:
                raise TimeoutError from error
