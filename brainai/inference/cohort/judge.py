"""Answer for scans one by one, while the next ones are read.

A scan that cannot be judged is a record with its reason, and the work goes on. A disk that cannot
be written to ends it: that is no fault of a scan.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from brainai.data.files import write_text, write_whole
from brainai.data.images import stretch
from brainai.data.volumes import Volume
from brainai.errors import BrainAIError, DataError, OutOfScope
from brainai.inference.classifier import Classifier, Prediction
from brainai.inference.cohort.bids import mask_path, sidecar
from brainai.inference.cohort.find import Cohort, Scan
from brainai.inference.cohort.ledger import ERROR, FAILED, JUDGED, REFUSED, stamps
from brainai.inference.figures import OUTLINE, border, draw_thumbnail
from brainai.inference.forms import scan_form
from brainai.inference.scan import ScanPrediction
from brainai.inference.sequences import open_sequences

THUMBNAILS = "thumbnails"
SIDE, THICKNESS = 160, 3  # pixels of a thumbnail, and of its outline

Item = TypeVar("Item")
Result = TypeVar("Result")


def judge_scans(
    classifier: Classifier, cohort: Cohort, scans: Iterable[Scan], out: Path, ahead: int = 1
) -> Iterator[dict[str, Any]]:
    """The record of each scan, in order, once its files are written.

    A record holds scan (its name), files and their `stamps`, model_revision, status ("judged";
    "refused" as out of scope; "error" where it cannot be used; "failed" by a fault of the program),
    reason, code, seconds and read_seconds, strongest_slice, thumbnail, and answer, of `scan_form`,
    or None.

    Args:
        ahead: scans that are read while one is judged; each waits in memory.
    Raises:
        StorageError: the output cannot be written.
    """
    modalities = classifier.info.modalities

    def read(scan: Scan) -> tuple[dict[str, Volume], float]:
        started = time.perf_counter()
        sources = {name: cohort.root / path for name, path in scan.files if name in modalities}
        volumes = open_sequences(sources, modalities)
        return volumes, round(time.perf_counter() - started, 3)

    for scan, reading in read_ahead(scans, read, ahead):
        record: dict[str, Any] = {"scan": scan.name, "files": dict(scan.files)}
        record["stamps"] = stamps(cohort.root, scan)
        record["model_revision"] = classifier.info.revision
        yield record | _judge(classifier, scan, reading, out, cohort.bids)


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], ahead: int
) -> Iterator[tuple[Item, "Future[Result]"]]:
    """Each item with what becomes of reading it; up to `ahead` later ones are read meanwhile."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(ahead, "reader") as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(read, item)))
                if len(waiting) > ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()


def thumbnail(volume: Volume, found: ScanPrediction) -> Image.Image:
    """The strongest slice in its gray window, with the outline of the mask; mode "RGB"."""
    index = found.strongest_slice()
    plane = stretch(volume.voxels[:, :, index].T, *volume.square_size)
    picture = draw_thumbnail(plane, SIDE).convert("RGB")
    if found.mask is not None and found.mask[:, :, index].any():
        mask = stretch(found.mask[:, :, index].T, *volume.square_size) >= 0.5
        picture.paste(OUTLINE, mask=border(mask, picture.size, THICKNESS))
    return picture


def _judge(
    classifier: Classifier, scan: Scan, reading: Future, out: Path, bids: bool
) -> dict[str, Any]:
    """What is recorded of one scan beside its name."""
    started = time.perf_counter()
    names = ("reason", "code", "read_seconds", "answer", "strongest_slice", "thumbnail")
    record: dict[str, Any] = {"status": JUDGED, **dict.fromkeys(names)}
    try:
        volumes, record["read_seconds"] = reading.result()
        started = time.perf_counter()
        found = classifier.predict_scan(**volumes)
    except OutOfScope as error:
        record |= {"status": REFUSED, "reason": error.reason, "code": error.code}
        refused = Prediction.refused(error.reason, classifier.info)
        record["answer"] = scan_form(refused, classifier.info)
    except DataError as error:
        record |= {"status": ERROR, "reason": str(error), "code": error.code}
    except BrainAIError:
        raise
    except Exception as error:  # one scan must not end the work on thousands
        logging.getLogger(__name__).exception("%s failed", scan.name)
        record |= {"status": FAILED, "reason": f"the program failed ({type(error).__name__})"}
    else:
        record |= _write(out, scan, found, volumes["flair"], classifier, bids)
    seconds = time.perf_counter() - started + (record["read_seconds"] or 0)
    return record | {"seconds": round(seconds, 3)}


def _write(
    out: Path,
    scan: Scan,
    found: ScanPrediction,
    flair: Volume,
    classifier: Classifier,
    bids: bool,
) -> dict[str, Any]:
    """Write the files of an answer; what is recorded of them."""
    place = mask_path(scan) if found.mask is not None else None
    form = scan_form(found, classifier.info, None if place is None else place.as_posix())
    if place is not None:
        found.save_mask(out / place)
        beside = out / place.with_name(place.name.removesuffix(".nii.gz") + ".json")
        write_text(beside, sidecar(scan, bids, form))
    picture = Path(THUMBNAILS, f"{scan.name}.jpg")
    with write_whole(out / picture) as file:
        thumbnail(flair, found).save(file, "JPEG", quality=80)
    strongest = found.strongest_slice()
    return {"answer": form, "strongest_slice": strongest, "thumbnail": picture.as_posix()}
