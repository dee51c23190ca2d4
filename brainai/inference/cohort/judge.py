"""Judge scans one by one, while the next ones are read.

A scan that cannot be judged becomes a record with the reason, and the work continues. If the disk
cannot be written to, which is not the fault of a scan, the work ends.
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
SIDE, THICKNESS = 160, 3  # of a thumbnail and its outline, in pixels

Item = TypeVar("Item")
Result = TypeVar("Result")


def judge_scans(
    classifier: Classifier, cohort: Cohort, scans: Iterable[Scan], out: Path, ahead: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield the record of each scan, in order, after writing its files.

    A record holds scan (its name), files and their `stamps`, model_revision, status, reason, code,
    seconds and read_seconds, strongest_slice, thumbnail, and answer (`scan_form`, or None). The
    status is "judged"; "refused" if the scan is out of scope; "error" if it cannot be used; or
    "failed" if the program failed.

    Args:
        ahead: scans to read ahead while one is judged; they are held in memory.
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
    """Yield each item with the future of its reading, while up to `ahead` later ones are read."""
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


def thumbnail(volume: Volume, prediction: ScanPrediction) -> Image.Image:
    """Return the strongest slice in its gray window, with the outline of the mask, mode "RGB"."""
    index = prediction.strongest_slice()
    plane = stretch(volume.voxels[:, :, index].T, *volume.square_size)
    picture = draw_thumbnail(plane, SIDE).convert("RGB")
    if prediction.mask is not None and prediction.mask[:, :, index].any():
        mask = stretch(prediction.mask[:, :, index].T, *volume.square_size) >= 0.5
        picture.paste(OUTLINE, mask=border(mask, picture.size, THICKNESS))
    return picture


def _judge(
    classifier: Classifier, scan: Scan, reading: Future, out: Path, bids: bool
) -> dict[str, Any]:
    """Judge a scan, and return the rest of its record."""
    started = time.perf_counter()
    names = ("reason", "code", "read_seconds", "answer", "strongest_slice", "thumbnail")
    record: dict[str, Any] = {"status": JUDGED, **dict.fromkeys(names)}
    try:
        volumes, record["read_seconds"] = reading.result()
        started = time.perf_counter()
        prediction = classifier.predict_scan(**volumes)
    except OutOfScope as error:
        record |= {"status": REFUSED, "reason": error.reason, "code": error.code}
        refused = Prediction.refused(error.reason, classifier.info)
        record["answer"] = scan_form(refused, classifier.info)
    except DataError as error:
        record |= {"status": ERROR, "reason": str(error), "code": error.code}
    except BrainAIError:
        raise
    except Exception as error:  # a single scan must not end the work on thousands
        logging.getLogger(__name__).exception("%s failed", scan.name)
        record |= {"status": FAILED, "reason": f"the program failed ({type(error).__name__})"}
    else:
        record |= _write(out, scan, prediction, volumes["flair"], classifier, bids)
    seconds = time.perf_counter() - started + (record["read_seconds"] or 0)
    return record | {"seconds": round(seconds, 3)}


def _write(
    out: Path,
    scan: Scan,
    prediction: ScanPrediction,
    flair: Volume,
    classifier: Classifier,
    bids: bool,
) -> dict[str, Any]:
    """Write the files of an answer, and return what the record says about them."""
    mask = mask_path(scan) if prediction.mask is not None else None
    form = scan_form(prediction, classifier.info, None if mask is None else mask.as_posix())
    if mask is not None:
        prediction.save_mask(out / mask)
        sidecar_path = out / mask.with_name(mask.name.removesuffix(".nii.gz") + ".json")
        write_text(sidecar_path, sidecar(scan, bids, form))
    picture = Path(THUMBNAILS, f"{scan.name}.jpg")
    with write_whole(out / picture) as file:
        thumbnail(flair, prediction).save(file, "JPEG", quality=80)
    strongest = prediction.strongest_slice()
    return {"answer": form, "strongest_slice": strongest, "thumbnail": picture.as_posix()}
