"""All tables of docs/formats.md by name."""

from formats.rows import Row
from formats.volume_rows import VOLUMES

TABLES: dict[str, list[Row]] = {"volumes": VOLUMES}
