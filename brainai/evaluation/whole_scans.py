"""Whole scans: assemble them from scored slices, fit their verdict on `valid`, and evaluate it.

A scan is a case with more than one slice. Scans of people without a tumor are few; long tumor-free
parts of scans with a tumor are used in addition.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from brainai.data.dataset import SliceRecord, read_records
from brainai.evaluation.metrics import SliceScores
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import judge_slices, scan_features, scan_probability

HEAD_MM = 150.0  # assumed extent of the slices of a scan with an unknown slice distance
FIELD_MM = 240.0  # assumed longer side of a picture with an unknown pixel size
STRETCH_MM = 60.0  # minimum length of a tumor-free part that substitutes for a scan
MARGIN_MM = 10.0  # left out beside a tumor, whose rim may show on slices where nobody outlined it
SMALL_MM = 20.0  # length of an end of a tumor that substitutes for a small tumor


@dataclass(frozen=True, eq=False)
class Scan:
    """Predictions and ground truth of a case of Z slices, some of which may not be in the data set.

    Attributes:
        label: `[Z]` int, 1 = tumor, 0 = no tumor or slice not in the data set.
        probability: probability of tumor of each slice, `[Z]` float; NaN if it is not in the data
            set.
        areas_cm2: outlined area on each slice, `[Z]` float; None without a decoder.
        step_mm: distance between slices; if it is unknown, 150 mm divided by the number of slices.
    """

    case_id: str
    patient_id: str
    source: str
    label: np.ndarray
    probability: np.ndarray
    areas_cm2: np.ndarray | None
    step_mm: float

    @property
    def tumor(self) -> bool:
        """Whether any slice shows tumor."""
        return bool(self.label.any())

    @property
    def slices(self) -> tuple[np.ndarray, np.ndarray | None, float]:
        """Probabilities, areas and slice distance, from which the verdict is computed."""
        return self.probability, self.areas_cm2, self.step_mm

    def part(self, inside: slice) -> "Scan":
        """Return a range of slices as a scan."""
        areas = None if self.areas_cm2 is None else self.areas_cm2[inside]
        values = self.label[inside], self.probability[inside], areas
        return Scan(self.case_id, self.patient_id, self.source, *values, self.step_mm)


class Verdict(NamedTuple):
    """The fitted numbers of the scan verdict, with the names they have in `ModelInfo`."""

    scan_weights: tuple[float, float, float]
    scan_threshold: float


def gather_scans(
    folder: str | Path,
    records: Sequence[SliceRecord],
    probability: np.ndarray,
    outlined: np.ndarray | None,
    image_size: int,
) -> list[Scan]:
    """Assemble scans from slices of a dataset folder, sorted by case.

    Args:
        records: records of the slices; slices of cases with a single slice are ignored.
        probability: `[N]` float, probability of tumor of each slice.
        outlined: `[N]` int, outlined pixels at `image_size`; None without a decoder.
        image_size: side of the pictures in pixels.
    """
    scans = []
    for case, rows in sorted(rows_of_scans(records).items()):
        first = records[rows[0]]
        places = [records[row].slice_index for row in rows]
        areas = None
        if outlined is not None:
            pixel_cm2 = _side_mm(Path(folder), first) ** 2 / image_size**2 / 100
            areas = spread(outlined[rows] * pixel_cm2, places, first.slice_count, 0.0)
        scans.append(
            Scan(
                case,
                first.patient_id,
                first.source,
                spread([records[row].label for row in rows], places, first.slice_count, 0),
                spread(probability[rows], places, first.slice_count, np.nan),
                areas,
                step_mm(first),
            )
        )
    return scans


def rows_of_scans(records: Sequence[SliceRecord]) -> dict[str, list[int]]:
    """Return the rows of the slices of each case with more than one slice."""
    cases = defaultdict(list)
    for row, record in enumerate(records):
        if record.slice_count > 1:
            cases[record.case_id].append(row)
    return cases


def step_mm(record: SliceRecord) -> float:
    """Return the distance of the slices of a scan in mm, which may have to be assumed."""
    return record.slice_step_mm or HEAD_MM / record.slice_count


def spread(
    values: Sequence | np.ndarray, places: list[int], count: int, empty: float
) -> np.ndarray:
    """Return an array of `count` values, which is `empty` except for `values` at `places`."""
    whole = np.full(count, empty)
    whole[places] = values
    return whole


def _side_mm(folder: Path, record: SliceRecord) -> float:
    """Return the longer side of a slice in mm, which becomes the side of the network's input."""
    if not record.pixel_area_mm2:
        return FIELD_MM
    with Image.open(folder / record.file_name) as image:  # reads only the header
        return max(image.size) * record.pixel_area_mm2**0.5


