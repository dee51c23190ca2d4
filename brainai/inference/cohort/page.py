"""The page of a cohort, OUT/index.html, which needs no server and shows no data of headers.

The names of scans come only from the names of files and folders.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from brainai.data.files import write_text
from brainai.inference.cohort.ledger import ERROR, FAILED, JUDGED, REFUSED
from brainai.markup import render
from brainai.model.folder import ModelInfo

MAX_ROWS = 5000  # rows of the table, because more would make browsers slow
MAX_NAMES = 100  # names of scans for each reason
BINS = 20  # bins of the probability
VOLUMES_ML = (0, 1, 2, 5, 10, 20, 50, 100, 200)  # lower edges of the bins of the volume


class CohortPage:
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
        html = render(
            "cohort.html",
            day=date.today().isoformat(),
            headline=f"{self._status[JUDGED]:,} of {count:,} scans judged",
            counts=self._counts(info),
            threshold=f"{100 * info.threshold_of_scans:.1f} %",
            plots=self._plots(info),
            reasons=[
                (reason, f"{number:,}", self._names[reason], number > MAX_NAMES)
                for reason, number in self._reasons.most_common()
            ],
            caption=caption,
            rows=[_row(row, info) for _, row in shown],
            info=info,
        )
        write_text(out / "index.html", html)

    def _highest(self) -> list[tuple[tuple[float, str], dict[str, Any]]]:
        return heapq.nlargest(MAX_ROWS, self._rows, key=lambda row: row[0])

    def _counts(self, info: ModelInfo) -> dict[str, str]:
        kinds = {label: self._labels[label] for label in reversed(info.label_names)}
        kinds |= {"Cannot judge": self._status[REFUSED], "Not usable": self._status[ERROR]}
        if self._status[FAILED]:
            kinds["Failed, will be tried again"] = self._status[FAILED]
        return {kind: f"{number:,}" for kind, number in kinds.items()}

    def _plots(self, info: ModelInfo) -> list[dict[str, Any]]:
        mark = info.threshold_of_scans * BINS
        plots = [_plot("Probability of tumor", self._probabilities, ("0 %", "100 %"), mark)]
        if any(self._volumes):
            ends = [f"{edge}" for edge in (*VOLUMES_ML, "more")]
            plots.append(_plot("Outlined volume in mL, up to", self._volumes, ends))
        return plots


def _row(row: dict[str, Any], info: ModelInfo) -> dict[str, Any]:
    probability = "" if row["probability"] is None else f"{100 * row['probability']:.1f} %"
    volume = "" if row["volume_ml"] is None else f"{row['volume_ml']:.1f}"
    slices = "" if row["slices"] is None else f"{row['slices_tumor']} of {row['slices_judged']}"
    return row | {
        "tumor": row["label"] == info.label_names[1],
        "label": row["label"] or ("Not usable" if row["status"] == ERROR else "Failed"),
        "numbers": [
            (row["probability"], probability),
            (row["volume_ml"], volume),
            (row["slices_tumor"], slices),
            (row["seconds"], f"{row['seconds']:.1f}"),
        ],
        "reason": row["reason"] or "",
    }


def _plot(
    title: str, counts: Sequence[int], ends: Sequence[str], mark: float | None = None
) -> dict[str, Any]:
    """Return a histogram with labels below the bars, or below its ends, and a line at `mark`."""
    most = max(*counts, 1)
    bars = [
        (f"{place + 0.05:g}", f"{1 - number / most:.4f}", f"{number / most:.4f}", f"{number:,}")
        for place, number in enumerate(counts)
    ]
    return {
        "title": title,
        "bars": bars,
        "ends": ends,
        "mark": None if mark is None else f"{mark:g}",
        "most": f"{max(counts):,}",
        "total": f"{sum(counts):,}",
    }
