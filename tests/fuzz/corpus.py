"""Cases that failed once, each kept as a zip file of its files and of the failure."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from tests.fuzz.cases import Case

FOLDER = Path(__file__).with_name("corpus")
SUFFIX = ".case.zip"
ABOUT = "about.json"
DATE = (2000, 1, 1, 0, 0, 0)


def entries() -> list[Path]:
    """The cases in the repository."""
    return sorted(FOLDER.glob(f"*{SUFFIX}"))


def keep(case: Case, found: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write a case under a name that says its kind and how it failed."""
    label = re.sub(r"[^a-z0-9]+", "-", f"{case.kind} {found['code']}".lower()).strip("-")
    path = folder / f"{label[:60]}-{case.digest[:8]}{SUFFIX}"
    about = {"kind": case.kind, "entries": case.entries, "failed": found["code"]}
    about["where"] = found.get("where", "")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        members = {ABOUT: json.dumps(about, indent=1).encode()}
        members |= {f"files/{name}": content for name, content in case.files.items()}
        for name, content in members.items():
            info = zipfile.ZipInfo(name, DATE)
            archive.writestr(info, content, zipfile.ZIP_DEFLATED, 9)
    return path


def read(path: Path) -> Case:
    """A case that was kept."""
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read(ABOUT))
        files = {
            name.removeprefix("files/"): archive.read(name)
            for name in archive.namelist()
            if name != ABOUT
        }
    return Case(about["kind"], files, about["entries"])


def about(path: Path) -> dict[str, Any]:
    """How a kept case failed once: `failed` and `where`."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(ABOUT))
