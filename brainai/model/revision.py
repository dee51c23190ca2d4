"""The revision of a model folder: 12 digits of a hash of all that its answers follow from."""

import hashlib
import json
from pathlib import Path

DIGITS = 12


def revision_of(folder: Path, values: dict) -> str:
    """The revision of a folder: it covers every value of brainai.json, config.json and all weights.

    Args:
        values: of brainai.json, as they are written or read, also those that only a later version
            knows; the revision among them does not count.
    """
    told = {name: value for name, value in values.items() if name != "revision"}
    paths = [folder / "config.json", *folder.glob("*.safetensors")]
    files = {path.name: hash_of(path) for path in paths}
    return hashlib.sha256(json.dumps([told, files], sort_keys=True).encode()).hexdigest()[:DIGITS]


def hash_of(path: Path) -> str:
    """SHA-256 of a file, "" where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
