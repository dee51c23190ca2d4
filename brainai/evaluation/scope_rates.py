"""How often the answer is "Cannot judge", for pictures to refuse and for pictures to keep.

Every picture is processed like an upload: decoded from a file, prepared, and checked.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

from brainai.data import decoys
from brainai.data.dataset import MODALITIES
from brainai.data.elsewhere import read_decoys
from brainai.data.images import ImageSource, decode, prepare_slice
from brainai.data.store import Store, open_store
from brainai.errors import DataError, OutOfScope
from brainai.evaluation.intervals import summarize_share
from brainai.evaluation.pictures import drawn, shipped
from brainai.evaluation.score import split_rows
from brainai.model.scope import TOO_LITTLE, Scope, refusal_of_scan, refusals, scan_slices

PLAIN = "FLAIR of "  # followed by the source; variants follow after a comma
WITH_TUMOR = ", with tumor"
WITH_HEAD = ", without those said to show too little brain"
KEPT_OUT, REST = ", kept out of training", ", the rest"
CHUNK = 128  # slices to check at once
UNREADABLE = "cannot be read"


class Candidate(NamedTuple):
    """A picture with its group, whether it should be refused, and whether it shows a tumor."""

    group: str
    refuse: bool
    patient: str
    picture: ImageSource
    with_tumor: bool = False


def measure_scope(
    scope: Scope | None,
    dataset_folder: str | Path,
    split: str,
    *,
    image_size: int,
    slices: int = 40,
    seed: int = 0,
    folders: Iterable[str | Path] = (),
) -> dict[str, dict[str, dict]]:
    """Measure the fraction of pictures and of scans that are refused.

    Args:
        scope: None measures what a model without a scope refuses: color and near-empty pictures.
        image_size: picture size of the network in pixels.
        slices: slices of each source to draw at random for each group of variants or decoys; of
            unchanged FLAIR slices, all are measured.
        folders: folders of pictures and scans other than axial FLAIR, see `read_decoys`.
    Returns:
        `{"to keep": {group: figure}, "to refuse": {group: figure}}` with figures of
        `summarize_share`; a picture without a patient counts as a patient.
    Raises:
        ConfigError: the split is unknown.
        DataError: there is no data set, the split is empty, or a folder holds no decoys.
    """
    results: dict[str, dict[str, list[tuple[str, bool]]]] = {"to keep": {}, "to refuse": {}}
    store = open_store(dataset_folder, image_size, progress=False)
    random = np.random.default_rng(seed)
    for candidate in _candidates(store, dataset_folder, split, slices, random):
        reason = refusal_reason(scope, candidate.picture, image_size)
        if reason == UNREADABLE:  # a picture may be too small once it is halved
            continue
        groups = results["to refuse" if candidate.refuse else "to keep"]
        names = [candidate.group]
        if candidate.group.startswith(PLAIN) and "," not in candidate.group:
            names += [f"{candidate.group}{WITH_TUMOR}"] * candidate.with_tumor
            names += [f"{candidate.group}{WITH_HEAD}"] * (reason != TOO_LITTLE)
        for name in names:
            groups.setdefault(name, []).append((candidate.patient, reason is not None))
    scans = _scans(scope, store, split_rows(store, split, dataset_folder))
    for group, refuse, patient, refused in chain(scans, _folders(scope, folders, image_size)):
        groups = results["to refuse" if refuse else "to keep"]
        groups.setdefault(group, []).append((patient, refused))
    return {
        title: {
            group: summarize_share(*map(np.array, zip(*rows, strict=True)))
            for group, rows in groups.items()
        }
        for title, groups in results.items()
    }


def refusal_reason(scope: Scope | None, picture: ImageSource, image_size: int) -> str | None:
    """Return why the app would not judge a picture, or None if it would."""
    try:
        plane = prepare_slice(decode(picture), image_size)
    except OutOfScope as error:
        return error.reason
    except DataError:
        return UNREADABLE
    return refusals(torch.tensor(plane)[None, None], scope)[0]


def _candidates(
    store: Store,
    dataset_folder: str | Path,
    split: str,
    slices: int,
    random: np.random.Generator,
) -> Iterator[Candidate]:
    """Yield all pictures to measure on; the arguments are those of `measure_scope`."""
    rows = split_rows(store, split, dataset_folder)
    for source in sorted({store.records[row].source for row in rows}):
        of_source = np.array([row for row in rows if store.records[row].source == source])
        for row in of_source:
            record = store.records[row]
            path = Path(dataset_folder) / record.file_name
            group, tumor = f"{PLAIN}{source}", record.label == 1
            yield Candidate(group, False, record.patient_id, _flair(path), tumor)
        for row in random.choice(of_source, min(slices, len(of_source)), replace=False):
            record = store.records[row]
            pixels, patient = _flair(Path(dataset_folder) / record.file_name), record.patient_id
            for name, change in VARIANTS.items():
                yield Candidate(f"{PLAIN}{source}, {name}", False, patient, change(pixels))
            for name, turn in TURNS.items():
                yield Candidate(f"{name}, {source}", True, patient, turn(pixels))
        yield from _other_sequences(store, of_source, dataset_folder, slices, random)
        yield from _other_planes(store, of_source, slices, random)
    for number, (group, picture) in enumerate([*shipped(), *drawn()]):
        yield Candidate(group, True, f"picture {number}", picture)


def _other_sequences(
    store: Store,
    rows: np.ndarray,
    dataset_folder: str | Path,
    slices: int,
    random: np.random.Generator,
) -> Iterator[Candidate]:
    """Yield slices of T1c and T2, given in place of FLAIR."""
    for channel, name in enumerate(MODALITIES):
        with_sequence = [r for r in rows if channel and name in store.records[r].modalities]
        for row in random.permutation(with_sequence)[:slices].astype(int):
            record = store.records[row]
            with Image.open(Path(dataset_folder) / record.file_name) as image:
                pixels = np.asarray(image)[..., channel]
            if np.ptp(pixels) > 0:
                group = f"{name.upper()[:2]}{name[2:]} offered as FLAIR, {record.source}"
                yield Candidate(group, True, record.patient_id, pixels)


def _other_planes(
    store: Store, rows: np.ndarray, slices: int, random: np.random.Generator
) -> Iterator[Candidate]:
    """Yield sagittal and coronal slices, cut from the cases whose slices form a stack."""
    stacks = decoys.stacks([store.records[row].case_id for row in rows])
    per_stack = -(-slices // max(1, len(stacks)))
    for places in stacks.values():
        record, stack = store.records[rows[places[0]]], store.planes[rows[places], 0]
        for axis, name in ((2, "Sagittal slices"), (1, "Coronal slices")):
            for _ in range(per_stack):
                picture = np.rint(decoys.cut(stack, axis, random) * 255).astype(np.uint8)
                yield Candidate(f"{name}, {record.source}", True, record.patient_id, picture)


def _scans(
    scope: Scope | None, store: Store, rows: np.ndarray
) -> Iterator[tuple[str, bool, str, bool]]:
    """Yield of each scan its group, whether it should be refused, its patient, and whether it is
    refused."""
    for scan in decoys.scans(store, rows):
        refused = refusal_of_scan(scan_slices(scan.planes), scope) is not None
        group = f"Scans, {scan.kind} of {scan.record.source}"
        yield group, scan.kind != "FLAIR", scan.record.patient_id, refused


def _folders(
    scope: Scope | None, folders: Iterable[str | Path], image_size: int
) -> Iterator[tuple[str, bool, str, bool]]:
    """Yield the same for folders of decoys: their pictures, scans, and slices that show a head.

    Files that are kept out of every training form separate groups.
    """
    for folder in map(Path, folders):
        for file in read_decoys(folder, image_size):
            group = f"{folder.name}{KEPT_OUT if file.kept_out else REST}"
            flair = torch.from_numpy(file.planes)[:, None].float() / 255
            parts = flair.split(CHUNK)
            reasons = [reason for part in parts for reason in refusals(part, scope)]
            for reason in reasons:
                if reason != TOO_LITTLE:
                    title = "Slices" if file.is_scan else "Pictures"
                    yield f"{title}, {group}", True, file.name, reason is not None
            if file.is_scan:
                refused = refusal_of_scan(scan_slices(file.planes), scope) is not None
                yield f"Scans, {group}", True, file.name, refused


def _flair(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else pixels[..., 0]


def _saved(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


def _resized(pixels: np.ndarray, factor: float) -> bytes:
    image = Image.fromarray(pixels)
    size = round(image.width * factor), round(image.height * factor)
    return _saved(
        np.asarray(image.resize(size, Image.Resampling.BICUBIC)), format="PNG", compress_level=1
    )


def _with_scale_bar(pixels: np.ndarray) -> bytes:
    """Draw white ticks along the right edge, as viewers burn them into pictures."""
    image = Image.fromarray(pixels)
    pen, (width, height) = ImageDraw.Draw(image), image.size
    x, top, bottom = width * 15 // 16, height // 4, height * 3 // 4
    pen.line((x, top, x, bottom), fill=255)
    for y in np.linspace(top, bottom, 11):
        pen.line((x - width // 40, y, x, y), fill=255)
    return _saved(np.asarray(image), format="PNG", compress_level=1)


VARIANTS: dict[str, Callable[[np.ndarray], bytes]] = {
    "16 bit": lambda p: _saved(p.astype(np.uint16) * 13 + 100, format="PNG", compress_level=1),
    "JPEG at quality 50": lambda p: _saved(p, format="JPEG", quality=50),
    "half size": lambda p: _resized(p, 0.5),
    "double size": lambda p: _resized(p, 2),
    "scale bar burned in": _with_scale_bar,
}
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Upside down": lambda p: np.rot90(p, 2),
    "Mirrored top to bottom": np.flipud,
    "On its side": np.rot90,
}
