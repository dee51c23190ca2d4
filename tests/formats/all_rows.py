"""All tables of docs/formats.md by name."""

from formats.dicom_rows import DICOM
from formats.dicom_slice_rows import DICOM_SLICES
from formats.folder_rows import FOLDERS
from formats.mask_rows import MASKS
from formats.rows import Row
from formats.set_rows import SETS
from formats.slice_rows import SLICES
from formats.stray_rows import STRAYS
from formats.volume_rows import VOLUMES

TABLES: dict[str, list[Row]] = {
    "volumes": VOLUMES,
    "dicom": DICOM,
    "slices": SLICES,
    "dicom slices": DICOM_SLICES,
    "sets": SETS,
    "masks": MASKS,
    "folders": FOLDERS,
    "strays": STRAYS,
}
