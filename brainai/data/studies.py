"""Read the slices of a case as they were scanned, with their masks."""

from pathlib import Path

import numpy as np

from brainai.data.cases import Case, Study, check_not_flat, check_once
from brainai.data.dataset import MODALITIES
from brainai.data.dicom import read_series
from brainai.data.identity import same_pixels, tcga_ids
from brainai.data.images import stretch
from brainai.data.picture_studies import read_lgg, read_pair, read_picture
from brainai.data.releases import BRATS_2017, DECATHLON_ORDER, Release
from brainai.data.volumes import MAX_AXIAL_PIXEL_MM, Volume, read_volume, read_volumes, resample
from brainai.errors import DataError


def read_study(case: Case) -> Study:
    """Read all files of a case and check them against each other.

    Raises:
        DataError: a file is missing, damaged or of another shape, or it has unknown labels.
    """
    if case.release is not None:
        return _read_volumes(case, case.release)
    if case.source == "lgg":
        return read_lgg(case)
    if case.source == "pairs":
        return read_pair(case)
    if case.file("picture"):
        return read_picture(case)
    return _read_tumor_free(case)


def whole_tumor(labels: np.ndarray, release: Release, path: Path) -> np.ndarray:
    """Return where a label means tumor in a release.

    Args:
        labels: numbers of any shape.
        release: the release of their case.
        path: the file of the labels, for errors.
    Returns:
        A bool array of the shape of `labels`.
    Raises:
        DataError: a label is unknown in the release, perhaps because it is that of another release.
    """
    present = [int(value) if value == int(value) else float(value) for value in np.unique(labels)]
    known = release.known(present)
    if unknown := sorted(set(present) - set(known)):
        advice = "Check that this is the segmentation of the case and which release it is from."
        if set(present) <= set(BRATS_2017.known(present)):
            advice = (
                f"The labels may be those of {BRATS_2017.name}. If so, rename folder and files as "
                "in that release (BraTS2021_00000, …_seg.nii.gz); if not, leave the case out "
                "(--skip-bad)."
            )
        raise DataError(
            f"{path}: expected the labels of {release.name} ({', '.join(map(str, known))}), found "
            f"{unknown} among {present}. {advice}"
        )
    return np.isin(labels, release.tumor)


def _read_volumes(case: Case, release: Release) -> Study:
    check_once(case)
    _check_files(case)
    sequences = _read_sequences(case)
    flair, path = sequences.pop("flair")
    check_not_flat(flair.voxels, path)
    labels = case.the_file("seg")
    segmentation = read_volume(labels)
    _check_shape(segmentation, flair, labels)
    masks = whole_tumor(segmentation.voxels, release, labels)
    texts = [flair.header_text, segmentation.header_text]
    kept = {"flair": flair.voxels}
    for modality, (volume, path) in sequences.items():
        texts.append(volume.header_text)
        voxels = resample(volume, flair).voxels
        check_not_flat(voxels, path)
        if not np.array_equal(voxels, flair.voxels):
            kept[modality] = voxels
    return Study(
        modalities=tuple(kept),
        sequences=tuple(voxels.transpose(2, 1, 0) for voxels in kept.values()),
        masks=masks.transpose(2, 1, 0),
        pixel_area_mm2=round(float(flair.spacing_mm[0] * flair.spacing_mm[1]), 6),
        names=() if case.source == "phantom" else tcga_ids("\n".join(texts)),
        slice_step_mm=_step_mm(flair),
    )


def _check_files(case: Case) -> None:
    """Raise DataError if FLAIR or the segmentation is missing, or is a folder instead of a file."""
    roles = [role for role, _ in case.files]
    if not {"flair", "sequences"} & set(roles):
        raise DataError(
            f"{case.folder}: expected a file with the FLAIR sequence, found none. Copy the case "
            "again."
        )
    if "seg" not in roles:
        raise DataError(
            f"{case.folder}: expected a file with the segmentation, found none. BraTS publishes "
            "none for its validation and test cases: leave them out (--skip-bad), or copy the case "
            "again."
        )
    for _, path in case.files:
        if path.is_dir():
            raise DataError(
                f"{path}: expected a file, found a folder without a scan. Unpack the data again."
            )


def _read_sequences(case: Case) -> dict[str, tuple[Volume, Path]]:
    """Read the sequences of a case, FLAIR first, each with its file."""
    if path := case.file("sequences"):
        volumes = read_volumes(path, len(DECATHLON_ORDER))
        by_modality = dict(zip(DECATHLON_ORDER, volumes, strict=True))
        return {modality: (by_modality[modality], path) for modality in MODALITIES}
    files = {modality: case.file(modality) for modality in MODALITIES}
    return {modality: (read_volume(path), path) for modality, path in files.items() if path}


def _read_tumor_free(case: Case) -> Study:
    """Read a scan without a tumor in square pixels, in which scans are judged, with its lesions."""
    check_once(case)
    path = case.file("flair") or case.folder
    if case.file("flair"):
        flair = read_volume(path)
    else:
        paths = [path for _, path in case.files]
        flair = read_series(paths, str(case.folder), expect_flair=True)
    check_not_flat(flair.voxels, path)
    x, y, _ = flair.spacing_mm
    if max(x, y) > MAX_AXIAL_PIXEL_MM:
        raise DataError(
            f"{path}: expected axial slices with pixels of at most {MAX_AXIAL_PIXEL_MM} mm, found "
            f"{x:.1f} × {y:.1f} mm. Use an axial or a 3D scan instead, or leave this one out."
        )
    lesions = None
    if mask := case.file("lesions"):
        outlines = read_volume(mask)
        _check_shape(outlines, flair, mask)
        lesions = _square_pixels(outlines.voxels >= 0.5, flair) >= 0.5
    pixels = _square_pixels(flair.voxels, flair)
    return Study(
        modalities=("flair",),
        sequences=(pixels,),
        masks=np.zeros(pixels.shape, bool),
        pixel_area_mm2=round(float(x * y if _is_square(x, y) else min(x, y) ** 2), 6),
        names=(*tcga_ids(flair.header_text), same_pixels(flair.voxels)),
        lesions=lesions,
        slice_step_mm=_step_mm(flair),
    )


def _step_mm(volume: Volume) -> float:
    return round(float(volume.spacing_mm[2]), 4)


def _is_square(x: float, y: float) -> bool:
    return max(x, y) < 1.01 * min(x, y)


def _square_pixels(voxels: np.ndarray, volume: Volume) -> np.ndarray:
    """Turn voxels of a volume, `[X, Y, Z]`, into slices with square pixels, `[Z, H, W]`."""
    planes = voxels.transpose(2, 1, 0)
    if _is_square(*volume.spacing_mm[:2]):
        return planes
    return np.stack([stretch(plane, *volume.square_size) for plane in planes])


def _check_shape(segmentation: Volume, flair: Volume, path: Path) -> None:
    if segmentation.voxels.shape != flair.voxels.shape:
        raise DataError(
            f"{path}: expected the shape of FLAIR, {flair.voxels.shape}, found "
            f"{segmentation.voxels.shape}. Export the segmentation again on the grid of FLAIR."
        )
    # If the axes have the same order, voxels match even with a wrong origin in one header.
    apart = np.abs(np.subtract(segmentation.origin_mm, flair.origin_mm)).max()
    if segmentation.stored_axes != flair.stored_axes and apart > max(flair.spacing_mm):
        raise DataError(
            f"{path}: expected the position of FLAIR, found a header with a position {apart:.0f} "
            "mm away. Export the segmentation again on the grid of FLAIR."
        )
