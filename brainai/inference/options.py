"""The options of `brainai predict`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Predict:
    """Is there tumor on this slice, or in this scan? For research and teaching only."""

    flair: Path | None = None
    """a picture or DICOM file of one slice; or a scan: a NIfTI or MetaImage file, or the folder or
    zip file of a DICOM series"""
    t1c: Path | None = None
    """the same slice or examination in T1 with contrast"""
    t2: Path | None = None
    """the same slice or examination in T2"""
    model: str = "weights"
    """model folder, or owner/name@revision on the Hub"""
    out: Path | None = None
    """folder for mask.nii.gz and slices.csv of a scan"""
    json: bool = False
    """print JSON"""
