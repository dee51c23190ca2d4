"""Judge a scan slice by slice, and assemble the answers in the geometry of the scan."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypedDict

import numpy as np
from scipy import ndimage

from brainai.data.dicom_seg import write_dicom_seg
from brainai.data.files import write_text
from brainai.data.images import restore, stretch
from brainai.data.volumes import Grid, Volume, write_mask
from brainai.errors import DataError, OutOfScope, StorageError
from brainai.inference.sequences import MASK_LEVEL, SPOKEN, stack_sequences
from brainai.model.answer import Answer
from brainai.model.folder import ModelInfo
from brainai.model.scan_verdict import judge_slices, judge_together
from brainai.model.scope import SCAN_SLICES, spread_over

HEAD_CM2 = 10.0  # a slice with a smaller head area is not judged: scalp, or the tip of the brain
SMALLEST_PIECE = 0.1  # of the voxels of the largest piece of a mask; smaller ones are left out
HEAD_LEVEL = 0.1  # fraction of the scan's brightness by which head differs from the background

Progress: TypeAlias = Callable[[int, int], object]


class JudgedSlice(NamedTuple):
    """A judged slice, given while others are still to be judged.

    index: index from 0, the lowest slice.
    probability: probability of the slice by itself; its neighbors are not all judged yet.
    mask: `[Y, X]` bool on the voxels of FLAIR, as it is shown; None if the model has no decoder.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuple
    probability: float
    mask: np.ndarray | None


class ScanProgress(NamedTuple):
    """The number of judged slices, the number of slices to judge, and the last judged slice."""

    done: int
    total: int
    latest: JudgedSlice | None = None


class SliceRow(TypedDict):
    """A slice of a scan as a record and as a row of the table.

    index: index from 0, the lowest slice.
    position_mm: position of its middle, increasing towards the head.
    probability, label, area_cm2: as in `ScanPrediction`; None if the slice is not judged.
    """

    index: int
    position_mm: float
    probability: float | None
    label: str | None
    area_cm2: float | None


@dataclass(frozen=True, eq=False)
class ScanPrediction:
    """The answer for a scan of Z slices, lowest first.

    Attributes:
        label: label of the scan: "Tumor" if `probability` is at least `threshold`, else "No Tumor".
        probability: probability in [0, 1] that the scan shows tumor. It is fitted to whole scans
            (`brainai.model.scan_verdict`) and depends on the mean log-odds of neighboring slices
            over 5 mm (at least two), where they are highest, and on the outlined volume there. For
            models without this fit, it is the highest probability that all slices of such a group
            reach. A single slice never decides, because false alarms of single slices would add up
            over a scan.
        threshold: the model's operating point for scans, a probability.
        slices: probability of each slice, judged together with its neighbors (`judge_together`;
            models without this fit judge each by itself), `[Z]` float; NaN for slices that are not
            judged because they show almost nothing of the head.
        slice_threshold: the model's operating point for slices of scans, a probability.
        slice_labels: label of each slice: "Tumor" from `slice_threshold` on, else "No Tumor"; "" if
            the slice is not judged. Labels of slices may differ from `label`: a small spot that
            looks like tumor on a slice does not make the scan one with tumor.
        mask: where the network sees tumor, `[X, Y, Z]` bool in LPS on the voxels of FLAIR; an
            estimate of extent, given whatever the labels are. Pieces with less than a tenth of the
            voxels of the largest piece are left out. None if the model has no decoder.
        volume_ml: volume of the mask in mL; None without a mask.
        areas_cm2: area of the mask on each slice in cm², `[Z]` float; None without a mask.
        grid: position of the voxels, and their order in the file of FLAIR.
        notes: choices made while reading the scan, one sentence each, which can be shown to
            visitors.
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
        """Write the mask as .nii.gz, .nii or .mha, with orientation and voxels of FLAIR's file.

        Any viewer can overlay it on that file. The file is written completely or not at all.

        Raises:
            DataError: there is no mask, or the file cannot be written.
        """
        if self.mask is None:
            raise DataError("This model has no decoder, so there is no mask to save.")
        write_mask(Path(path), self.mask, self.grid)

    def save_dicom_seg(self, path: str | Path, series: str | Path) -> None:
        """Write the mask as a DICOM SEG, which viewers overlay on the series that was judged.

        Its descriptions say that it is for research only. It belongs to the study of the series and
        copies the patient data of its headers. The package highdicom is required.

        Args:
            series: the folder or the zip file that was given as FLAIR.
        Raises:
            DataError: there is no mask, highdicom is not installed, the series is not the one that
                was judged or lacks values that a SEG refers to, or the file cannot be written.
        """
        if self.mask is None:
            raise DataError("This model has no decoder, so there is no mask to save.")
        write_dicom_seg(Path(path), self.mask, self.grid, Path(series))

    @property
    def tumor_slices(self) -> int:
        """The number of slices labeled "Tumor"."""
        return int((self.slices >= self.slice_threshold).sum())  # False for NaN

    def strongest_slice(self) -> int:
        """Return the index of the slice with the largest outlined area.

        If nothing is outlined, it is the slice with the highest probability.
        """
        if self.areas_cm2 is not None and self.areas_cm2.any():
            return int(self.areas_cm2.argmax())
        return int(np.nanargmax(self.slices))

    def rows(self) -> Iterator[SliceRow]:
        """Yield a record for each slice, lowest first."""
        heights = self.grid.heights_mm()
        for index, probability in enumerate(self.slices):
            area = None if self.areas_cm2 is None else round(float(self.areas_cm2[index]), 4)
            judged = not math.isnan(probability)
            yield {
                "index": index,
                "position_mm": round(float(heights[index]), 3),
                "probability": round(float(probability), 6) if judged else None,
                "label": self.slice_labels[index] or None,
                "area_cm2": area if judged else None,
            }

    def write_csv(self, path: str | Path) -> None:
        """Write `rows` as a CSV table, in which None is an empty cell.

        The file is written completely or not at all.

        Raises:
            DataError: the file cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(SliceRow.__annotations__))
        writer.writeheader()
        writer.writerows(self.rows())
        try:
            write_text(Path(path), text.getvalue())
        except StorageError as error:
            raise DataError(
                f"{path}: expected a place to write the table to, found none. Choose another path."
            ) from error


