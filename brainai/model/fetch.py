"""From a name to a model folder: one on disk, or a repository of the Hub in its cache."""

import hashlib
import re
import sys
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypeVar

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoSibling

from brainai.errors import HubError, WeightsError
from brainai.model.folder import FILES, WEIGHTS, is_whole
from brainai.model.hub_errors import OFFLINE, hub_errors

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


@dataclass(frozen=True)
class Listing:
    """One commit of a repository: its sha, its files by name, and who may see it."""

    commit: str
    files: dict[str, RepoSibling]
    private: bool


def list_files(
    repository: str, kind: str = "model", revision: str | None = None, timeout: float | None = None
) -> Listing:
    """The files that a revision holds. Raises what the Hub's client raises.

    Args:
        kind: model, dataset or space.
        revision: branch, tag or commit; None is the main branch.
        timeout: seconds for every read of the connection.
    """
    try:
        found = HfApi().repo_info(
            repository, repo_type=kind, revision=revision, timeout=timeout, files_metadata=True
        )
        files = {sibling.rfilename: sibling for sibling in found.siblings or ()}
        return Listing(found.sha, files, bool(found.private))
    except (HTTPError, HFValidationError):
        raise
    except (ValueError, LookupError, TypeError) as error:  # such as the login page of a network
        raise OSError("another answer than the Hub's") from error


def is_same(content: bytes, remote: RepoSibling) -> bool:
    """Whether a file here is one on the Hub, by SHA-256 for a large file, else by git's hash."""
    if remote.lfs is not None:
        return hashlib.sha256(content).hexdigest() == remote.lfs.sha256
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return named.hexdigest() == remote.blob_id


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
    cached = None
    try:
        with hub_errors(f"{name} was not fetched"):
            cached = _cached(repository, revision)
            if cached is not None and cached.notice is None:
                return cached
            return _fetch(repository, revision, PATIENCE if fallback is None else IN_A_HURRY)
    except HubError as error:
        if error.unreachable and cached is not None:
            return cached
        if not error.unreachable or fallback is None or not fallback.is_dir():
            raise
        notice = (
            f"The weights asked for, {name}, cannot be had from the Hub at the moment: those that "
            "came with this program answer."
        )
        return Fetched(fallback, repository, revision, notice=notice)


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


def _cached(repository: str, revision: str | None) -> Fetched | None:
    """What the Hub's cache holds of it, whole, as it was last fetched; without a notice where the
    revision is a commit, which never changes."""
    try:
        folder = _snapshot(repository, revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    if not is_whole(folder):  # timm alone fetches less
        return None
    notice = None
    if revision is None or not COMMIT.fullmatch(revision):
        notice = (
            f"The Hub was not asked whether there are newer weights of {repository}: those last "
            f"fetched answer, of commit {folder.name[:12]}."
        )
    return Fetched(folder, repository, revision, folder.name, notice)


def _fetch(repository: str, revision: str | None, patience: float) -> Fetched:
    """Look a revision up once, and fetch the commit it stands for. Raises what the client does."""
    if constants.HF_HUB_OFFLINE:
        raise OfflineModeIsEnabled(OFFLINE)
    listing = _within(patience, lambda: list_files(repository, "model", revision, patience))
    check_names(set(listing.files), repository)
    store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    folder = _within(
        PATIENCE,
        lambda: _snapshot(repository, listing.commit),
        lambda: sum(path.stat().st_size for path in store.glob("blobs/*")),
    )
    for path in folder.iterdir():
        if path.name in FILES and not is_same(path.read_bytes(), listing.files[path.name]):
            path.resolve().unlink()  # else the cache would answer with it again and again
            path.unlink(missing_ok=True)
            raise OSError(f"{path.name} came incomplete")
    name = revision or constants.DEFAULT_REVISION
    if not COMMIT.fullmatch(name):  # note its commit as the client does, for when the Hub is away
        note = store / "refs" / name
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(listing.commit)
    return Fetched(folder, repository, revision, listing.commit)


def _snapshot(repository: str, revision: str | None, **options: bool) -> Path:
    """The folder of a revision in the Hub's cache, with the files of a model."""
    patterns = list(FILES)
    return Path(
        snapshot_download(repository, revision=revision, allow_patterns=patterns, **options)
    )


def _within(seconds: float, call: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
    """What a call returns, or a TimeoutError once it has made no progress for so long.

    The client's own timeouts are for each read of a connection, and for no name lookup: a Hub that
    answers drop by drop would hold up the start for minutes.

    Args:
        progress: a number that changes while all is well.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()  # one that hangs does not keep the program from ending
    last = progress()
    while not wait([future], seconds).done:
        if (now := progress()) == last:
            raise TimeoutError
        last = now
    return future.result()
