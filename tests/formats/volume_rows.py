"""NIfTI and MetaImage files, as a scan."""

import shutil
from pathlib import Path

from formats.rows import READ, ROOT, Row

EXAMPLE = ROOT / "examples" / "tumor_scan_flair.nii.gz"


def _nifti(folder: Path) -> Path:
    return Path(shutil.copy(EXAMPLE, folder / "flair.nii.gz"))


VOLUMES = [
    Row("NIfTI-1, packed (`.nii.gz`)", READ, _nifti),
]
