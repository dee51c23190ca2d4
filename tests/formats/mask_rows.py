"""NIfTI scans whose headers place them in several ways: where the mask lies."""

from functools import partial
from pathlib import Path

from formats.rows import READ, Row
from nifti_files import KINDS

BY_QFORM = ("codes 1 and 0", "pixdim[0] = -1", "pixdim[0] = 0")
BY_SIZE = ("codes 0 and 0", "codes 0 and 0, and numbers all the same")


def _build(kind: str, folder: Path) -> Path:
    return KINDS[kind](folder / "flair.nii")


def _placed_by(kind: str) -> str:
    if kind in BY_SIZE:
        return "the sizes of its voxels"
    return "the qform" if kind in BY_QFORM else "the sform"


MASKS = [
    Row(f"NIfTI with {kind}", f"{READ}: placed by {_placed_by(kind)}", partial(_build, kind))
    for kind in KINDS
]
