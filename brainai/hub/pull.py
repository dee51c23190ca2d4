"""From a name to a model folder: one on disk, or a repository of the Hub in its cache."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download

from brainai.errors import WeightsError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
FILES = ("*.json", "*.safetensors", "README.md")  # never a pickle


def fetch_model(name: str | Path) -> Path:
    """The folder of that name where there is one, else the files of a repository on the Hub.

    Args:
        name: a folder, or `owner/name` or `owner/name@revision` (branch, tag or commit). What is
            in the Hub's cache already is not fetched again.
    Raises:
        WeightsError: there is no such repository or revision, or it cannot be reached.
    """
    folder = Path(name)
    if folder.is_dir() or not HUB_ID.fullmatch(str(name)):
        return folder
    repository, _, revision = str(name).partition("@")
    try:
        return Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES))
        )
    except Exception as error:  # the client's failures have no base of their own
        raise WeightsError(
            f"{name} is no folder here, and no model that the Hub gives: check the name and the "
            "revision, the network (or HF_HUB_OFFLINE), and HF_TOKEN if it is private."
        ) from error
