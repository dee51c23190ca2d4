"""Push files to a repository on the Hub in one commit.

The client's `upload_folder` makes several commits if hf_xet is installed, so somebody could load
half a model. `create_commit` makes one commit, and does not send again what an interrupted upload
already sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
)
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from brainai.errors import ConfigError, HubError
from brainai.model.fetch import Listing, is_same, list_files
from brainai.model.hub_errors import BY_STATUS, CHANGED, NOT_LOGGED_IN, OFFLINE, hub_errors

MADE_BY_THE_HUB = {".gitattributes", "README.md"}  # files of a new repository
Files: TypeAlias = Mapping[str, Path | bytes]  # by name in the repository
Operation: TypeAlias = CommitOperationAdd | CommitOperationDelete


@dataclass(frozen=True)
class Target:
    """A repository to push to; a missing one is created.

    Raises:
        ConfigError: the Hub does not accept the name.
    """

    repository: str  # owner/name
    kind: Literal["model", "dataset", "space"] = "model"
    public: bool = False  # for a new repository only

    def __post_init__(self) -> None:
        try:
            validate_repo_id(self.repository)
            _owner, _name = self.repository.split("/")
        except ValueError as error:
            raise ConfigError(
                f"Expected a repository on the Hub as owner/name, found {self.repository!r}."
            ) from error

    @property
    def url(self) -> str:
        """Return the address of the repository on the Hub."""
        prefix = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{constants.ENDPOINT}/{prefix}{self.repository}"


def changes(files: Files, listing: Listing | None, owns: Callable[[str], bool]) -> list[Operation]:
    """Return the operations after which a repository holds these files; [] if it already does.

    Args:
        files: the content of each file, by its name in the repository.
        listing: the files of the repository; None if it does not exist yet.
        owns: says for a file of the repository whether it comes from an earlier push. Such a file
            is deleted if it is not among `files`.
    """
    remote = {} if listing is None else listing.files
    operations: list[Operation] = [
        CommitOperationDelete(name) for name in sorted(remote) if name not in files and owns(name)
    ]
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        if name not in remote or not is_same(data, remote[name]):
            operations.append(CommitOperationAdd(name, content))
    return operations


def check_right(target: Target) -> None:
    """Check, before hours of training, that the token may write to the repository.

    A fine-grained token passes: what it may do is known only when it is used.

    Raises:
        HubError: the token is missing or wrong, or may not write there.
    """
    what = f"{target.repository} cannot be written to"
    if constants.HF_HUB_OFFLINE:
        raise HubError(f"{what}: {OFFLINE}")
    if get_token() is None:
        raise HubError(f"{what}: {NOT_LOGGED_IN}")
    with hub_errors(what):
        user = HfApi().whoami()
    owners = {user["name"], *(org["name"] for org in user.get("orgs", ()))}
    role = user.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read" or target.repository.split("/")[0] not in owners:
        raise HubError(f"{what}: {BY_STATUS[403]}")


def look_up(target: Target) -> Listing | None:
    """Return what the repository holds now; None if it does not exist or is not visible."""
    with hub_errors(f"{target.url} was not looked up"):
        try:
            return list_files(target.repository, target.kind)
        except RepositoryNotFoundError:
            return None


def expected_parent(listing: Listing | None) -> str:
    """Return the parent to pass to a later `push`: the commit, or "" if nothing can be lost."""
    empty = listing is None or set(listing.files) <= MADE_BY_THE_HUB
    return "" if empty else listing.commit


def push(
    target: Target,
    files: Files,
    *,
    owns: Callable[[str], bool],
    message: str,
    parent: str | None = None,
    **options: object,
) -> str:
    """Make a repository hold these files, in one commit, and return the commit (40 digits).

    If it already holds them, nothing is written. Files that do not come from an earlier push stay.

    Args:
        target: the repository; it is created if it does not exist.
        files: the content of each file, by its name in the repository.
        owns: see `changes`.
        message: the commit message.
        parent: the expected commit of the repository; "" for an empty or missing one, None for any.
        options: options of `HfApi.create_repo`, for a new repository.
    Raises:
        HubError: nothing was committed.
    """
    api, place = HfApi(), {"repo_id": target.repository, "repo_type": target.kind}
    what = f"{target.url} was not changed"
    if get_token() is None:
        raise HubError(f"{what}: {NOT_LOGGED_IN}")
    with hub_errors(what):
        listing = look_up(target)
        if listing is None:
            parent = "" if parent is None else parent  # no other push may come first
            api.create_repo(**place, private=not target.public, exist_ok=True, **options)
            listing = list_files(target.repository, target.kind)
        if parent is not None and parent != expected_parent(listing):
            raise HubError(f"{what}: {CHANGED}")
        operations = changes(files, listing, owns)
        if not operations:
            return listing.commit
        try:
            return api.create_commit(
                **place, operations=operations, commit_message=message, parent_commit=listing.commit
            ).oid
        except (HTTPError, OSError, RuntimeError):
            # The commit may have succeeded although its answer was lost: the client then tries
            # again, and the Hub answers that the repository has changed.
            current = list_files(target.repository, target.kind)
            if changes(files, current, owns):
                raise
            return current.commit


def tags_of(target: Target) -> dict[str, str]:
    """Return the commit of each tag of an existing repository."""
    with hub_errors(f"the tags of {target.url} were not looked up"):
        tags = HfApi().list_repo_refs(target.repository, repo_type=target.kind).tags
    return {tag.name: tag.target_commit for tag in tags}


def add_tag(target: Target, tag: str, commit: str) -> None:
    """Tag a commit.

    Raises:
        HubError: the tag exists, or the Hub cannot be reached.
    """
    with hub_errors(f"{target.url} has the commit {commit}, but not the tag {tag}"):
        HfApi().create_tag(target.repository, repo_type=target.kind, tag=tag, revision=commit)
