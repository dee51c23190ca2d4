"""Folders and zip files of NIfTI and MetaImage files, as a scan."""

import zipfile
from pathlib import Path

from formats.rows import READ, Row
from formats.volume_rows import PAIR, Build, metaimage, nifti


def in_folder(*builds: Build, others: tuple[str, ...] = (), is_zip: bool = False) -> Build:
    """A builder of a folder, or its zip file, with these scans and files that are not scans."""

    def build(folder: Path) -> Path:
        inside = folder / "study"
        inside.mkdir()
        for part in builds:
            part(inside)
        for other in others:
            (inside / other).parent.mkdir(parents=True, exist_ok=True)
            (inside / other).write_text("{}")
        if not is_zip:
            return inside
        with zipfile.ZipFile(folder / "study.zip", "w") as archive:
            for path in sorted(inside.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return folder / "study.zip"

    return build


BRATS = [nifti(f"BraTS20_Training_001_{name}.nii.gz") for name in ("flair", "seg", "t1ce", "t2")]
BIDS = [nifti("sub-01_FLAIR.nii.gz"), nifti("sub-01_T1w.nii.gz")]
TOOK = READ + ": Used the only one of {} scans that is named as FLAIR."
FOLDERS = [
    Row(
        "what dcm2niix writes: one NIfTI and its `.json`",
        READ,
        in_folder(nifti("5_AX_T2_FLAIR.nii.gz"), others=("5_AX_T2_FLAIR.json",)),
    ),
    Row(
        "its zip file",
        READ,
        in_folder(nifti("5_AX_T2_FLAIR.nii.gz"), others=("5_AX_T2_FLAIR.json",), is_zip=True),
    ),
    Row(
        "a zip file that macOS made, with `__MACOSX` in it",
        READ,
        in_folder(nifti(), others=("__MACOSX/._flair.nii", ".DS_Store"), is_zip=True),
    ),
    Row("`.mhd` and `.raw`", READ, in_folder(metaimage("flair.mhd"))),
    Row("a zip file of `.mhd` and `.raw`", READ, in_folder(metaimage("flair.mhd"), is_zip=True)),
    Row("`.hdr` and `.img`", READ, in_folder(PAIR)),
    Row("a zip file of `.hdr` and `.img`", READ, in_folder(PAIR, is_zip=True)),
    Row("a case of BraTS", TOOK.format(4), in_folder(*BRATS)),
    Row("a zip file of a case of BraTS", TOOK.format(4), in_folder(*BRATS, is_zip=True)),
    Row(
        "the `anat` folder of BIDS", TOOK.format(2), in_folder(*BIDS, others=("sub-01_FLAIR.json",))
    ),
    Row(
        "several NIfTI files whose names do not say which is FLAIR",
        "FLAIR: expected one scan, found 2 NIfTI or MetaImage files and cannot tell "
        "which one to use: a.nii.gz, b.nii.gz. Provide the scan as a single file.",
        in_folder(nifti("a.nii.gz"), nifti("b.nii.gz")),
    ),
    Row(
        "an empty folder",
        "FLAIR: expected …, found an empty folder. Provide the scan itself.",
        in_folder(),
    ),
]
