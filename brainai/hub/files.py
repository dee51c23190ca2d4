"""What a repository of the Hub holds, and whether files here are the same."""

import hashlib
from dataclasses import dataclass

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, HTTPError
from huggingface_hub.hf_api import RepoSibling


@dataclass(frozen=True)
class Listing:
    """One commit of a repository: its sha, its files by name, and who may see it."""

    commit: str
    files: dict[str, RepoSibling]
    private: bool


def list_files(
    repository: str, kind: str = "model", revision: str | None = None, timeout: float | None = None
) -> Listing:
    """The files that a revision holds; raises what the Hub's client raises.

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
    """Whether a file here is one on the Hub: by SHA-256 where it is a large one, else as git names
    it."""
    if remote.lfs is not None:
        return hashlib.sha256(content).hexdigest() == remote.lfs.sha256
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return named.hexdigest() == remote.blob_id