def substitutes(scan: Scan) -> list[Scan]:
    """Return parts of a scan with a tumor that substitute for rare scans.

    Its tumor-free ends substitute for scans of people without a tumor. Its ends with `SMALL_MM` of
    the tumor substitute for scans with a small tumor. A tumor-free end is `MARGIN_MM` away from the
    tumor, and at least `STRETCH_MM` long, or a third of the scan if that is shorter.
    """
    judged, tumor = ~np.isnan(scan.probability), np.flatnonzero(scan.label)
    first, last, count = tumor[0], tumor[-1] + 1, len(judged)
    margin, small = (max(2, round(mm / scan.step_mm)) for mm in (MARGIN_MM, SMALL_MM))
    minimum = min(STRETCH_MM / scan.step_mm, judged.sum() / 3)
    ends = slice(0, max(0, first - margin)), slice(last + margin, count)
    parts = [end for end in ends if judged[end].sum() >= max(2, minimum)]
    parts += [slice(0, first + small), slice(last - small, count)] if last - first > small else []
    return [scan.part(inside) for inside in parts]


def fit_verdict(scans: Sequence[Scan]) -> Verdict | None:
    """Fit the scan verdict to scans and their substitutes.

    It is a logistic regression with an L2 penalty (the default of scikit-learn). Both classes have
    the same total weight, and so have the sources within a class.

    Returns:
        The verdict, or None unless some scans have a tumor and some have none.
    """
    scans = [part for scan in scans for part in (scan, *(substitutes(scan) if scan.tumor else ()))]
    tumor = np.array([scan.tumor for scan in scans])
    if len(np.unique(tumor)) < 2:
        return None
    weight = balance([(scan.tumor, scan.source) for scan in scans])
    features = [scan_features(*scan.slices) for scan in scans]
    fitted = LogisticRegression().fit(features, tumor, sample_weight=weight)
    peak, outlined = (round(float(factor), 4) for factor in fitted.coef_[0])
    weights = peak, outlined, round(float(fitted.intercept_[0]), 4)
    probability = np.array([scan_probability(values, weights) for values in features])
    return Verdict(weights, _fewest_errors(probability, tumor, weight))


def balance(groups: Sequence[tuple[bool, str]]) -> np.ndarray:
    """Return weights `[N]` with mean 1 that balance classes, and sources within a class.

    >>> balance([(True, "lgg"), (False, "lgg"), (False, "lgg")]).tolist()
    [1.5, 0.75, 0.75]

    Args:
        groups: class and source of each scan.
    """
    distinct = set(groups)
    sources = {tumor: sum(other == tumor for other, _ in distinct) for tumor, _ in distinct}
    weight = np.array([1 / (groups.count(group) * sources[group[0]]) for group in groups])
    return weight * len(weight) / weight.sum()


def _fewest_errors(probability: np.ndarray, tumor: np.ndarray, weight: np.ndarray) -> float:
    """Return the threshold with the lowest weight of errors; among ties, the closest to 1/2."""
    ordered = np.unique(np.concatenate([[0.0], probability, [1.0]]))
    levels = (ordered[:-1] + ordered[1:]) / 2
    wrong = [weight[(probability >= level) != tumor].sum() for level in levels]
    best = levels[np.isclose(wrong, min(wrong))]
    return round(float(best[np.abs(best - 0.5).argmin()]), 6)


def measure_scans(scores: SliceScores, info: ModelInfo, folder: str | Path) -> dict:
    """Evaluate the verdict on the whole scans among the scored slices of a dataset folder.

    Returns:
        `{"threshold": …, "groups": {"all": group, "lgg": …}}`. A group has the counts `n_tumor`,
        `found`, `n_tumor_free` and `wrongly_called`, and the sorted probabilities of scans with and
        without a tumor, `tumor` and `tumor_free`. Without scans there are no groups.
    """
    records = {record.file_name: record for record in read_records(folder)}
    outlined = np.maximum(scores.mask_tp + scores.mask_fp, 0)
    scans = gather_scans(
        folder,
        [records[name] for name in scores.file_name],
        scores.probability,
        None if (scores.mask_tp < 0).all() else outlined,
        info.image_size,
    )
    probabilities = [judge_slices(*scan.slices, info.scan_weights) for scan in scans]
    level = info.threshold_of_scans
    names = [*(["all"] if scans else []), *sorted({scan.source for scan in scans})]
    groups = {}
    for name in names:
        tumor, free = (
            sorted(
                round(probability, 6)
                for probability, scan in zip(probabilities, scans, strict=True)
                if scan.tumor == wanted and name in ("all", scan.source)
            )
            for wanted in (True, False)
        )
        groups[name] = {
            "n_tumor": len(tumor),
            "found": sum(probability >= level for probability in tumor),
            "n_tumor_free": len(free),
            "wrongly_called": sum(probability >= level for probability in free),
            "tumor": tumor,
            "tumor_free": free,
        }
    return {"threshold": level, "groups": groups}
