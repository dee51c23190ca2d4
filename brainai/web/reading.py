"""Read uploads in child processes with limits, and judge them.

Each picture is read once: the same pixels are judged and shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from brainai.data.reader_pool import SLICE, ask, ask_array
from brainai.data.scans import read_scan
from brainai.data.volumes import Volume
from brainai.errors import DataError, OutOfScope
from brainai.inference.classifier import Prediction
from brainai.inference.sequences import SPOKEN
from brainai.model.folder import ModelInfo
from brainai.web.faults import explain
from brainai.web.jobs import Jobs

MAX_PIXELS_KEPT = 4_000_000  # larger pictures are reduced when they are read
MAX_SLICES_TOGETHER, MAX_BYTES_TOGETHER = 64, 64_000_000  # of slices read before they are judged

PredictionOrError: TypeAlias = Prediction | DataError


class SentSlice(NamedTuple):
    """A picture that was sent.

    Attributes:
        pixels: `[h, w]` float32, gray levels as stored in the file; a large picture is reduced.
        size: height and width of the picture in the file.
        stored_mm: side in mm of a pixel of the file, from a DICOM header; None if it is not known.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    stored_mm: float | None = None

    def pixel_mm(self, given_mm: float | None) -> float | None:
        """Return the side in mm of one of `pixels`.

        >>> SentSlice(np.zeros((2, 2), np.float32), (4, 4)).pixel_mm(0.5)
        1.0

        Args:
            given_mm: side in mm of a pixel of the file, from the sender; None stands for
                `stored_mm`.
        """
        stored_mm = self.stored_mm if given_mm is None else given_mm
        if stored_mm is None:
            return None
        return stored_mm * math.sqrt(math.prod(self.size) / self.pixels.size)


class BrowserCopy(NamedTuple):
    """A copy of a slice for browsers.

    Attributes:
        content: a PNG file; None if browsers can show the original.
        pixel_mm: side of a pixel in mm, from a DICOM header; None if it is not known.
    """

    content: bytes | None
    pixel_mm: float | None


def read_slice(file: str, expect_flair: bool = False) -> SentSlice:
    """Read a picture, or the DICOM file of a slice.

    Args:
        file: path of the file.
        expect_flair: whether to refuse a DICOM file whose header says that it is not FLAIR.
    Raises:
        OutOfScope: the picture can be read but not judged, see `slices.open_slice`.
        DataError: the file cannot be read, or reading takes too much time or memory.
    """
    arguments = {"path": file, "most_pixels": MAX_PIXELS_KEPT, "expect_flair": expect_flair}
    fields, pixels = ask_array("picture", SLICE, "The picture", arguments)
    return SentSlice(pixels, tuple(fields["size"]), fields["pixel_mm"])


def copy_for_browser(file: str, expect_flair: bool = False) -> BrowserCopy:
    """Return a slice as a PNG file if browsers cannot show the original.

    Gain and offset do not change the normalized gray levels, so the copy gets the same answer. It
    has no DICOM header, so a file that would be refused for its header must get no copy.

    Args:
        file: path of the file.
        expect_flair: as in `read_slice`.
    Raises:
        OutOfScope, DataError: see `read_slice`.
    """
    arguments = {"path": file, "expect_flair": expect_flair}
    fields, content = ask("browser_copy", SLICE, "The picture", arguments)
    return BrowserCopy(None if content is None else content.tobytes(), fields["pixel_mm"])


def judge_slice(
    jobs: Jobs, info: ModelInfo, files: Mapping[str, str | None]
) -> tuple[Prediction, SentSlice | None]:
    """Read the sequences of one slice, and return the answer and the FLAIR slice.

    Args:
        jobs: the functions that judge.
        info: the facts about the model.
        files: path of the file of each sequence; None for a sequence that was not sent.
    Returns:
        The answer, and FLAIR as it was read; None if a file is out of scope.
    Raises:
        DataError: a file cannot be read, or the sequences do not match.
    """
    sent = {}
    for name, file in files.items():
        try:
            sent[name] = None if file is None else read_slice(file, name == "flair")
        except OutOfScope as error:
            prefix = "" if name == "flair" else f"{SPOKEN[name]}: "
            return Prediction.refused(prefix + error.reason, info), None
    answer = jobs.slice(**{name: image and image.pixels for name, image in sent.items()})
    return answer, sent.get("flair")


def judge_many(
    jobs: Jobs, info: ModelInfo, files: Sequence[str | DataError]
) -> Iterator[tuple[PredictionOrError, SentSlice | None]]:
    """Read and judge many slices, and yield the answer and the slice of each file in turn.

    Args:
        jobs: the functions that judge.
        info: the facts about the model.
        files: for each slice, the path of its file, or the error why it was not accepted.
    """
    for batch in _read_batches(files, info):
        judged = iter(jobs.many([item.pixels for item in batch if isinstance(item, SentSlice)]))
        for item in batch:
            yield (next(judged), item) if isinstance(item, SentSlice) else (item, None)


def read_scans(files: Mapping[str, Path | None]) -> dict[str, Volume]:
    """Read the sequences of an examination.

    Args:
        files: path of each sequence; None for a sequence that was not sent.
    Raises:
        DataError: a sequence is not a scan, or reading it takes too much time or memory.
    """
    return {
        name: read_scan(file, SPOKEN[name], name == "flair", allow_companion=False)
        for name, file in files.items()
        if file is not None
    }


def _read_batches(
    files: Sequence[str | DataError], info: ModelInfo
) -> Iterator[list[SentSlice | PredictionOrError]]:
    """Read slices, and yield them in batches that limit the memory they take."""
    batch, size = [], 0
    for file in files:
        item = file if isinstance(file, DataError) else _read_or_refuse(file, info)
        batch.append(item)
        size += item.pixels.nbytes if isinstance(item, SentSlice) else 0
        if len(batch) >= MAX_SLICES_TOGETHER or size >= MAX_BYTES_TOGETHER:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read_or_refuse(file: str, info: ModelInfo) -> SentSlice | PredictionOrError:
    try:
        return read_slice(file, expect_flair=True)
    except OutOfScope as error:
        return Prediction.refused(error.reason, info)
    except Exception as error:
        return explain(error)
