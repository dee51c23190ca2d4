"""The answer for a whole scan: every slice judged, and put together in the scan's own geometry."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from brainai.data.dicom_seg import write_dicom_seg
from brainai.data.files import write_text
from brainai.data.images import restore, stretch
from brainai.data.volumes import Grid, Volume, write_mask
from brainai.errors import DataError, OutOfScope, StorageError
from brainai.inference.sequences import MASK_LEVEL, SPOKEN, stack_sequences
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import judge_slices
from brainai.model.scope import SCAN_SLICES, spread_over

HEAD_CM2 = 10.0  # a slice with less of the head in it is not judged: scalp, or the tip of the brain
HEAD_LEVEL = 0.1  # of the scan's brightness: what differs more from the background is head
CSV_COLUMNS = ("index", "position_mm", "probability", "label", "area_cm2")

Progress: TypeAlias = Callable[[int, int], object]


class JudgedSlice(NamedTuple):
    """A slice that is judged while others are not yet.

    index: from 0, the lowest.
    mask: `[Y, X]` bool on FLAIR's own voxels, as it is shown; None if the model has no decoder.
    """

    index: int  # type: ignore[assignment]  # in the place of tuple's method
    probability: float
    mask: np.ndarray | None


class ScanProgress(NamedTuple):
    """How many of the slices to judge are judged, and the last of them."""

    done: int
    total: int
    latest: JudgedSlice | None = None


@dataclass(frozen=True, eq=False)
class ScanPrediction:
    """The answer for a scan of Z slices, lowest first.

    Attributes:
        label: "Tumor" where `probability` reaches `threshold`, else "No Tumor"; of the whole scan.
        probability: of tumor, in [0, 1]: from how sure neighboring slices over 5 mm are together,
            two at least, and how much is outlined there, as fitted to whole scans
            (`brainai.model.scan_verdict`). For models without such a fit it is the highest level
            that those slices all reach. One slice alone never decides: false alarms of single
            slices would add up over a scan.
        threshold: the model's operating point for scans, a probability.
        slices: probability of each slice, `[Z]` float; NaN where a slice shows next to nothing of
            the head and is not judged.
        slice_threshold: the model's operating point for slices, a probability.
        slice_labels: "Tumor" from `slice_threshold` on, "No Tumor", or "" where not judged, one per
            slice. They may differ from `label`: a small spot that looks like tumor on a slice
            makes no scan with a tumor.
        mask: where the network sees tumor, `[X, Y, Z]` bool in LPS on FLAIR's own voxels; an
            estimate of extent, drawn whatever the labels are. None if the model has no decoder.
        volume_ml: of the mask; None without one.
        areas_cm2: of the mask in each slice, `[Z]` float; None without one.
        grid: where the voxels lie, and how FLAIR's file orders them.
        notes: what was chosen on the way, a sentence each, fit for a visitor.
    """

    label: str
    probability: float
    threshold: float
    slices: np.ndarray
    slice_threshold: float
    slice_labels: tuple[str, ...]
    mask: np.ndarray | None
    volume_ml: float | None
    areas_cm2: np.ndarray | None
    grid: Grid
    notes: tuple[str, ...] = ()

    def save_mask(self, path: str | Path) -> None:
        """Write the mask (.nii.gz, .nii or .mha) with orientation and voxels of FLAIR's own file,
        so that it lies over that file in any viewer. The file appears whole or not at all.

        Raises:
            DataError: there is no mask, or no place to write to.
        """
        if self.mask is None:
            raise DataError("This model has no decoder, so there is no mask to save.")
        write_mask(Path(path), self.mask, self.grid)

    def save_dicom_seg(self, path: str | Path, series: str | Path) -> None:
        """Write the mask as a DICOM SEG that viewers lay over the series that was judged.

        Its descriptions say that it is for research only. It stands in the study of the series and
        repeats what the headers there say of the patient. Needs the package highdicom.

        Args:
            series: the folder or the zip file that was given as FLAIR.
        Raises:
            DataError: there is no mask, highdicom is not installed, the series is not the one that
                was judged or lacks what a SEG refers to, or there is no place to write to.
        """
        if self.mask is None:
            raise DataError("This model has no decoder, so there is no mask to save.")
        write_dicom_seg(Path(path), self.mask, self.grid, Path(series))

    def strongest_slice(self) -> int:
        """Index of the slice to look at first: the one with the largest outlined area, else the one
        with the highest probability."""
        if self.areas_cm2 is not None and self.areas_cm2.any():
            return int(self.areas_cm2.argmax())
        return int(np.nanargmax(self.slices))

    def rows(self) -> Iterator[dict[str, int | float | str | None]]:
        """One record per slice, lowest first; None for what was not judged. Keys: index (from 0),
        position_mm (of its middle, towards the head), probability, label, area_cm2."""
        heights = self.grid.heights_mm()
        for index, probability in enumerate(self.slices):
            area = None if self.areas_cm2 is None else round(float(self.areas_cm2[index]), 4)
            judged = not math.isnan(probability)
            values = (
                index,
                round(float(heights[index]), 3),
                round(float(probability), 6) if judged else None,
                self.slice_labels[index] or None,
                area if judged else None,
            )
            yield dict(zip(CSV_COLUMNS, values, strict=True))

    def write_csv(self, path: str | Path) -> None:
        """Write `rows` as a table; empty where a slice is not judged. Whole or not at all.

        Raises:
            DataError: there is no place to write to.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, CSV_COLUMNS)
        writer.writeheader()
        writer.writerows(self.rows())
        try:
            write_text(Path(path), text.getvalue())
        except StorageError as error:
            raise DataError(
                f"{path}: expected a place to write the table to, found none."
            ) from error


