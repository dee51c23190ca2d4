"""Store checksums inside files, so that a damaged file is noticed when it is read.

A binary file ends with `SEAL` and the SHA-256 of all bytes before it. A JSON file has the key
`checksum`, the SHA-256 of its other keys and values.
"""

import hashlib
import json
from pathlib import Path
from typing import BinaryIO

SEAL = b"sha256:"
LENGTH = len(SEAL) + hashlib.sha256().digest_size
CHECKSUM = "checksum"
CHUNK = 1 << 20  # bytes read at a time


class SealedWriter:
    """Write to an open file and compute the checksum meanwhile; `close` adds the seal."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        """Write bytes and return their number. Errors of the file are passed on."""
        self._digest.update(data)
        return self._file.write(data)

    def close(self) -> None:
        """Write the seal. The file itself stays open."""
        self._file.write(SEAL + self._digest.digest())


def check_seal(path: Path) -> bool:
    """Return whether a binary file has a seal and is as it was written.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        left = file.seek(0, 2) - LENGTH
        if left < 0:
            return False
        file.seek(left)
        seal = file.read()
        if not seal.startswith(SEAL):
            return False
        file.seek(0)
        digest = hashlib.sha256()
        while left:
            data = file.read(min(left, CHUNK))
            digest.update(data)
            left -= len(data)
    return digest.digest() == seal[len(SEAL) :]


def sealed(values: dict) -> dict:
    """Return JSON values with their checksum added.

    Example:
        >>> unsealed(json.dumps(sealed({"slices": 3})))
        {'slices': 3}
    """
    return values | {CHECKSUM: _checksum(values)}


def unsealed(text: str | bytes) -> dict:
    """Return the values of a JSON file without their checksum.

    Raises:
        ValueError: the text is not a JSON object, or its checksum is missing or does not match the
            values.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object, found {type(values).__name__}")
    if values.pop(CHECKSUM, None) != _checksum(values):
        raise ValueError("its checksum does not match its content")
    return values


def _checksum(values: dict) -> str:
    plain = json.loads(json.dumps(values))  # converts tuples and numeric keys as a file does
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
