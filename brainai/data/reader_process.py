"""The child process that opens files from untrusted sources for `reader_pool`.

Native decoders crash, hang or use up the memory on some damaged or malicious files. They therefore
run in a separate process, which has none of the server's secrets in its environment and may end at
any time without harm. It reads requests from standard input and writes replies to standard output.
Each is a line of JSON; the line of a reply is followed by the bytes that it announces.
"""

import contextlib
import io
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image

from brainai.data.dicom import read_series
from brainai.data.images import FORMATS, shrink
from brainai.data.packed import unpack
from brainai.data.slices import open_slice
from brainai.data.volumes import Volume, keep_quiet, read_volume, use_one_thread
from brainai.errors import DataError, OutOfScope

try:
    import resource
except ImportError:  # on Windows, where only the time limit of `reader_pool` applies
    resource = None  # type: ignore[assignment]

BROWSER_FORMATS = {"PNG", "JPEG", "GIF", "WEBP", "BMP"}

Reply: TypeAlias = tuple[dict[str, Any], np.ndarray | None]


def volume(path: str, called: str, allow_companion: bool) -> Reply:
    """Read one NIfTI or MetaImage file."""
    return _volume_reply(read_volume(Path(path), called, allow_companion))


def series(paths: list[str], called: str, expect_flair: bool) -> Reply:
    """Read a DICOM series."""
    return _volume_reply(read_series(map(Path, paths), called, expect_flair))


def unpacked(archive: str, folder: str, called: str, max_files: int, max_bytes: int) -> Reply:
    """Unpack a zip file into a folder."""
    unpack(Path(archive), Path(folder), called, max_files, max_bytes)
    return {}, None


def picture(path: str, most_pixels: int, expect_flair: bool = False) -> Reply:
    """Decode a slice and reduce it to at most `most_pixels` pixels."""
    pixels, pixel_mm = open_slice(path, expect_flair)
    return {"size": pixels.shape, "pixel_mm": pixel_mm}, shrink(pixels, most_pixels)


def browser_copy(path: str, expect_flair: bool = False) -> Reply:
    """Encode a slice as 16-bit PNG if browsers cannot show the file itself.

    They show a broken picture, or pictures of 16 bits as black. The gray levels are stretched from
    the darkest to the brightest pixel.
    """
    with contextlib.suppress(Exception), Image.open(path, formats=FORMATS) as image:
        if image.format in BROWSER_FORMATS and not image.mode.startswith("I"):
            return {"pixel_mm": None}, None
    pixels, pixel_mm = open_slice(path, expect_flair)
    low = pixels.min()
    pixels -= low
    pixels *= 65535 / pixels.max()
    content = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint16)).save(content, "PNG", compress_level=1)
    return {"pixel_mm": pixel_mm}, np.frombuffer(content.getbuffer(), np.uint8)


TASKS: dict[str, Callable[..., Reply]] = {
    task.__name__: task for task in (volume, series, unpacked, picture, browser_copy)
}


def _volume_reply(found: Volume) -> Reply:
    left_out = ("voxels", "header_text")  # the text may name the patient
    place = {key: value for key, value in vars(found).items() if key not in left_out}
    return place, found.voxels.transpose(2, 1, 0)


def main() -> None:
    """Reply to requests until standard input is closed."""
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # some libraries print to standard output
    keep_quiet()
    use_one_thread()
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would contain a scan
    for line in requests:
        reply, array = _reply(json.loads(line))
        with contextlib.suppress(BrokenPipeError):
            _send(replies, reply, array)


def _reply(request: dict[str, Any]) -> Reply:
    """Run one task within its limits. An error becomes part of the reply."""
    try:
        _limit(request["cpu_seconds"], request["memory_bytes"])
        result, array = TASKS[request["task"]](**request["arguments"])
        return {"result": result}, array
    except OutOfScope as error:
        return {"out_of_scope": [str(error), error.reason]}, None
    except DataError as error:
        return {"refused": [str(error), error.code]}, None
    except MemoryError:
        return {"failed": "memory"}, None
    except Exception as error:  # the message is left out because it may quote the file
        places = "".join(traceback.format_tb(error.__traceback__))
        return {"failed": "error", "places": f"{type(error).__name__} at\n{places}"}, None


def _limit(cpu_seconds: float, memory_bytes: int) -> None:
    """Allow the next task this much more CPU time and memory than the process has used so far."""
    if resource is None:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime + cpu_seconds))
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        taken = int(statistics.read_text().split()[0]) * resource.getpagesize()
        _set_soft(resource.RLIMIT_AS, taken + memory_bytes)


def _set_soft(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard < 0 else min(value, hard), hard))


def _peak_bytes() -> int:
    """Return the peak memory of this process, or 0 if the operating system does not report it."""
    status = Path("/proc/self/status")  # `getrusage` includes the parent's memory at the fork
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0


def _send(replies: IO[bytes], reply: dict[str, Any], array: np.ndarray | None) -> None:
    """Write a reply. An array is sent plane by plane to avoid a second copy of it."""
    reply["peak_bytes"] = _peak_bytes()
    if array is not None:
        reply["array"] = [array.shape, array.dtype.str]
    replies.write(json.dumps(reply).encode() + b"\n")
    for plane in () if array is None else array:
        replies.write(np.ascontiguousarray(plane).data)
    replies.flush()


if __name__ == "__main__":
    main()