def judge_scan(
    judge: Callable[[np.ndarray], Answer],
    refuse: Callable[[np.ndarray], str | None],
    info: ModelInfo,
    volumes: Mapping[str, Volume],
    batch_size: int = 4,
) -> Iterator["ScanProgress | ScanPrediction"]:
    """Judge every slice that shows enough of the head, and the scan as a whole.

    This is a generator, so that the caller can show progress and stop the work.

    Args:
        judge: function of prepared slices `[N, 3, S, S]` float32 in [0, 1] that returns their
            answers.
        refuse: function of some prepared slices that returns the reason why the scan cannot be
            judged, or None.
        volumes: result of `open_sequences`.
    Yields:
        A `ScanProgress` after each batch, and the `ScanPrediction` last.
    Raises:
        OutOfScope: the slices together do not look like axial FLAIR.
        DataError: no slice shows enough of a head.
    """
    flair = volumes["flair"]
    width, height, count = flair.voxels.shape
    judged = np.flatnonzero(head_areas(flair) >= HEAD_CM2)
    if len(judged) == 0:
        raise DataError(
            "FLAIR: expected a scan of a head, found no slice that shows enough of a head. "
            "Bring the complete scan as the scanner saved it."
        )
    _check_scope(refuse, info, flair, judged)
    probabilities = np.full(count, np.nan)
    mask = None
    for start in range(0, len(judged), batch_size):
        batch = judged[start : start + batch_size]
        prepared = [_prepare(volumes, index, info) for index in batch]
        answers = judge(np.stack([planes for planes, _, _ in prepared]))
        probabilities[batch] = answers.probabilities.cpu().numpy()
        masks = answers.masks()
        if masks is not None:
            if mask is None:
                mask = np.zeros((count, height, width), bool).transpose(2, 1, 0)
            for index, plane, (_, *square_size) in zip(batch, masks, prepared, strict=True):
                levels = stretch(restore(plane, *square_size), height, width)
                mask[:, :, index] = (levels >= MASK_LEVEL).T
        last = batch[-1]
        outline = None if mask is None else mask[:, :, last].T
        latest = JudgedSlice(int(last), float(probabilities[last]), outline)
        yield ScanProgress(start + len(batch), len(judged), latest)
    yield _assemble(probabilities, mask, volumes, info)


