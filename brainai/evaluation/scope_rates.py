"""How often "Cannot judge" is said, of what should be refused and of what should be kept.

Every picture goes the way of an upload: a file, decoded, prepared and looked at.
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

PLAIN = "FLAIR of "  # and the source; variants go on after a comma
WITH_TUMOR = ", with tumor"
WITH_HEAD = ", without those said to show too little brain"
KEPT_OUT, REST = ", kept out of training", ", the rest"
CHUNK = 128  # slices looked at together
UNREADABLE = "cannot be read"


class Offered(NamedTuple):
    """A picture, what it is, whether it should be refused, and whether it shows a tumor."""

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
    """Share of pictures and of scans refused.

    Args:
        scope: None measures what a model without one refuses: color and near-empty pictures.
        image_size: of the network, pixels.
        slices: of each source, drawn by chance, in each group but the plain ones.
        folders: of pictures and scans that are no axial FLAIR slices, see `read_decoys`.
    Returns:
        `{"to keep": {group: figure}, "to refuse": {group: figure}}` as of `summarize_share`; a
        picture without a patient counts as its own.
    Raises:
        ConfigError: an unknown split. DataError: no data set, an empty split, or a folder without
            decoys.
    """
    found: dict[str, dict[str, list[tuple[str, bool]]]] = {"to keep": {}, "to refuse": {}}
    store = open_store(dataset_folder, image_size, progress=False)
    random = np.random.default_rng(seed)
    for offered in _offer(store, dataset_folder, split, slices, random):
        reason = why_not(scope, offered.picture, image_size)
        if reason == UNREADABLE:  # too small, when halved
            continue
        groups = found["to refuse" if offered.refuse else "to keep"]
        names = [offered.group]
        if offered.group.startswith(PLAIN) and "," not in offered.group:
            names += [f"{offered.group}{WITH_TUMOR}"] * offered.with_tumor
            names += [f"{offered.group}{WITH_HEAD}"] * (reason != TOO_LITTLE)
        for name in names:
            groups.setdefault(name, []).append((offered.patient, reason is not None))
    scans = _scans(scope, store, split_rows(store, split, dataset_folder))
    for group, refuse, patient, refused in chain(scans, _heads(scope, folders, image_size)):
        groups = found["to refuse" if refuse else "to keep"]
        groups.setdefault(group, []).append((patient, refused))
    return {
        title: {
            group: summarize_share(*map(np.array, zip(*rows, strict=True)))
            for group, rows in groups.items()
        }
        for title, groups in found.items()
    }


def why_not(scope: Scope | None, picture: ImageSource, image_size: int) -> str | None:
    """Why a picture is not judged, as the app would say it; None where it is judged."""
    try:
        plane = prepare_slice(decode(picture), image_size)
    except OutOfScope as error:
        return error.reason
    except DataError:
        return UNREADABLE
    return refusals(torch.tensor(plane)[None, None], scope)[0]


def _offer(
    store: Store,
    dataset_folder: str | Path,
    split: str,
    slices: int,
    random: np.random.Generator,
) -> Iterator[Offered]:
    rows = split_rows(store, split, dataset_folder)
    for source in sorted({store.records[row].source for row in rows}):
        own = np.array([row for row in rows if store.records[row].source == source])
        for row in own:
            record = store.records[row]
            path = Path(dataset_folder) / record.file_name
            group, tumor = f"{PLAIN}{source}", record.label == 1
            yield Offered(group, False, record.patient_id, _flair(path), tumor)
        for row in random.choice(own, min(slices, len(own)), replace=False):
            record = store.records[row]
            pixels = _flair(Path(dataset_folder) / record.file_name)
            for name, change in VARIANTS.items():
                yield Offered(f"{PLAIN}{source}, {name}", False, record.patient_id, change(pixels))
            for name, change in TURNS.items():
                yield Offered(f"{name}, {source}", True, record.patient_id, change(pixels))
        yield from _others(store, own, dataset_folder, slices, random)
        yield from _cuts(store, own, slices, random)
    for number, (group, picture) in enumerate([*shipped(), *drawn()]):
        yield Offered(group, True, f"picture {number}", picture)


def _others(
    store: Store,
    rows: np.ndarray,
    dataset_folder: str | Path,
    slices: int,
    random: np.random.Generator,
) -> Iterator[Offered]:
    """Slices of other sequences, offered as FLAIR."""
    for channel, name in enumerate(MODALITIES):
        having = [r for r in rows if channel and name in store.records[r].modalities]
        for row in random.permutation(having)[:slices].astype(int):
            record = store.records[row]
            with Image.open(Path(dataset_folder) / record.file_name) as image:
                pixels = np.asarray(image)[..., channel]
            if np.ptp(pixels) > 0:
                group = f"{name.upper()[:2]}{name[2:]} offered as FLAIR, {record.source}"
                yield Offered(group, True, record.patient_id, pixels)


def _cuts(
    store: Store, rows: np.ndarray, slices: int, random: np.random.Generator
) -> Iterator[Offered]:
    """Sagittal and coronal slices of the cases that are stacks."""
    stacks = decoys.stacks([store.records[row].case_id for row in rows])
    each = -(-slices // max(1, len(stacks)))
    for own in stacks.values():
        record, stack = store.records[rows[own[0]]], store.planes[rows[own], 0]
        for across, name in ((2, "Sagittal slices"), (1, "Coronal slices")):
            for _ in range(each):
                picture = np.rint(decoys.cut(stack, across, random) * 255).astype(np.uint8)
                yield Offered(f"{name}, {record.source}", True, record.patient_id, picture)


def _scans(
    scope: Scope | None, store: Store, rows: np.ndarray
) -> Iterator[tuple[str, bool, str, bool]]:
    """Group, whether it should be refused, patient, and whether it is: of each scan."""
    for scan in decoys.scans(store, rows):
        refused = refusal_of_scan(scan_slices(scan.planes), scope) is not None
        group = f"Scans, {scan.kind} of {scan.record.source}"
        yield group, scan.kind != "FLAIR", scan.record.patient_id, refused


def _heads(
    scope: Scope | None, folders: Iterable[str | Path], image_size: int
) -> Iterator[tuple[str, bool, str, bool]]:
    """The same of what folders of decoys hold: pictures, scans, and their slices that show a head.
    Files that are kept out of every training have groups of their own."""
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
    """White ticks along the right edge, as viewers burn them in."""
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
