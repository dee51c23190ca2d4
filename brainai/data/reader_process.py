"""The process that opens files of strangers, for `reader_pool`.

Native decoders crash, hang or take all memory on some damaged or hostile files. So they run in a
process of their own, which has none of the server's secrets in its environment, and which may end
at any time without harm. Requests come in on its standard input, answers go out on what was its
standard output: a line of JSON each, then the bytes that the line announces.
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
except ImportError:  # Windows: there the time limit of `reader_pool` alone holds
    resource = None

BROWSER_FORMATS = {"PNG", "JPEG", "GIF", "WEBP", "BMP"}

Answer: TypeAlias = tuple[dict[str, Any], np.ndarray | None]


def volume(path: str, called: str, allow_companion: bool) -> Answer:
    """Read one NIfTI or MetaImage file."""
    return _volume_answer(read_volume(Path(path), called, allow_companion))


def series(paths: list[str], called: str, expect_flair: bool) -> Answer:
    """Read a DICOM series."""
    return _volume_answer(read_series(map(Path, paths), called, expect_flair))


def unpacked(archive: str, folder: str, called: str, max_files: int, max_bytes: int) -> Answer:
    """Unpack a zip file into a folder."""
    unpack(Path(archive), Path(folder), called, max_files, max_bytes)
    return {}, None


def picture(path: str, most_pixels: int, expect_flair: bool = False) -> Answer:
    """Decode a slice; a large one is reduced to `most_pixels`."""
    pixels = open_slice(path, expect_flair)
    return {"size": pixels.shape}, shrink(pixels, most_pixels)


def browser_copy(path: str) -> Answer:
    """Encode a slice as 16-bit PNG, from its darkest to its brightest pixel, where no browser shows
    the file as it is: it draws a broken picture, or 16 bit as black."""
    with contextlib.suppress(Exception), Image.open(path, formats=FORMATS) as image:
        if image.format in BROWSER_FORMATS and not image.mode.startswith("I"):
            return {}, None
    pixels = open_slice(path)
    low = pixels.min()
    pixels -= low
    pixels *= 65535 / pixels.max()
    content = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint16)).save(content, "PNG", compress_level=1)
    return {}, np.frombuffer(content.getbuffer(), np.uint8)


TASKS: dict[str, Callable[..., Answer]] = {
    task.__name__: task for task in (volume, series, unpacked, picture, browser_copy)
}


def _volume_answer(found: Volume) -> Answer:
    left_out = ("voxels", "header_text")  # the text may name the patient
    place = {key: value for key, value in vars(found).items() if key not in left_out}
    return place, found.voxels.transpose(2, 1, 0)


def main() -> None:
    """Answer one request after the other until no more can come."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # some libraries print to it
    keep_quiet()
    use_one_thread()
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold somebody's scan
    for line in requests:
        answer, array = _answer(json.loads(line))
        with contextlib.suppress(BrokenPipeError):
            _send(answers, answer, array)


def _answer(request: dict[str, Any]) -> Answer:
    """Do one task within its limits; an error becomes part of the answer."""
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
    except Exception as error:  # its message may quote the file
        places = "".join(traceback.format_tb(error.__traceback__))
        return {"failed": "error", "places": f"{type(error).__name__} at\n{places}"}, None


def _limit(cpu_seconds: float, memory_bytes: int) -> None:
    """Allow the next task so much more time of the processor, and so much more memory."""
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
    """Return the most memory that this process ever had, 0 where the system does not tell."""
    status = Path("/proc/self/status")  # `getrusage` counts what the parent had at the fork
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0


def _send(answers: IO[bytes], answer: dict[str, Any], array: np.ndarray | None) -> None:
    """Write an answer; an array goes plane by plane, so that no second copy of it is made."""
    answer["peak_bytes"] = _peak_bytes()
    if array is not None:
        answer["array"] = [array.shape, array.dtype.str]
    answers.write(json.dumps(answer).encode() + b"\n")
    for plane in () if array is None else array:
        answers.write(np.ascontiguousarray(plane).data)
    answers.flush()


if __name__ == "__main__":
    main()
