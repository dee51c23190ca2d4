"""The process in which cases run: `python -m tests.fuzz.child GROUP FOLDER`.

It reads one request per line from stdin, {"group", "seed", "index"} or {"case"}, and answers each
with a line of JSON. It may use 2 GB of memory; its parent limits its time and that of its children.
"""

import base64
import contextlib
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEGABYTES = 2048
GROUPS = ("readers", "answers", "requests")
# Libraries start threads with a memory arena each: one is enough for small files.
ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
} | {"MALLOC_ARENA_MAX": "2", "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}


def main() -> int:
    """Answer requests until stdin ends."""
    group, home = sys.argv[1], Path(sys.argv[2])
    limit_memory()
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    if not os.environ.get("FUZZ_SHOW"):
        silence()
    folder = home / "work"
    folder.mkdir()
    tempfile.tempdir = str(folder)
    os.environ |= {"TMPDIR": str(folder), "GRADIO_TEMP_DIR": str(home / "uploads")}
    with prepared(group, home) as run:
        print(json.dumps({"ready": True}), file=replies)
        for line in sys.stdin:
            print(json.dumps(one(json.loads(line), folder, run)), file=replies)
    return 0


def limit_memory() -> None:
    """Private memory of at most `MEGABYTES`, and no core files.

    The limit is that of writable private memory. One of address space would not do: PyTorch maps
    4 GB of it and touches a fifth.
    """
    limit = MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def silence() -> None:
    """Throw away what libraries print: a million warnings would fill the disk."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


@contextlib.contextmanager
def prepared(group: str, folder: Path) -> Iterator[Any]:
    """What runs a case of this group, loaded before the first case is timed."""
    from tests.fuzz.reading import run_case

    if group == "readers":
        yield run_case
        return
    from tests.fuzz import endpoints

    classifier = endpoints.tiny_classifier(folder)
    if group == "answers":
        yield lambda case, work: run_case(case, work, classifier)
        return
    with endpoints.served(classifier) as url:
        yield lambda case, work: endpoints.run_request(case, url)


def one(request: dict[str, Any], folder: Path, run: Any) -> dict[str, Any]:
    """The answer to one request."""
    from tests.fuzz.groups import make_case

    if "case" in request:
        case = unpack(request["case"])
    else:
        case = make_case(request["group"], request["seed"], request["index"])
    forget_peak()
    found = run(case, folder)
    return found | {"peak_mb": peak_megabytes()}


def forget_peak() -> None:
    """Let the kernel reset this process's peak memory, if it can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> int:
    """The peak of resident memory since it was last forgotten."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def pack(case: Any) -> dict[str, Any]:
    """A case as JSON."""
    files = {name: base64.b64encode(content).decode() for name, content in case.files.items()}
    return {"kind": case.kind, "entries": case.entries, "files": files}


def unpack(packed: dict[str, Any]) -> Any:
    """The case of `pack`."""
    from tests.fuzz.cases import Case

    files = {name: base64.b64decode(content) for name, content in packed["files"].items()}
    return Case(packed["kind"], files, packed["entries"])


if __name__ == "__main__":
    sys.exit(main())
