"""Whole scans: put together from slices that are scored already, fitted on `valid`, and counted.

A scan is a case with more than one slice; single pictures are none. Of scans with a tumor, long
stretches without one stand in for scans of people without a tumor, of whom there are few.
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

HEAD_MM = 150.0  # over the slices of a scan whose step is unknown
FIELD_MM = 240.0  # the longer side of a picture whose pixels are of unknown size
STRETCH_MM = 60.0  # at least, to stand in for a scan
MARGIN_MM = 10.0  # left out beside a tumor: its rim may be seen before it is outlined
SMALL_MM = 20.0  # of a tumor's end, to stand in for a small one


@dataclass(frozen=True, eq=False)
class Scan:
    """A case of Z slices beside the truth; a slice that the data set lacks shows nothing.

    Attributes:
        label: `[Z]` int, 1 = tumor, 0 = none or no picture.
        probability: of each slice, `[Z]` float; NaN where there is no picture.
        areas_cm2: of what is outlined, `[Z]` float; None without a decoder.
        step_mm: distance of the slices; where the data set knows none, that of a head of 150 mm.
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
        """What the verdict is made of."""
        return self.probability, self.areas_cm2, self.step_mm

    def part(self, inside: slice) -> "Scan":
        """Some of its slices as a scan of their own."""
        areas = None if self.areas_cm2 is None else self.areas_cm2[inside]
        own = self.label[inside], self.probability[inside], areas
        return Scan(self.case_id, self.patient_id, self.source, *own, self.step_mm)


class Verdict(NamedTuple):
    """The numbers that make the verdict on a scan; `ModelInfo` names them so."""

    scan_weights: tuple[float, float, float]
    scan_threshold: float


def gather_scans(
    folder: str | Path,
    records: Sequence[SliceRecord],
    probability: np.ndarray,
    outlined: np.ndarray | None,
    image_size: int,
) -> list[Scan]:
    """The scans among some slices of a dataset folder, in the order of their cases.

    Args:
        probability: `[N]` float, of the slices of `records`.
        outlined: `[N]` int, pixels of `image_size` squared that are outlined; None without a
            decoder.
    """
    cases = defaultdict(list)
    for row, record in enumerate(records):
        if record.slice_count > 1:
            cases[record.case_id].append(row)
    scans = []
    for case, rows in sorted(cases.items()):
        first = records[rows[0]]
        places = [records[row].slice_index for row in rows]
        areas = None
        if outlined is not None:
            pixel_cm2 = _side_mm(Path(folder), first) ** 2 / image_size**2 / 100
            areas = _spread(outlined[rows] * pixel_cm2, places, first.slice_count, 0.0)
        scans.append(
            Scan(
                case,
                first.patient_id,
                first.source,
                _spread([records[row].label for row in rows], places, first.slice_count, 0),
                _spread(probability[rows], places, first.slice_count, np.nan),
                areas,
                first.slice_step_mm or HEAD_MM / first.slice_count,
            )
        )
    return scans


def _spread(
    values: Sequence | np.ndarray, places: list[int], count: int, empty: float
) -> np.ndarray:
    whole = np.full(count, empty)
    whole[places] = values
    return whole


def _side_mm(folder: Path, record: SliceRecord) -> float:
    """The longer side of a slice, which the network sees as its whole width."""
    if not record.pixel_area_mm2:
        return FIELD_MM
    with Image.open(folder / record.file_name) as image:  # only its header is read
        return max(image.size) * record.pixel_area_mm2**0.5


def stand_ins(scan: Scan) -> list[Scan]:
    """Parts of a scan with a tumor that stand in for scans that are rare: its tumor-free ends for
    people without a tumor, each end with `SMALL_MM` of the tumor for small ones.

    A tumor-free end is `STRETCH_MM` long, or a third of the scan, and `MARGIN_MM` away from the
    tumor.
    """
    judged, tumor = ~np.isnan(scan.probability), np.flatnonzero(scan.label)
    first, last, count = tumor[0], tumor[-1] + 1, len(judged)
    margin, small = (max(2, round(mm / scan.step_mm)) for mm in (MARGIN_MM, SMALL_MM))
    least = min(STRETCH_MM / scan.step_mm, judged.sum() / 3)
    ends = slice(0, max(0, first - margin)), slice(last + margin, count)
    parts = [end for end in ends if judged[end].sum() >= max(2, least)]
    parts += [slice(0, first + small), slice(last - small, count)] if last - first > small else []
    return [scan.part(inside) for inside in parts]


def fit_verdict(scans: Sequence[Scan]) -> Verdict | None:
    """What is fitted to scans and their stand-ins; None unless some have a tumor and some none.

    A logistic regression with an L2 penalty (scikit-learn's default). Scans with and without a
    tumor count alike, and in each of these the sources.
    """
    scans = [one for scan in scans for one in (scan, *(stand_ins(scan) if scan.tumor else ()))]
    tumor = np.array([scan.tumor for scan in scans])
    if len(np.unique(tumor)) < 2:
        return None
    weight = balance([(scan.tumor, scan.source) for scan in scans])
    features = [scan_features(*scan.slices) for scan in scans]
    fitted = LogisticRegression().fit(features, tumor, sample_weight=weight)
    weights = tuple(round(float(w), 4) for w in (*fitted.coef_[0], fitted.intercept_[0]))
    said = np.array([scan_probability(found, weights) for found in features])
    return Verdict(weights, _fewest_errors(said, tumor, weight))


def balance(groups: Sequence[tuple[bool, str]]) -> np.ndarray:
    """Weights `[N]`, 1 on the average: both classes count alike, and in each the sources."""
    found = set(groups)
    sources = {tumor: sum(own == tumor for own, _ in found) for tumor, _ in found}
    weight = np.array([1 / (groups.count(group) * sources[group[0]]) for group in groups])
    return weight * len(weight) / weight.sum()


def _fewest_errors(probability: np.ndarray, tumor: np.ndarray, weight: np.ndarray) -> float:
    """The threshold with the least weight of errors; of equal ones that nearest one half."""
    ordered = np.unique(np.concatenate([[0.0], probability, [1.0]]))
    levels = (ordered[:-1] + ordered[1:]) / 2
    wrong = [weight[(probability >= level) != tumor].sum() for level in levels]
    best = levels[np.isclose(wrong, min(wrong))]
    return round(float(best[np.abs(best - 0.5).argmin()]), 6)


def measure_scans(scores: SliceScores, info: ModelInfo, folder: str | Path) -> dict:
    """How the whole scans among scored slices of a dataset folder are called.

    Returns:
        `{"threshold": …, "groups": {"all": group, "lgg": …}}`; a group has `n_tumor`, `found`,
        `n_tumor_free`, `wrongly_called`, and the sorted probabilities of both kinds, `tumor` and
        `tumor_free`. No groups where there is no scan.
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
    said = [judge_slices(*scan.slices, info.scan_weights) for scan in scans]
    level = info.threshold_of_scans
    names = [*(["all"] if scans else []), *sorted({scan.source for scan in scans})]
    groups = {}
    for name in names:
        tumor, free = (
            sorted(
                round(probability, 6)
                for probability, scan in zip(said, scans, strict=True)
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
