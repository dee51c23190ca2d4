"""The options of `brainai predict`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Predict:
    """Judge whether a slice or scan shows tumor. For research and teaching only."""

    flair: Path | None = None
    """a slice as a picture or DICOM file; or a scan as a NIfTI or MetaImage file, or as the folder
    or zip file of a DICOM series"""
    t1c: Path | None = None
    """contrast-enhanced T1 of the same slice or examination"""
    t2: Path | None = None
    """T2 of the same slice or examination"""
    model: str = "weights"
    """model folder, or owner/name@revision on the Hub"""
    out: Path | None = None
    """folder to write mask.nii.gz and slices.csv of a scan to"""
    json: bool = False
    """print JSON"""
