"""Read what visitors sent, in child processes with limits, and have it judged.

Every picture is read once: the same pixels are judged and shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from brainai.data.reader_pool import SLICE, ask
from brainai.data.scans import read_scan
from brainai.data.volumes import Volume
from brainai.errors import DataError, OutOfScope
from brainai.inference.classifier import Prediction
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.faults import explain
from brainai.web.jobs import Jobs

MAX_PIXELS_KEPT = 4_000_000  # of a picture; a larger one is reduced as it is read
MAX_SLICES_TOGETHER, MAX_BYTES_TOGETHER = 64, 64_000_000  # read, then judged, before the next

Answer: TypeAlias = Prediction | DataError


class SentSlice(NamedTuple):
    """A picture that was sent.

    pixels: `[h, w]` float32, gray levels as they were stored; reduced where it is large.
    size: height and width of the file.
    """

    pixels: np.ndarray
    size: tuple[int, int]

    def pixel_mm(self, stored_mm: float | None) -> float | None:
        """Return the side of one of `pixels`, from that of a pixel of the file."""
        if stored_mm is None:
            return None
        return stored_mm * math.sqrt(math.prod(self.size) / self.pixels.size)


def read_slice(file: str, expect_flair: bool = False) -> SentSlice:
    """Read a picture, or the DICOM file of a slice.

    Args:
        expect_flair: refuse a DICOM file whose header says plainly that it is no FLAIR.
    Raises:
        OutOfScope, DataError: as `slices.open_slice`, or it takes too much time or memory.
    """
    arguments = {"path": file, "most_pixels": MAX_PIXELS_KEPT, "expect_flair": expect_flair}
    fields, pixels = ask("picture", SLICE, "The picture", arguments)
    return SentSlice(pixels, tuple(fields["size"]))


def copy_for_browser(file: str) -> bytes | None:
    """Return a slice as a PNG file where no browser shows it as it is, else None.

    Windowing takes no notice of gain and offset, so the copy is judged as the file itself is.

    Raises:
        DataError: as `read_slice`.
    """
    _, content = ask("browser_copy", SLICE, "The picture", {"path": file})
    return None if content is None else content.tobytes()


def judge_slice(
    jobs: Jobs, info: ModelInfo, files: Mapping[str, str | None]
) -> tuple[Prediction, SentSlice | None]:
    """Read the sequences of one slice and judge it; return FLAIR's pixels with the answer.

    Raises:
        DataError: a file cannot be read, or the sequences do not fit together.
    """
    sent = {}
    for name, file in files.items():
        try:
            sent[name] = None if file is None else read_slice(file, name == "flair")
        except OutOfScope as error:
            prefix = "" if name == "flair" else f"{SPOKEN[name]}: "
            return Prediction.refused(prefix + error.reason, info), None
    found = jobs.slice(**{name: one and one.pixels for name, one in sent.items()})
    return found, sent.get("flair")


def judge_many(
    jobs: Jobs, info: ModelInfo, files: Sequence[str | DataError]
) -> Iterator[tuple[Answer, SentSlice | None]]:
    """Read and judge many slices; yield each answer in turn, with its pixels where it has any.

    Args:
        files: where each lies, or why it cannot be taken.
    """
    for together in _read_together(files, info):
        judged = iter(jobs.many([one.pixels for one in together if isinstance(one, SentSlice)]))
        for one in together:
            yield (next(judged), one) if isinstance(one, SentSlice) else (one, None)


def read_scans(files: Mapping[str, Path | None]) -> dict[str, Volume]:
    """Read the sequences of an examination.

    Raises:
        DataError: one of them is no scan, or takes too much time or memory.
    """
    return {
        name: read_scan(file, SPOKEN[name], name == "flair", allow_companion=False)
        for name, file in files.items()
        if file is not None
    }


def _read_together(
    files: Sequence[str | DataError], info: ModelInfo
) -> Iterator[list[SentSlice | Answer]]:
    """Read slices, and yield them so many at a time that their memory stays bounded."""
    together, size = [], 0
    for file in files:
        one = file if isinstance(file, DataError) else _read_or_refuse(file, info)
        together.append(one)
        size += one.pixels.nbytes if isinstance(one, SentSlice) else 0
        if len(together) >= MAX_SLICES_TOGETHER or size >= MAX_BYTES_TOGETHER:
            yield together
            together, size = [], 0
    if together:
        yield together


def _read_or_refuse(file: str, info: ModelInfo) -> SentSlice | Answer:
    try:
        return read_slice(file, expect_flair=True)
    except OutOfScope as error:
        return Prediction.refused(error.reason, info)
    except Exception as error:
        return explain(error)
