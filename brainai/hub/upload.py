"""Push files to a repository on the Hub in one commit.

The client's `upload_folder` makes several commits if hf_xet is installed, so somebody could load
half a model. `create_commit` makes one commit, and does not send again what an interrupted upload
already sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects, validate_repo_id

from brainai.errors import ConfigError, HubError
from brainai.model.fetch import Listing, is_same, list_files
from brainai.model.hub_errors import BY_STATUS, CHANGED, OFFLINE, hub_errors

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


def changes(files: Files, listing: Listing | None, owned: list[str]) -> list[Operation]:
    """Return the operations after which a repository holds these files; [] if it already does.

    Args:
        files: the content of each file, by its name in the repository.
        listing: the files of the repository; None if it does not exist yet.
        owned: patterns of files that come from an earlier push, such as "figures/*". They are
            deleted if they are not among `files`.
    """
    remote = {} if listing is None else listing.files
    old = filter_repo_objects(sorted(remote.keys() - files.keys()), allow_patterns=owned)
    operations: list[Operation] = [CommitOperationDelete(name) for name in old]
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
    """Return the commit that a later push must find, or "" if there is nothing to overwrite."""
    empty = listing is None or set(listing.files) <= MADE_BY_THE_HUB
    return "" if empty else listing.commit


def push(
    target: Target,
    files: Files,
    listing: Listing | None,
    *,
    owned: list[str],
    message: str,
    **options: object,
) -> str:
    """Make a repository hold these files, in one commit, and return the commit (40 digits).

    If it already holds them, nothing is written. Files that do not come from an earlier push stay.

    Args:
        target: the repository; it is created if it does not exist.
        files: the content of each file, by its name in the repository.
        listing: the result of `look_up`. The push is refused if the repository has changed since.
        owned: see `changes`.
        message: the commit message.
        options: options of `HfApi.create_repo`, for a new repository.
    Raises:
        HubError: nothing was committed.
    """
    api, place = HfApi(token=True), {"repo_id": target.repository, "repo_type": target.kind}
    what = f"{target.url} was not changed"
    with hub_errors(what):
        if listing is None:
            api.create_repo(**place, private=not target.public, exist_ok=True, **options)
            listing = list_files(target.repository, target.kind)
            if expected_parent(listing):
                raise HubError(f"{what}: {CHANGED}")
        operations = changes(files, listing, owned)
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
            if changes(files, current, owned):
                raise
            return current.commit


def tags_of(target: Target) -> dict[str, str]:
    """Return the commit of each tag of an existing repository."""
    with hub_errors(f"the tags of {target.url} were not looked up"):
        tags = HfApi().list_repo_refs(target.repository, repo_type=target.kind).tags
    return {tag.name: tag.target_commit for tag in tags}
