"""A failing case made smaller while it fails in the same way."""

import dataclasses
import time
from collections.abc import Callable

from tests.fuzz.cases import Case, Files
from tests.fuzz.runner import Runner, group_of

SECONDS = 20.0
LEAST_PIECE = 4  # bytes


def minimize(case: Case, seconds: float = SECONDS) -> tuple[Case, str, str]:
    """The smallest case found within some seconds, and how and where it fails when run alone.

    Requests stay as they are: shorter ones would not be requests. A case that does not fail again
    stays as it is too, and fails with "".
    """
    with Runner(group_of(case)) as runner:

        def tried(files: Files) -> tuple[str, str]:
            found = runner.run(dataclasses.replace(case, files=files))
            return (found["code"], found["where"]) if found["result"] == "failed" else ("", "")

        wanted = tried(case.files)
        if not wanted[0] or case.kind == "request":
            return case, *wanted
        deadline = time.monotonic() + seconds
        files = smaller(case.files, lambda files: tried(files) == wanted, deadline)
        return dataclasses.replace(case, files=files), *wanted


def smaller(files: Files, fails: Callable[[Files], bool], deadline: float) -> Files:
    """Files without those, and without those bytes, that the failure does not need."""
    files = dict(files)
    for name in list(files)[1:]:
        without = {key: content for key, content in files.items() if key != name}
        if time.monotonic() < deadline and fails(without):
            files = without
    for name in list(files):
        content = files[name]
        size = len(content)
        while size > LEAST_PIECE:
            size //= 2
            for place in range(len(content) // size * size, -1, -size):
                if time.monotonic() > deadline:
                    return files
                shorter = content[:place] + content[place + size :]
                if shorter != content and fails({**files, name: shorter}):
                    files[name] = content = shorter
    return files
