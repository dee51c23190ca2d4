"""Push files to a repository on the Hub in one commit.

The client's `upload_folder` makes several commits if hf_xet is installed, so somebody could load
half a model. `create_commit` makes one commit, and does not send again what an interrupted upload
already sent. Errors of the client are passed on; see `hub_errors`.
"""

from dataclasses import dataclass
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects, validate_repo_id

from brainai.errors import ConfigError, HubError
from brainai.hub.card import FIGURES
from brainai.model.fetch import Listing, is_same, list_files
from brainai.model.folder import FILES
from brainai.model.hub_errors import CHANGED

MADE_BY_THE_HUB = {".gitattributes", "README.md"}  # files of a new repository
OWNED = {  # files that come from an earlier push, for each kind of repository
    "model": [*FILES, f"{FIGURES}/*"],
    "space": ["brainai/*", "examples/*", "weights/*"],
    "dataset": [],
}


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


def changes(
    target: Target, files: dict[str, bytes], listing: Listing | None
) -> list[CommitOperationAdd | CommitOperationDelete]:
    """Return the operations after which a repository holds these files; [] if it already does.

    Files that come from an earlier push and are not among `files` are deleted; others stay.
    """
    remote = {} if listing is None else listing.files
    missing = sorted(remote.keys() - files.keys())
    old = filter_repo_objects(missing, allow_patterns=OWNED[target.kind])
    new = [
        CommitOperationAdd(name, content)
        for name, content in files.items()
        if name not in remote or not is_same(content, remote[name])
    ]
    return [*map(CommitOperationDelete, old), *new]


def look_up(target: Target) -> tuple[Listing | None, dict[str, str]]:
    """Return what the repository holds now, and the commit of each tag.

    These are None and {} if the repository does not exist or is not visible.
    """
    try:
        listing = list_files(target.repository, target.kind)
        refs = HfApi().list_repo_refs(target.repository, repo_type=target.kind)
    except RepositoryNotFoundError:
        return None, {}
    return listing, {tag.name: tag.target_commit for tag in refs.tags}


def expected_parent(listing: Listing | None) -> str:
    """Return the commit that a later push must find, or "" if there is nothing to overwrite."""
    return "" if listing is None or set(listing.files) <= MADE_BY_THE_HUB else listing.commit


def push(
    target: Target,
    files: dict[str, bytes],
    listing: Listing | None,
    *,
    message: str,
    **options: object,
) -> str:
    """Make a repository hold these files, in one commit, and return the commit (40 digits).

    If it already holds them, nothing is written. `changes` says what happens to other files.

    Args:
        target: the repository; it is created if it does not exist.
        files: the content of each file, by its name in the repository.
        listing: what `look_up` returned. The push is refused if the repository has changed since.
        message: the commit message.
        options: options of `HfApi.create_repo`, for a new repository.
    """
    api, place = HfApi(token=True), {"repo_id": target.repository, "repo_type": target.kind}
    if listing is None:
        api.create_repo(**place, private=not target.public, exist_ok=True, **options)
        listing = list_files(target.repository, target.kind)
        if expected_parent(listing):
            raise HubError(f"{target.url} was not changed: {CHANGED}")
    operations = changes(target, files, listing)
    if not operations:
        return listing.commit
    try:
        return api.create_commit(
            **place, operations=operations, commit_message=message, parent_commit=listing.commit
        ).oid
    except (HTTPError, OSError, RuntimeError):
        # The commit may have succeeded although its answer was lost: the client then tries again,
        # and the Hub answers that the repository has changed.
        current = list_files(target.repository, target.kind)
        if changes(target, files, current):
            raise
        return current.commit
