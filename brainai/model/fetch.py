"""Find the model folder of a name, on disk or in a repository on the Hub."""

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
PATIENCE = 10.0  # seconds without progress after which the Hub counts as unreachable
IN_A_HURRY = 2.5  # the same if there is a fallback, because the page should start within three
T = TypeVar("T")


@dataclass(frozen=True)
class Fetched:
    """A local model folder, and where it comes from.

    Attributes:
        folder: the folder with the files of the model.
        repository: `owner/name` on the Hub, or None for a folder.
        revision: the requested branch, tag or commit; None for a folder or if none was named.
        commit: the commit of the revision, 40 digits.
        notice: a sentence, which may be shown to visitors, that says if these weights are not the
            requested ones or may be older; else None.
    """

    folder: Path
    repository: str | None = None
    revision: str | None = None
    commit: str | None = None
    notice: str | None = None

    def tell(self) -> None:
        """Print the notice, if there is one, on stderr."""
        if self.notice is not None:
            print(self.notice, file=sys.stderr)

    def __str__(self) -> str:
        if self.commit is None:
            return str(self.folder)
        name = "" if self.revision in (None, self.commit) else f" (revision {self.revision})"
        return f"{self.repository} at commit {self.commit}{name}"


@dataclass(frozen=True)
class Listing:
    """One commit of a repository: its sha, its files by name, and who may see it."""

    repository: str
    commit: str
    files: dict[str, RepoSibling]
    private: bool

    @property
    def id(self) -> str:
        """`owner/name@commit`."""
        return f"{self.repository}@{self.commit}"


def list_files(repository: str, kind: str = "model", revision: str | None = None) -> Listing:
    """List the files of a revision. Errors of the Hub's client are passed on.

    Args:
        kind: "model", "dataset" or "space".
        revision: branch, tag or commit; None means the main branch.
    """
    try:
        found = HfApi().repo_info(
            repository, repo_type=kind, revision=revision, files_metadata=True
        )
        files = {sibling.rfilename: sibling for sibling in found.siblings or ()}
        return Listing(repository, found.sha, files, bool(found.private))
    except (HTTPError, HFValidationError):
        raise
    except (ValueError, LookupError, TypeError) as error:  # for example a network's login page
        raise OSError("the answer is not from the Hub") from error


def list_model(repository: str, revision: str | None) -> Listing:
    """List the files of a model like `list_files`, or raise WeightsError if it has no weights."""
    listing = list_files(repository, revision=revision)
    if {"config.json", WEIGHTS} <= listing.files.keys():
        return listing
    files = sorted(listing.files)
    pickles = [file for file in files if file.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    if pickles:
        raise WeightsError(
            f"{repository} has its weights only as a pickle ({', '.join(pickles[:3])}), which can "
            "run any code when it is loaded. Ask its author for model.safetensors."
        )
    raise WeightsError(
        f"{repository} is not a model of BrainAI or timm: expected config.json and "
        f"model.safetensors, found {', '.join(files[:6]) or 'nothing'}."
    )


def is_same(content: bytes, remote: RepoSibling) -> bool:
    """Return whether content equals a file on the Hub, by its SHA-256 (LFS files) or git hash."""
    if remote.lfs is not None:
        return hashlib.sha256(content).hexdigest() == remote.lfs.sha256
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return named.hexdigest() == remote.blob_id


def fetch_model(name: str | Path, fallback: Path | None = None) -> Fetched:
    """Return the folder of this name if it exists, else fetch a repository from the Hub.

    A commit in the Hub's cache is used without asking the Hub. A branch or tag is looked up. If the
    Hub cannot be reached, or HF_HUB_OFFLINE is set, the cache is used, and then the fallback.

    Args:
        name: a folder, or `owner/name` or `owner/name@revision` (branch, tag or commit).
        fallback: a model folder to use if the Hub cannot be reached.
    Raises:
        HubError: the repository or revision does not exist, access is denied, or the Hub cannot be
            reached and nothing can replace it.
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
            f"The requested weights, {name}, cannot be loaded from the Hub at the moment. The "
            "weights included with this program are used instead."
        )
        return Fetched(fallback, repository, revision, notice=notice)


def _cached(repository: str, revision: str | None) -> Fetched | None:
    """Return the complete model that was last fetched to the Hub's cache, or None.

    It has no notice if the revision is a commit, because a commit never changes.
    """
    try:
        folder = _snapshot(repository, revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    if not is_whole(folder):  # for example because timm fetched it, which needs fewer files
        return None
    notice = None
    if revision is None or not COMMIT.fullmatch(revision):
        notice = (
            f"The Hub was not asked for newer weights of {repository}. The weights fetched last, "
            f"of commit {folder.name[:12]}, are used."
        )
    return Fetched(folder, repository, revision, folder.name, notice)


def _fetch(repository: str, revision: str | None, patience: float) -> Fetched:
    """Look up the commit of a revision and fetch it. Errors of the client are passed on."""
    if constants.HF_HUB_OFFLINE:
        raise OfflineModeIsEnabled(OFFLINE)
    listing = _within(patience, lambda: list_model(repository, revision))
    store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    folder = _within(
        PATIENCE,
        lambda: _snapshot(repository, listing.commit),
        lambda: sum(path.stat().st_size for path in store.glob("blobs/*")),
    )
    for path in folder.iterdir():
        if path.name in FILES and not is_same(path.read_bytes(), listing.files[path.name]):
            path.resolve().unlink()  # otherwise the cache would return the bad file again
            path.unlink(missing_ok=True)
            raise OSError(f"{path.name} was received incompletely")
    name = revision or constants.DEFAULT_REVISION
    if not COMMIT.fullmatch(name):  # as the client does, so that the cache works without the Hub
        note = store / "refs" / name
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(listing.commit)
    return Fetched(folder, repository, revision, listing.commit)


def _snapshot(repository: str, revision: str | None, **options: bool) -> Path:
    """Return the folder of a revision in the Hub's cache, with the files of a model."""
    patterns = list(FILES)
    return Path(
        snapshot_download(repository, revision=revision, allow_patterns=patterns, **options)
    )


def _within(seconds: float, call: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
    """Return the result of a call, or raise TimeoutError if it makes no progress for `seconds`.

    The client's own timeouts apply to each read from a connection and not to name lookups, so that
    a very slow Hub could delay the start by minutes.

    Args:
        progress: a function whose number changes while the call makes progress.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()  # a daemon, so that the program can end if it hangs
    last = progress()
    while not wait([future], seconds).done:
        if (now := progress()) == last:
            raise TimeoutError
        last = now
    return future.result()
