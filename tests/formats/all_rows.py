"""All tables of docs/formats.md by name."""

from formats.dicom_rows import DICOM
from formats.dicom_slice_rows import DICOM_SLICES
from formats.rows import Row
from formats.set_rows import SETS
from formats.slice_rows import SLICES
from formats.volume_rows import VOLUMES

TABLES: dict[str, list[Row]] = {
    "volumes": VOLUMES,
    "dicom": DICOM,
    "slices": SLICES,
    "dicom slices": DICOM_SLICES,
    "sets": SETS,
}
