"""The dataset folder: its records, its checks, and the split by patient. No torch in here.

images/<case_id>/<index>.png   8 bit; gray (FLAIR alone) or RGB = (FLAIR, T1c, T2)
masks/<case_id>/<index>.png    0 or 255, only where there is tumor
metadata.csv                   one row per slice (`SliceRecord`), an ImageFolder's metadata file
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
PARTS = ".parts"  # hidden folder with a file for each finished case; not in a shared data set
SPLITS = ("train", "valid", "test")
LABEL_NAMES = ("No Tumor", "Tumor")
SPLIT_SHARES = {"train": 0.65, "valid": 0.20, "test": 0.15}


TUMOR_FREE = "tumor-free"  # source of people who are known to have no tumor


@dataclass(frozen=True)
class SliceRecord:
    """One axial slice of one case; a row of metadata.csv."""

    file_name: str
    mask_file_name: str  # "" where there is no tumor, or none was outlined
    label: int  # 1 = tumor
    patient_id: str
    case_id: str
    slice_index: int
    slice_count: int
    modalities: tuple[str, ...]  # really present, always with "flair"
    source: str
    site: str
    tumor_pixels: int  # -1 = tumor without an outline
    pixel_area_mm2: float  # 0 = unknown
    split: str
    lesion_pixels: int = -1  # bright and no tumor, such as plaques; -1 = unknown
    slice_step_mm: float = 0.0  # distance of the slices of the case; 0 = unknown

    @property
    def has_mask(self) -> bool:
        """True where the extent of tumor is known, a tumor-free slice included."""
        return self.tumor_pixels >= 0


def assign_split(patient_id: str) -> str:
    """The split of a patient, from a hash of the id alone: adding a patient moves nobody."""
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
    """One row of metadata.csv as a record.

    Raises:
        KeyError, ValueError: a column is missing or holds something else.
    """
    if None in row.values():
        raise ValueError("a row that breaks off")
    values: dict[str, Any] = {
        field.name: field.type(row[field.name])
        for field in fields(SliceRecord)
        if field.type in (str, int, float)
    }
    return SliceRecord(**values, modalities=tuple(row["modalities"].split("+")))


def read_records(folder: str | Path) -> list[SliceRecord]:
    """All slices of a dataset folder, checked: known splits, and no patient in two of them.

    Raises:
        DataError: no dataset folder, a damaged row, or a patient who stands in two splits.
    """
    path = Path(folder) / "metadata.csv"
    if not path.is_file():
        raise DataError(
            f"{folder} is not a dataset folder: it has no metadata.csv. "
            "Make one with `python -m brainai.data.prepare`."
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
    """Raises DataError where a split is unknown or one patient stands in two splits."""
    splits = defaultdict(set)
    for record in records:
        splits[record.patient_id].add(record.split)
    unknown = sorted({split for found in splits.values() for split in found} - set(SPLITS))
    if unknown:
        raise DataError(f"{where}: expected the splits {', '.join(SPLITS)}, found {unknown}.")
    leaking = sorted(patient for patient, found in splits.items() if len(found) > 1)
    if leaking:
        raise DataError(
            f"{where}: {len(leaking)} patients stand in more than one split "
            f"({', '.join(leaking[:5])}): figures would be too good. Prepare the data set again."
        )
    if not records:
        raise DataError(f"{where} holds no slice. Check --root and --source of the preparation.")


def _read_table(path: Path) -> str:
    """The text of metadata.csv, as the preparation wrote it.

    Raises:
        DataError: it cannot be read, or was changed since.
    """
    try:
        content = path.read_bytes()
        text = content.decode()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: prepare the data set again.") from error
    if path.with_name("dataset.json").is_file():
        checksum = read_dataset_info(path.parent).get("metadata_checksum")
        if checksum is not None and checksum != hashlib.sha256(content).hexdigest():
            raise DataError(
                f"{path} is damaged or was changed by hand: its checksum in dataset.json is "
                "another. Prepare the data set again."
            )
    if "\0" in text:  # the csv module of Python 3.10 refuses it
        raise DataError(f"{path} is damaged: prepare the data set again.")
    return text


def read_dataset_info(folder: str | Path) -> dict:
    """dataset.json of a dataset folder.

    Raises:
        DataError: it is missing, damaged, or of another format.
    """
    path = Path(folder) / "dataset.json"
    try:
        info = unsealed(path.read_bytes())
        version = int(info["format_version"])
        if version == DATASET_FORMAT:
            info["content_hash"].encode()
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing: the preparation did not finish. Run it again."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged: prepare the data set again.") from error
    if version != DATASET_FORMAT:
        advice = "update brainai" if version > DATASET_FORMAT else "prepare the data set again"
        raise DataError(
            f"{path} has format {version}, this version reads {DATASET_FORMAT}: {advice}."
        )
    return info


def source_names(folder: str | Path) -> list[str]:
    """Where the slices of a dataset folder come from, such as `["brats", "lgg"]`."""
    return sorted({record.source for record in read_records(folder)})
