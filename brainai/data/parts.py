"""Write one case into a dataset folder, completely or not at all.

Pictures are written to a hidden folder first and then moved. The part file of the case comes last
and marks the case as finished. `metadata.csv` is assembled from the part files.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from brainai.data.cases import Case, Study
from brainai.data.dataset import MODALITIES, PARTS, SliceRecord
from brainai.data.file_names import as_text
from brainai.data.files import storage_error, write_text
from brainai.data.images import window
from brainai.data.seals import sealed, unsealed
from brainai.data.studies import read_study
from brainai.errors import DataError


@dataclass(frozen=True)
class Part:
    """A finished case: its slices, without person and split yet, and what it was made from.

    names: all ids of its person, from names of files and from headers.
    digest: hash of the pixels of all images and masks.
    inputs: hash of names, sizes and times of the source files. If one of them changes, the case is
        prepared again.
    """

    case_id: str
    names: tuple[str, ...]
    digest: str
    inputs: str
    slices: tuple[SliceRecord, ...]


def finished(case: Case, out: Path) -> bool:
    """Return whether the data set already holds this case, made from the current files.

    A case does not count if its part file is damaged or lacks a column of the current version.
    """
    try:
        part = read_part(case.case_id, out)
        return part.inputs == describe_inputs(case)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return False


def read_part(case_id: str, out: Path) -> Part:
    """Read the part file of a finished case.

    Raises:
        OSError, ValueError, KeyError, TypeError: the file is missing, damaged, or from a version
            with fewer columns.
    """
    values = unsealed((out / PARTS / f"{case_id}.json").read_bytes())
    slices = tuple(
        SliceRecord(
            **{field.name: row[field.name] for field in fields(SliceRecord)}
            | {"modalities": tuple(row["modalities"])}
        )
        for row in values.pop("slices")
    )
    return Part(**values | {"names": tuple(values["names"])}, slices=slices)


def describe_inputs(case: Case) -> str:
    """Return a hash of names, sizes and modification times of a case's files.

    Raises:
        DataError: a file does not exist, for example because of a broken link.
    """
    lines = []
    for role, path in case.files:
        try:
            stat = path.stat()
        except OSError as error:
            raise DataError(f"{path}: expected a file, found none. Copy it again.") from error
        lines.append(f"{role} {path.name} {stat.st_size} {stat.st_mtime_ns}")
    return sha256(as_text("\n".join(lines)).encode()).hexdigest()


def write_case(case: Case, out: Path) -> Part:
    """Read a case and write its slices into the dataset folder.

    Raises:
        DataError: the case is damaged. None of its files are then in the data set.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    aside = out / PARTS / "unfinished" / case.case_id
    shutil.rmtree(aside, ignore_errors=True)
    try:
        for kind in ("images", "masks"):
            (aside / kind).mkdir(parents=True)
        part = _write_slices(case, aside)
        _put_in_place(aside, out, part)
    except OSError as error:
        raise storage_error(error, Path(error.filename or aside)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return part


def _write_slices(case: Case, aside: Path) -> Part:
    """Write the pictures of a case into its own folder `aside`."""
    inputs = describe_inputs(case)
    study = read_study(case)
    digest = sha256()
    slices = []
    for index, planes, mask in study.slices():
        pixels = to_pixels(study.modalities, planes)
        tumor_pixels = -1 if mask is None else int(np.count_nonzero(mask))
        if tumor_pixels == 0 and _is_flat(pixels):  # an empty slice is left out but keeps its index
            continue
        record = _record(case, study, index, tumor_pixels)
        _save(aside / record.file_name.replace(f"/{case.case_id}/", "/"), pixels)
        digest.update(f"{index} {pixels.shape}".encode() + pixels.tobytes())
        if mask is not None and record.mask_file_name:
            outline = mask.astype(np.uint8) * 255
            _save(aside / record.mask_file_name.replace(f"/{case.case_id}/", "/"), outline)
            digest.update(outline.tobytes())
        slices.append(record)
    names = tuple(dict.fromkeys(case.names + study.names))
    return Part(case.case_id, names, digest.hexdigest(), inputs, tuple(slices))


def to_pixels(modalities: tuple[str, ...], planes: tuple[np.ndarray, ...]) -> np.ndarray:
    """Turn planes `[H, W]` as scanned into the stored picture, uint8.

    Returns:
        `[H, W]` for FLAIR alone, else `[H, W, 3]` with FLAIR in place of a missing sequence.
    """
    stored = {
        modality: np.rint(window(plane) * 255).astype(np.uint8)
        for modality, plane in zip(modalities, planes, strict=True)
    }
    if len(stored) == 1:
        return stored["flair"]
    return np.stack([stored.get(modality, stored["flair"]) for modality in MODALITIES], axis=-1)


def remove_case(case_id: str, out: Path) -> None:
    """Remove a case from the data set, its part first, so that it no longer counts as finished."""
    (out / PARTS / f"{case_id}.json").unlink(missing_ok=True)
    for kind in ("images", "masks"):
        shutil.rmtree(out / kind / case_id, ignore_errors=True)


def _is_flat(pixels: np.ndarray) -> bool:
    flair = pixels if pixels.ndim == 2 else pixels[..., 0]
    return bool(flair.min() == flair.max())


def _record(case: Case, study: Study, index: int, tumor_pixels: int) -> SliceRecord:
    name = f"{case.case_id}/{index:03d}.png"
    return SliceRecord(
        file_name=f"images/{name}",
        mask_file_name=f"masks/{name}" if tumor_pixels > 0 else "",
        label=int(tumor_pixels != 0),
        patient_id="",
        case_id=case.case_id,
        slice_index=index,
        slice_count=len(study.sequences[0]),
        modalities=study.modalities,
        source=case.source,
        site=case.site,
        tumor_pixels=tumor_pixels,
        pixel_area_mm2=study.pixel_area_mm2,
        split="",
        lesion_pixels=-1 if study.lesions is None else int(np.count_nonzero(study.lesions[index])),
        slice_step_mm=study.slice_step_mm,
    )


def _save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, compress_level=1)


def _put_in_place(aside: Path, out: Path, part: Part) -> None:
    remove_case(part.case_id, out)
    for kind in ("images", "masks"):
        if any((aside / kind).iterdir()):
            os.replace(aside / kind, out / kind / part.case_id)
    write_text(out / PARTS / f"{part.case_id}.json", json.dumps(sealed(asdict(part))))
