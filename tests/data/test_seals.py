"""Checksums inside files: every changed byte is detected."""

import json
from pathlib import Path

import pytest

from brainai.data.files import write_whole
from brainai.data.seals import SEAL, SealedWriter, check_seal, sealed, unsealed


def write(path: Path, *parts: bytes) -> bytes:
    with write_whole(path) as file:
        writer = SealedWriter(file)
        for part in parts:
            writer.write(part)
        writer.close()
    return path.read_bytes()


def test_every_changed_byte_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = write(path, b"first", b"second")
    assert content.startswith(b"firstsecond" + SEAL)
    assert check_seal(path)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert not check_seal(path), place


def test_a_truncated_or_empty_file_has_no_valid_seal(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = write(path, bytes(100))
    for length in (0, 10, len(content) - 1):
        path.write_bytes(content[:length])
        assert not check_seal(path)


VALUES = {"names": ("a", "b"), "threshold": 0.1, "counts": {3: 1}, "none": None}


def test_sealed_values_are_read_back_without_their_checksum() -> None:
    values = unsealed(json.dumps(sealed(VALUES), indent=2))
    assert values == {"names": ["a", "b"], "threshold": 0.1, "counts": {"3": 1}, "none": None}


def test_no_changed_byte_changes_a_value_unnoticed() -> None:
    text = json.dumps(sealed(VALUES)).encode()
    whole = unsealed(text)
    for place in range(len(text)):
        damaged = bytearray(text)
        damaged[place] ^= 1
        try:
            found = unsealed(bytes(damaged))
        except ValueError:
            continue
        assert {key: found.get(key) for key in whole} == whole, place


@pytest.mark.parametrize("text", ["[1]", "1", "", "{", '{"a": 1}'])
def test_text_that_is_not_a_sealed_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        unsealed(text)
