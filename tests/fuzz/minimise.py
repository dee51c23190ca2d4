"""A failing case made smaller while it fails in the same way."""

import dataclasses
import time
from collections.abc import Callable, Iterator

from tests.fuzz.cases import Case, Files
from tests.fuzz.runner import Runner, group_of

SECONDS = 20.0
LEAST_PIECE = 4  # bytes


def minimise(case: Case, code: str, seconds: float = SECONDS) -> tuple[Case, bool]:
    """The smallest case found within some seconds, and whether the case failed again at all.

    Args:
        code: how it failed; smaller cases must fail so too.
    """
    with Runner(group_of(case)) as runner:

        def fails(files: Files) -> bool:
            return runner.run(dataclasses.replace(case, files=files)).get("code") == code

        if not fails(case.files):
            return case, False
        deadline = time.monotonic() + seconds
        return dataclasses.replace(case, files=smaller(case.files, fails, deadline)), True


def smaller(files: Files, fails: Callable[[Files], bool], deadline: float) -> Files:
    """Files without those, and without those bytes, that the failure does not need."""
    files = dict(files)
    for name in list(files)[1:]:
        without = {key: content for key, content in files.items() if key != name}
        if time.monotonic() < deadline and fails(without):
            files = without
    for name in files:
        size = len(files[name])
        while size > LEAST_PIECE:
            size //= 2
            for shorter in _shorter(lambda name=name: files[name], size):
                if time.monotonic() > deadline:
                    return files
                if fails(changed := {**files, name: shorter}):
                    files = changed
    return files


def _shorter(content: Callable[[], bytes], size: int) -> Iterator[bytes]:
    """The content without each piece of `size` bytes, from the end to the start."""
    place = len(content()) // size * size
    while place >= 0:
        now = content()
        if now[place : place + size]:
            yield now[:place] + now[place + size :]
        place -= size
