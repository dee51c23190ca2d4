"""Run one case with the code it is meant for, and describe the result."""

import io
import re
import shutil
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brainai.data.images import FORMATS, MAX_PIXELS, decode
from brainai.data.scans import read_scan
from brainai.errors import BrainAIError, DataError
from tests.fuzz.cases import Case
from tests.fuzz.metaimage import SECRET

SECRET_BYTE = 0xA7  # fills the file that no reader may open
MAX_SENTENCES, MAX_LETTERS = 2, 400
LEAKS = re.compile(
    r"Traceback|/tmp|/dev|/proc|/etc|\.py\b|brainai-|0x[0-9a-f]{6}|SimpleITK::|itk::"
)


class Wrong(Exception):
    """A reader gave what it must not give."""


def run_case(case: Case, folder: Path, classifier: Any = None) -> dict[str, Any]:
    """The result of a case.

    Returns:
        `result`: "read", "refused" or "failed"; `code`: of the refusal or failure; `where`: of a
        failure, the place in the code; `recognized`: whether the header is one of its kind, found
        without the reader; `seconds`; `digest`: of the case.
    """
    write_case(case, folder)
    found = {"kind": case.kind, "digest": case.digest, "recognized": recognized(case), "where": ""}
    started = time.perf_counter()
    try:
        answer(case, folder / "case", classifier)
        found |= {"result": "read", "code": "read"}
    except BrainAIError as error:
        fault = message_fault(str(error), case)
        code = error.code if isinstance(error, DataError) else type(error).__name__
        found |= {"result": "failed" if fault else "refused", "code": fault or code}
    except Exception as error:
        label = f"wrong: {error}" if isinstance(error, Wrong) else type(error).__name__
        found |= {"result": "failed", "code": label, "where": place(error)}
    found["seconds"] = round(time.perf_counter() - started, 4)
    left = [path.name for path in folder.iterdir() if path.name not in ("case", "secret.raw")]
    if left and found["result"] != "failed":
        found |= {"result": "failed", "code": "wrong: temporary files are left"}
    return found


def write_case(case: Case, folder: Path) -> None:
    """Write the files of a case to `folder/case`, and beside it the file that none may open."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    secret = folder / "secret.raw"
    secret.write_bytes(bytes([SECRET_BYTE]) * 20000)
    for name, content in case.files.items():
        path = folder / "case" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.replace(SECRET.encode(), str(secret).encode()))


def answer(case: Case, folder: Path, classifier: Any) -> None:
    """Ask the reader that a case is for, and check what it gives."""
    sent = {role: folder / entry for role, entry in case.entries.items()}
    if case.kind == "slice":
        check_answer(classifier.predict(**_sequences(sent)))
    elif case.kind == "scan":
        check_answer(classifier.predict_scan(**_sequences(sent)))
    elif case.files.keys() == {"picture"}:
        check_pixels(decode(sent["flair"]))
    else:
        volume = read_scan(sent["flair"], "FLAIR", expect_flair=True)
        check_volume(volume)
        if volume.voxels.nbytes > sum(map(len, case.files.values())):  # more than was sent
            again = read_scan(sent["flair"], "FLAIR", expect_flair=True)
            if not np.array_equal(volume.voxels, again.voxels):
                raise Wrong("the same file gives other voxels each time")


def _sequences(sent: dict[str, Path]) -> dict[str, Path | None]:
    return {"flair": None, **sent}


def check_pixels(pixels: np.ndarray) -> None:
    """Raise Wrong if `decode` breaks its contract."""
    if pixels.dtype != np.float32 or pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise Wrong("pixels are no finite float32 of two dimensions")
    if min(pixels.shape) < 32 or pixels.size > MAX_PIXELS:
        raise Wrong("pixels beyond the limits")


def check_volume(volume: Any) -> None:
    """Raise Wrong if `read_scan` breaks its contract, or read the file that it may not open."""
    voxels = volume.voxels
    if voxels.ndim != 3 or 0 in voxels.shape:
        raise Wrong("voxels are no volume of three dimensions")
    if np.issubdtype(voxels.dtype, np.floating) and not np.isfinite(voxels).all():
        raise Wrong("voxels are no finite numbers")
    numbers = np.array([*volume.spacing_mm, *volume.origin_mm, *volume.direction], float)
    if not np.isfinite(numbers).all() or min(volume.spacing_mm) <= 0:
        raise Wrong("geometry is no finite numbers, or spacing is not above 0")
    content = np.frombuffer(np.ascontiguousarray(voxels).tobytes(), np.uint8)
    if (content == SECRET_BYTE).mean() > 0.1:
        raise Wrong("voxels of another file of the machine")


def check_answer(found: Any) -> None:
    """Raise Wrong if a whole answer breaks its contract."""
    if found.label not in ("Tumor", "No Tumor", "Cannot judge"):
        raise Wrong(f"label {found.label}")
    has_answer = found.label != "Cannot judge"
    if has_answer != (found.probability is not None):
        raise Wrong("a probability without an answer, or an answer without a probability")
    if has_answer and not 0 <= found.probability <= 1:
        raise Wrong("a probability outside 0 to 1")
    if not has_answer and not found.reason:
        raise Wrong("no answer and no reason")


def message_fault(message: str, case: Case) -> str:
    """What is wrong with a message that a visitor would read; "" if nothing is."""
    if not message or not message.isprintable():
        return "wrong: a message that cannot be printed"
    if len(message) > MAX_LETTERS or len(re.findall(r"[.!?](?:\s|$)", message)) > MAX_SENTENCES:
        return "wrong: a message that is too long"
    if LEAKS.search(message) or any("." in name and name in message for name in case.files):
        return "wrong: a message with a path or a place in the code"
    return ""


def place(error: Exception) -> str:
    """Where an error came from: the innermost function of ours, and the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/brainai/" in frame.filename]
    named = [ours[-1], frames[-1]] if ours else [frames[-1]]
    return " > ".join(f"{Path(frame.filename).name}:{frame.name}" for frame in named)


def recognized(case: Case) -> bool:
    """True where the first file begins as its kind does: refused cases of these got past the first
    look. Found without the readers under test."""
    name, content = next(iter(case.files.items()))
    if name.endswith("picture"):
        return _is_picture(content)
    if content[:2] == b"PK":
        return zipfile.is_zipfile(io.BytesIO(content))
    if content[128:132] == b"DICM":
        return all(one[128:132] == b"DICM" for one in case.files.values())
    if b"ElementDataFile" in content[:2000]:
        return b"DimSize" in content[:2000] and b"NDims" in content[:2000]
    packed = content[:2] == b"\x1f\x8b"
    return packed or content[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c")


def _is_picture(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS):
            return True
    except Exception:
        return False
