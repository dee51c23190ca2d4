"""The revision of a model folder: 12 digits of a hash of its values and of all its weights.

int8.xml and int8.bin are left out on purpose, although answers differ slightly with them: they are
made from the weights, and int8.xml holds a hash of these (docs/decisions/0038-int8.md).
"""

import hashlib
import json
from pathlib import Path

DIGITS = 12


def revision_of(folder: Path, values: dict) -> str:
    """Return the revision of a folder, a hash of brainai.json, config.json and *.safetensors.

    Args:
        values: all values of brainai.json, including values that only a later version knows. The
            revision itself is not hashed.
    """
    hashed = {name: value for name, value in values.items() if name != "revision"}
    paths = [folder / "config.json", *folder.glob("*.safetensors")]
    files = {path.name: hash_of(path) for path in paths}
    return hashlib.sha256(json.dumps([hashed, files], sort_keys=True).encode()).hexdigest()[:DIGITS]


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file, or "" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
