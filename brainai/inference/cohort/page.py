"""The page of a cohort, OUT/index.html, which needs no server and shows no data of headers.

The names of scans come only from the names of files and folders.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from brainai import DISCLAIMER, __version__
from brainai.data.files import write_text
from brainai.inference.cohort.ledger import ERROR, FAILED, JUDGED, REFUSED
from brainai.model.folder import ModelInfo

TEMPLATE = Path(__file__).with_name("page.html")
MAX_ROWS = 5000  # rows of the table, because more would make browsers slow
MAX_NAMES = 100  # names of scans for each reason
BINS = 20  # bins of the probability
VOLUMES_ML = (0, 1, 2, 5, 10, 20, 50, 100, 200)  # lower edges of the bins of the volume
HEADINGS = (
    "Scan",
    "Verdict",
    "Probability",
    "Volume, mL",
    "Tumor slices",
    "Seconds",
    "Reason",
)

SORTED = ' aria-sort="descending"'  # initial order of the rows


class Page:
    """Collects the content of the page row by row, without keeping rows that it will not show."""

    def __init__(self) -> None:
        self._status: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._probabilities = [0] * BINS
        self._volumes = [0] * (len(VOLUMES_ML) + 1)
        self._reasons: Counter[str] = Counter()
        self._names: defaultdict[str, list[str]] = defaultdict(list)
        self._rows: list[tuple[tuple[float, str], dict[str, Any]]] = []

    def add(self, row: dict[str, Any], thumbnail: str | None) -> None:
        """Add a scan.

        Args:
            row: the row of `tables.scan_row`.
            thumbnail: path of the picture relative to the page, or None.
        """
        self._status[row["status"]] += 1
        if row["status"] == JUDGED:
            self._labels[row["label"]] += 1
            self._probabilities[min(int(row["probability"] * BINS), BINS - 1)] += 1
            if row["volume_ml"] is not None:
                self._volumes[sum(row["volume_ml"] > edge for edge in VOLUMES_ML)] += 1
        else:
            self._reasons[row["reason"]] += 1
            if len(self._names[row["reason"]]) < MAX_NAMES:
                self._names[row["reason"]].append(row["scan"])
        order = (-1.0 if row["probability"] is None else row["probability"], row["scan"])
        self._rows.append((order, row | {"thumbnail": thumbnail}))
        if len(self._rows) >= 2 * MAX_ROWS:
            self._rows = self._highest()

    def write(self, out: Path, info: ModelInfo) -> None:
        """Write index.html.

        Raises:
            StorageError: the folder cannot be written to.
        """
        shown = self._highest()
        count = self._status.total()
        caption = f"{len(shown)} scans" if len(shown) == count else (
            f"The {len(shown):,} scans with the highest probability; results.csv has all {count:,}"
        )  # fmt: skip
        words = {
            "day": date.today().isoformat(),
            "headline": f"{self._status[JUDGED]:,} of {count:,} scans judged",
            "disclaimer": DISCLAIMER,
            "facts": self._facts(info),
            "threshold": f"{100 * info.threshold_of_scans:.1f} %",
            "point": escape(info.operating_point_of_scans),
            "plots": self._plots(info),
            "reasons": self._why(),
            "caption": caption,
            "headings": _headings(),
            "rows": "\n".join(_row(row, info) for _, row in shown),
            "model": escape(info.name),
            "revision": escape(info.revision),
            "version": __version__,
        }
        write_text(out / "index.html", Template(TEMPLATE.read_text("utf-8")).substitute(words))

    def _highest(self) -> list[tuple[tuple[float, str], dict[str, Any]]]:
        return heapq.nlargest(MAX_ROWS, self._rows, key=lambda row: row[0])

    def _facts(self, info: ModelInfo) -> str:
        kinds = {label: self._labels[label] for label in reversed(info.label_names)}
        kinds |= {"Cannot judge": self._status[REFUSED], "Not usable": self._status[ERROR]}
        if self._status[FAILED]:
            kinds["Failed, will be tried again"] = self._status[FAILED]
        return "".join(
            f"<div><dt>{escape(kind)}</dt><dd>{number:,}</dd></div>"
            for kind, number in kinds.items()
        )

    def _plots(self, info: ModelInfo) -> str:
        mark = info.threshold_of_scans * BINS
        plots = _bars("Probability of tumor", self._probabilities, ("0 %", "100 %"), mark)
        if any(self._volumes):
            ends = [f"{edge}" for edge in (*VOLUMES_ML, "more")]
            plots += _bars("Outlined volume in mL, up to", self._volumes, ends)
        return plots

    def _why(self) -> str:
        if not self._reasons:
            return "<p>All scans were judged.</p>"
        return "".join(
            f"<details><summary>{number:,} × {escape(reason)}</summary>"
            f"<p>{escape(', '.join(self._names[reason]))}"
            f"{' …' if number > MAX_NAMES else ''}</p></details>"
            for reason, number in self._reasons.most_common()
        )


def _headings() -> str:
    cells = "".join(
        f'<th scope="col"{SORTED if name == "Probability" else ""}>'
        f'<button type="button">{name}</button></th>'
        for name in HEADINGS
    )
    return f'<th scope="col">Strongest slice</th>{cells}'


def _row(row: dict[str, Any], info: ModelInfo) -> str:
    name = escape(row["scan"])
    picture = "" if row["thumbnail"] is None else (
        f'<img loading="lazy" alt="Strongest slice of {name}" src="{escape(row["thumbnail"])}">'
    )  # fmt: skip
    label = row["label"] or ("Not usable" if row["status"] == ERROR else "Failed")
    kind = "tumor" if row["label"] == info.label_names[1] else "other"
    probability = "" if row["probability"] is None else f"{100 * row['probability']:.1f} %"
    volume = "" if row["volume_ml"] is None else f"{row['volume_ml']:.1f}"
    slices = "" if row["slices"] is None else f"{row['slices_tumor']} of {row['slices_judged']}"
    return (
        f'<tr class="{kind}"><td>{picture}</td><td>{name}</td><td>{escape(label)}</td>'
        f"{_number(row['probability'], probability)}"
        f"{_number(row['volume_ml'], volume)}{_number(row['slices_tumor'], slices)}"
        f"{_number(row['seconds'], format(row['seconds'], '.1f'))}"
        f"<td>{escape(row['reason'] or '')}</td></tr>"
    )


def _number(value: float | None, shown: str) -> str:
    return f'<td class="number" data-value="{"" if value is None else value}">{shown}</td>'


def _bars(title: str, counts: Sequence[int], ends: Sequence[str], mark: float | None = None) -> str:
    """Return a histogram as SVG, with labels below the bars, and a dashed line at `mark`."""
    most = max(*counts, 1)
    bars = "".join(
        f'<rect x="{place + 0.05:g}" width="0.9" y="{1 - number / most:.4f}" '
        f'height="{number / most:.4f}"><title>{number:,}</title></rect>'
        for place, number in enumerate(counts)
    )
    line = "" if mark is None else f'<line x1="{mark:g}" x2="{mark:g}" y1="0" y2="1"/>'
    dashed = "" if mark is None else "; dashed line: threshold of “Tumor”"
    spans = "".join(f"<span>{end}</span>" for end in ends)
    spread = "each" if len(ends) == len(counts) else "ends"  # labels of each bar, or of the ends
    summary = f"{title}: {sum(counts):,} scans, at most {max(counts):,} in one bar"
    return (
        f'<figure><figcaption class="small">{title} (highest bar: {max(counts):,}{dashed})'
        f'</figcaption><svg role="img" aria-label="{summary}" viewBox="0 0 {len(counts)} 1" '
        f'preserveAspectRatio="none">{bars}{line}</svg>'
        f'<p class="{spread} small">{spans}</p></figure>'
    )