def judge_scan(
    forward: Callable,
    refuse: Callable[[np.ndarray], str | None],
    info: ModelInfo,
    volumes: Mapping[str, Volume],
    batch_size: int = 8,
) -> Iterator["ScanProgress | ScanPrediction"]:
    """Judge every slice that shows the head, batch by batch, and put the answers together.

    A generator, so that whoever waits sees how far it is and may stop: it yields a `ScanProgress`
    after each batch, and the `ScanPrediction` last.

    Args:
        forward: prepared slices `[N, 3, S, S]` float32 in [0, 1] → an object with `probabilities`
            `[N]` and `masks` `[N, S, S]`, or None.
        refuse: some prepared slices of the scan → why it cannot be judged, or None where it can.
        volumes: of `open_sequences`.
    Raises:
        OutOfScope: its slices together do not look like axial FLAIR.
        DataError: no slice shows enough of a head.
    """
    flair = volumes["flair"]
    width, height, count = flair.voxels.shape
    judged = np.flatnonzero(head_areas(flair) >= HEAD_CM2)
    if len(judged) == 0:
        raise DataError(
            "FLAIR: expected a scan of a head, found no slice with enough of one in it. "
            "Bring the whole scan as the scanner made it."
        )
    _check_scope(refuse, info, flair, judged)
    probabilities = np.full(count, np.nan)
    mask = None
    for start in range(0, len(judged), batch_size):
        batch = judged[start : start + batch_size]
        prepared = [_prepare(volumes, index, info) for index in batch]
        found = forward(np.stack([planes for planes, _, _ in prepared]))
        probabilities[batch] = found.probabilities
        if found.masks is not None:
            if mask is None:
                mask = np.zeros((count, height, width), bool).transpose(2, 1, 0)
            for index, plane, (_, *drawn) in zip(batch, found.masks, prepared, strict=True):
                levels = stretch(restore(plane, *drawn), height, width)
                mask[:, :, index] = (levels >= MASK_LEVEL).T
        last = batch[-1]
        outline = None if mask is None else mask[:, :, last].T
        latest = JudgedSlice(int(last), float(probabilities[last]), outline)
        yield ScanProgress(start + len(batch), len(judged), latest)
    yield _put_together(probabilities, mask, volumes, info)


def _check_scope(
    refuse: Callable[[np.ndarray], str | None],
    info: ModelInfo,
    flair: Volume,
    judged: np.ndarray,
) -> None:
    """Raises OutOfScope where some slices, evenly spread over the scan, are refused together."""
    chosen = judged[spread_over(len(judged), SCAN_SLICES)]
    reason = refuse(np.stack([_prepare({"flair": flair}, k, info)[0] for k in chosen]))
    if reason is not None:
        raise OutOfScope(
            f"FLAIR: expected a scan of axial FLAIR slices of a brain; by the {len(chosen)} slices "
            f"tried it is none ({reason}). Bring the FLAIR scan.",
            reason,
        )


def head_areas(volume: Volume) -> np.ndarray:
    """How much of the head each slice shows, `[Z]` float, cm².

    Head is what differs from the background in the corners of the scan, by one level for all
    slices: on its own, a slice of mere noise above the head would look full.
    """
    voxels = volume.voxels
    margin_x, margin_y = (max(1, length // 20) for length in voxels.shape[:2])
    corners = [
        voxels[x, y]
        for x in (slice(margin_x), slice(-margin_x, None))
        for y in (slice(margin_y), slice(-margin_y, None))
    ]
    background = np.float32(np.median(np.concatenate([c.reshape(-1) for c in corners])))
    sample = np.abs(voxels[::4, ::4].astype(np.float32) - background)
    level = HEAD_LEVEL * np.percentile(sample, 99)
    counts = [
        np.count_nonzero(np.abs(voxels[:, :, k].astype(np.float32) - background) > level)
        for k in range(voxels.shape[2])
    ]
    return np.array(counts) * _pixel_cm2(volume)


def _prepare(volumes: Mapping[str, Volume], index: int, info: ModelInfo) -> tuple:
    """One slice as the network sees it, and its H and W in square pixels."""
    height, width = volumes["flair"].square_size
    planes = {name: volume.voxels[:, :, index].T for name, volume in volumes.items()}
    return stack_sequences(
        {
            name: stretch(plane, height, width)
            for name, plane in planes.items()
            # Where another sequence does not reach, FLAIR stands in for it.
            if name == "flair" or plane.min() < plane.max()
        },
        info.image_size,
        info.modalities,
    )


def _put_together(
    probabilities: np.ndarray,
    mask: np.ndarray | None,
    volumes: Mapping[str, Volume],
    info: ModelInfo,
) -> ScanPrediction:
    flair = volumes["flair"]
    areas = None if mask is None else mask.sum(axis=(0, 1)) * _pixel_cm2(flair)
    probability = judge_slices(probabilities, areas, flair.spacing_mm[2], info.scan_weights)
    no_tumor, tumor = info.label_names
    return ScanPrediction(
        label=tumor if probability >= info.threshold_of_scans else no_tumor,
        probability=probability,
        threshold=info.threshold_of_scans,
        slices=probabilities,
        slice_threshold=info.threshold,
        slice_labels=tuple(
            "" if math.isnan(p) else tumor if p >= info.threshold else no_tumor
            for p in probabilities
        ),
        mask=mask,
        volume_ml=None if areas is None else float(areas.sum() * flair.spacing_mm[2] / 10),
        areas_cm2=areas,
        grid=flair.grid,
        notes=tuple(f"{SPOKEN[name]}: {v.note}" for name, v in volumes.items() if v.note),
    )


def _pixel_cm2(volume: Volume) -> float:
    return volume.spacing_mm[0] * volume.spacing_mm[1] / 100
