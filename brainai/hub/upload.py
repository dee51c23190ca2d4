"""Files into a repository of the Hub: all in one commit, or none.

The client's `upload_folder` makes several commits where hf_xet is installed, so that a visitor
might load half a model. `create_commit` makes one, and sends no object again that a broken upload
brought.
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

MADE_BY_THE_HUB = {".gitattributes", "README.md"}  # what is in a repository from the start
Files: TypeAlias = Mapping[str, Path | bytes]  # by name in the repository
Operation: TypeAlias = CommitOperationAdd | CommitOperationDelete


@dataclass(frozen=True)
class Target:
    """A repository to write to; it is made where it is not there yet.

    Raises:
        ConfigError: the Hub does not take such a name.
    """

    repository: str  # owner/name
    kind: Literal["model", "dataset", "space"] = "model"
    public: bool = False  # counts only for a repository that is made

    def __post_init__(self) -> None:
        try:
            validate_repo_id(self.repository)
            _owner, _name = self.repository.split("/")
        except ValueError as error:
            raise ConfigError(
                f"Expected owner/name of a repository on the Hub, found {self.repository!r}."
            ) from error

    @property
    def url(self) -> str:
        """Where people find it."""
        prefix = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{constants.ENDPOINT}/{prefix}{self.repository}"


def changes(files: Files, listing: Listing | None, owns: Callable[[str], bool]) -> list[Operation]:
    """What a commit has to do so that a repository holds these files; nothing where it does.

    Args:
        listing: of the repository; None where there is none yet.
        owns: whether a file that is there, and not here, is an old one of ours.
    """
    there = {} if listing is None else listing.files
    operations: list[Operation] = [
        CommitOperationDelete(name) for name in sorted(there) if name not in files and owns(name)
    ]
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        if name not in there or not is_same(data, there[name]):
            operations.append(CommitOperationAdd(name, content))
    return operations


def check_right(target: Target) -> None:
    """Raises HubError where the token is missing or wrong, or may not write there: before hours of
    training, not after. What a fine-grained token may do is not known before it is tried."""
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
    """What the repository holds now; None where there is none, or none that may be seen."""
    with hub_errors(f"{target.url} was not looked up"):
        try:
            return list_files(target.repository, target.kind)
        except RepositoryNotFoundError:
            return None


def expected(listing: Listing | None) -> str:
    """What a later `push` may expect as parent: the commit, or "" where nothing is to be lost."""
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
    """Bring a repository to hold these files, in one commit; the commit, 40 digits.

    Where it holds them already, nothing is written. Files of others stay.

    Args:
        owns: see `changes`.
        parent: the commit that is expected there, "" for an empty or no repository; None is any.
        options: of `HfApi.create_repo`, for a new repository.
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
            parent = "" if parent is None else parent  # none is to come between
            api.create_repo(**place, private=not target.public, exist_ok=True, **options)
            listing = list_files(target.repository, target.kind)
        if parent is not None and parent != expected(listing):
            raise HubError(f"{what}: {CHANGED}")
        operations = changes(files, listing, owns)
        if not operations:
            return listing.commit
        try:
            return api.create_commit(
                **place, operations=operations, commit_message=message, parent_commit=listing.commit
            ).oid
        except (HTTPError, OSError, RuntimeError):
            # The answer may have been lost, not the commit: the client then tries again, and the
            # Hub tells it that the repository changed.
            now = list_files(target.repository, target.kind)
            if changes(files, now, owns):
                raise
            return now.commit


def tags_of(target: Target) -> dict[str, str]:
    """The commit of every tag of a repository that is there."""
    with hub_errors(f"the tags of {target.url} were not looked up"):
        known = HfApi().list_repo_refs(target.repository, repo_type=target.kind).tags
    return {one.name: one.target_commit for one in known}


def add_tag(target: Target, tag: str, commit: str) -> None:
    """Give a commit a name.

    Raises:
        HubError: it has none: the name is taken, or the Hub is away.
    """
    with hub_errors(f"{target.url} has the commit {commit}, but not the tag {tag}"):
        HfApi().create_tag(target.repository, repo_type=target.kind, tag=tag, revision=commit)
