"""DICOM series for tests, written from a volume, with a patient's name planted in every header."""

import functools
import locale
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

PLANTED = ("PLANTED", "19991231", "ID4711")  # name, date and id that no output may show


def write_series(
    folder: Path,
    voxels: np.ndarray,
    spacing: tuple[float, float, float] = (1.0, 1.0, 5.0),
    origin: tuple[float, float, float] = (0.0, -35.0, 0.0),
    turn: np.ndarray | None = None,
    series: int = 4,
    description: str = "",
    first: int = 0,
    **tags: str,
) -> Path:
    """Write LPS voxels `[X, Y, Z]` as one file per slice, named by the planted patient.

    Args:
        turn: rotation `[3, 3]` of the scan's axes; none if not given.
        series: number of the series, and its unique id.
        first: number of the first file, to put more slices into one series.
        tags: further header entries, such as t0008_0060="CT".
    """
    folder.mkdir(parents=True, exist_ok=True)
    turn = np.eye(3) if turn is None else turn
    for k in range(voxels.shape[2]):
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels[:, :, k].T)[None])
        image.SetSpacing(spacing)
        place = np.array(origin) + turn @ (0, 0, k * spacing[2])
        header = {
            "0008|0060": "MR",
            "0008|0018": f"1.2.3.{series}.{first + k + 1}",
            "0008|0020": PLANTED[1],
            "0008|103e": f"{description} {PLANTED[0]}",
            "0010|0010": f"{PLANTED[0]}^PATIENT",
            "0010|0020": PLANTED[2],
            "0010|0030": PLANTED[1],
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.3.{series}",
            "0020|0011": str(series),
            "0020|0032": "\\".join(f"{value:.8g}" for value in place),
            "0020|0037": "\\".join(f"{value:.10g}" for value in turn.T[:2].ravel()),
        }
        header |= {name[1:].replace("_", "|"): value for name, value in tags.items()}
        for key, value in header.items():
            image.SetMetaData(key, value)
        # Files in another order than slices, as scanners and archives name them.
        write_dicom(folder / f"{PLANTED[0]}_{(7 * (first + k)) % 101:03d}.dcm", image)
    return folder


def write_dicom(path: Path, image: sitk.Image) -> None:
    """Write an image with its header entries; GDCM's writer leaves the process in locale "C", in
    which Python reads text files as ASCII, so the locale is restored."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        _read_once()
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(path))
        writer.Execute(image)
    finally:
        locale.setlocale(locale.LC_ALL, before)


@functools.cache
def _read_once() -> None:
    """Read a DICOM file: only in a process that has done so does GDCM write scale and position."""
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(sitk.Image(4, 4, sitk.sitkUInt8), f"{folder}/a.dcm")
        sitk.ReadImage(f"{folder}/a.dcm")
