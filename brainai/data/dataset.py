"""The dataset folder: its records, its checks, and the split by patient, without torch.

images/<case_id>/<index>.png   8 bit; gray (FLAIR alone) or RGB = (FLAIR, T1c, T2)
masks/<case_id>/<index>.png    0 or 255; only for slices with tumor
metadata.csv                   one row per slice (`SliceRecord`), the metadata of an ImageFolder
dataset.json                   format version, options, counts, content hash
"""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from brainai.data.files import write_text
from brainai.data.seals import unsealed
from brainai.errors import DataError

DATASET_FORMAT = 1
MODALITIES = ("flair", "t1c", "t2")
PARTS = ".parts"  # hidden folder with a file for each finished case; not in a published data set
SPLITS = ("train", "valid", "test")
LABEL_NAMES = ("No Tumor", "Tumor")
SPLIT_SHARES = {"train": 0.65, "valid": 0.20, "test": 0.15}


TUMOR_FREE = "tumor-free"  # the source of people who are known to have no tumor


@dataclass(frozen=True)
class SliceRecord:
    """One axial slice of one case; a row of metadata.csv."""

    file_name: str
    mask_file_name: str  # "" if there is no tumor, or if it was not outlined
    label: int  # 1 = tumor
    patient_id: str
    case_id: str
    slice_index: int
    slice_count: int
    modalities: tuple[str, ...]  # the sequences that are present, always with "flair"
    source: str
    site: str
    tumor_pixels: int  # -1 = tumor without an outline
    pixel_area_mm2: float  # 0 = unknown
    split: str
    lesion_pixels: int = -1  # bright tissue that is not tumor, such as plaques; -1 = unknown
    slice_step_mm: float = 0.0  # distance of neighboring slices; 0 = unknown

    @property
    def has_mask(self) -> bool:
        """Whether the extent of the tumor is known. This is also so for a tumor-free slice."""
        return self.tumor_pixels >= 0


def assign_split(patient_id: str) -> str:
    """Return the split of a patient by a hash of the id.

    Adding a patient therefore moves no other patient to another split.
    """
    digest = hashlib.sha256(patient_id.encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    edge = 0.0
    for split, share in SPLIT_SHARES.items():
        edge += share
        if position < edge:
            return split
    return SPLITS[-1]


def write_records(path: Path, records: Iterable[SliceRecord]) -> str:
    """Write metadata.csv and return the checksum of its content."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(SliceRecord)])
    writer.writeheader()
    for record in records:
        writer.writerow(asdict(record) | {"modalities": "+".join(record.modalities)})
    write_text(path, text.getvalue())
    return hashlib.sha256(text.getvalue().encode()).hexdigest()


def parse_record(row: dict[str, str]) -> SliceRecord:
    """Turn one row of metadata.csv into a record.

    Raises:
        KeyError, ValueError: a column is missing, or its value has another type.
    """
    if None in row.values():
        raise ValueError("an incomplete row")
    values: dict[str, Any] = {
        field.name: field.type(row[field.name])
        for field in fields(SliceRecord)
        if field.type in (str, int, float)
    }
    return SliceRecord(**values, modalities=tuple(row["modalities"].split("+")))


def read_records(folder: str | Path) -> list[SliceRecord]:
    """Read and check the records of all slices of a dataset folder.

    Raises:
        DataError: the folder is not a dataset folder, a row is damaged, a split is unknown, or a
            patient is in two splits.
    """
    path = Path(folder) / "metadata.csv"
    if not path.is_file():
        raise DataError(
            f"{folder} is not a dataset folder, because it has no metadata.csv. "
            "Create one with `python -m brainai.data.prepare`."
        )
    records = []
    for row in csv.DictReader(io.StringIO(_read_table(path), newline="")):
        try:
            records.append(parse_record(row))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{path}, row {len(records) + 2}: expected the columns of a slice record, "
                f"found {error}. Prepare the data set again."
            ) from error
    check_records(records, where=str(folder))
    return records


def check_records(records: list[SliceRecord], where: str) -> None:
    """Raise DataError if there is no slice, a split is unknown, or a patient is in two splits."""
    splits = defaultdict(set)
    for record in records:
        splits[record.patient_id].add(record.split)
    unknown = sorted({record.split for record in records} - set(SPLITS))
    if unknown:
        raise DataError(
            f"{where}: expected the splits {', '.join(SPLITS)}, found {', '.join(unknown)}. "
            "Prepare the data set again."
        )
    leaking = sorted(patient for patient, names in splits.items() if len(names) > 1)
    if leaking:
        raise DataError(
            f"{where}: expected each patient in one split, found {len(leaking)} in several "
            f"({', '.join(leaking[:5])}), which makes results look too good. Prepare the data set "
            "again."
        )
    if not records:
        raise DataError(
            f"{where} holds no slices. Check --root and --source of the command that prepared it."
        )


def _read_table(path: Path) -> str:
    """Return the text of metadata.csv.

    Raises:
        DataError: the file cannot be read, or it was changed after the preparation.
    """
    try:
        content = path.read_bytes()
        text = content.decode()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read. Prepare the data set again.") from error
    if path.with_name("dataset.json").is_file():
        checksum = read_dataset_info(path.parent).get("metadata_checksum")
        if checksum is not None and checksum != hashlib.sha256(content).hexdigest():
            raise DataError(
                f"{path} is damaged or was changed by hand, because its checksum in dataset.json "
                "does not match. Prepare the data set again."
            )
    if "\0" in text:  # the csv module of Python 3.10 refuses it
        raise DataError(f"{path} is damaged. Prepare the data set again.")
    return text


def read_dataset_info(folder: str | Path) -> dict:
    """Read dataset.json of a dataset folder.

    Raises:
        DataError: the file is missing, damaged or of another format version.
    """
    path = Path(folder) / "dataset.json"
    try:
        info = unsealed(path.read_bytes())
        version = int(info["format_version"])
        if version == DATASET_FORMAT:
            info["content_hash"].encode()
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing, because the preparation did not finish. Run it again."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged. Prepare the data set again.") from error
    if version != DATASET_FORMAT:
        advice = "Update brainai" if version > DATASET_FORMAT else "Prepare the data set again"
        raise DataError(
            f"{path} has format {version}, but this version reads format {DATASET_FORMAT}. "
            f"{advice}."
        )
    return info


def source_names(folder: str | Path) -> list[str]:
    """Return the sources of the slices of a dataset folder, such as `["brats", "lgg"]`."""
    return sorted({record.source for record in read_records(folder)})