def _check_scope(
    refuse: Callable[[np.ndarray], str | None],
    info: ModelInfo,
    flair: Volume,
    judged: np.ndarray,
) -> None:
    """Check some slices, evenly spread over the scan, together.

    Raises:
        OutOfScope: they do not look like axial FLAIR.
    """
    chosen = judged[spread_over(len(judged), SCAN_SLICES)]
    reason = refuse(np.stack([_prepare({"flair": flair}, k, info)[0] for k in chosen]))
    if reason is not None:
        raise OutOfScope(
            f"FLAIR: expected a scan with axial FLAIR slices of a brain; the {len(chosen)} slices "
            f"checked do not look like it ({reason}). Bring the FLAIR scan.",
            reason,
        )


def head_areas(volume: Volume) -> np.ndarray:
    """Return the area of the head on each slice, `[Z]` float, cm².

    Voxels that differ enough from the background in the corners of the scan are head. All slices
    share a level, because a slice of noise above the head would look full by a level of its own.
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


def _prepare(
    volumes: Mapping[str, Volume], index: int, info: ModelInfo
) -> tuple[np.ndarray, int, int]:
    """Return a slice as network input, and its H and W in square pixels."""
    height, width = volumes["flair"].square_size
    planes = {name: volume.voxels[:, :, index].T for name, volume in volumes.items()}
    return stack_sequences(
        {
            name: stretch(plane, height, width)
            for name, plane in planes.items()
            # On slices that another sequence does not reach, FLAIR replaces it.
            if name == "flair" or plane.min() < plane.max()
        },
        info.image_size,
        info.modalities,
    )


def _assemble(
    probabilities: np.ndarray,
    mask: np.ndarray | None,
    volumes: Mapping[str, Volume],
    info: ModelInfo,
) -> ScanPrediction:
    flair = volumes["flair"]
    step_mm = flair.spacing_mm[2]
    # The verdict was fitted to masks with all pieces.
    probability = judge_slices(probabilities, _areas_cm2(mask, flair), step_mm, info.scan_weights)
    if mask is not None:
        mask = large_pieces(mask)
    areas = _areas_cm2(mask, flair)
    slices = judge_together(probabilities, step_mm, info.neighbor_weights)
    no_tumor, tumor = info.label_names
    return ScanPrediction(
        label=tumor if probability >= info.threshold_of_scans else no_tumor,
        probability=probability,
        threshold=info.threshold_of_scans,
        slices=slices,
        slice_threshold=info.threshold_in_scans,
        slice_labels=tuple(
            "" if math.isnan(p) else tumor if p >= info.threshold_in_scans else no_tumor
            for p in slices
        ),
        mask=mask,
        volume_ml=None if areas is None else float(areas.sum() * step_mm / 10),
        areas_cm2=areas,
        grid=flair.grid,
        notes=tuple(f"{SPOKEN[name]}: {v.note}" for name, v in volumes.items() if v.note),
    )


def large_pieces(mask: np.ndarray) -> np.ndarray:
    """Return a mask without the pieces that are much smaller than its largest piece.

    Most of them are false alarms. Voxels of a piece share faces.

    Args:
        mask: bool, of any shape.

    >>> mask = np.array([True] * 20 + [False, True, False, True, True])
    >>> large_pieces(mask)[20:].tolist()
    [False, False, False, True, True]
    """
    large = np.zeros_like(mask)
    for box in ndimage.find_objects(mask.view(np.uint8)):  # one around all pieces, or none
        pieces, _ = ndimage.label(mask[box])  # numbers take far more memory than the mask
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        large[box] = mask[box] & (sizes >= SMALLEST_PIECE * sizes.max())[pieces]
    return large


def _areas_cm2(mask: np.ndarray | None, flair: Volume) -> np.ndarray | None:
    return None if mask is None else mask.sum(axis=(0, 1)) * _pixel_cm2(flair)


def _pixel_cm2(volume: Volume) -> float:
    return volume.spacing_mm[0] * volume.spacing_mm[1] / 100
