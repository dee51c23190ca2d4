"""All tables of docs/formats.md by name."""

from formats.folder_rows import FOLDERS
from formats.mask_rows import MASKS
from formats.rows import Row
from formats.stray_rows import STRAYS
from formats.volume_rows import VOLUMES

TABLES: dict[str, list[Row]] = {
    "volumes": VOLUMES,
    "masks": MASKS,
    "folders": FOLDERS,
    "strays": STRAYS,
}
