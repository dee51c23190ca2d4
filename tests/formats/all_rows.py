"""All tables of docs/formats.md by name."""

from formats.rows import Row
from formats.set_rows import SETS
from formats.slice_rows import SLICES
from formats.volume_rows import VOLUMES

TABLES: dict[str, list[Row]] = {"volumes": VOLUMES, "slices": SLICES, "sets": SETS}
