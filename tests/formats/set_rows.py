"""Folders of data sets, for `python -m brainai.data.prepare`."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from data.scans import brain, labels, write_brats, write_lgg, write_scan
from dicom_files import write_series
from formats.rows import READ, Row
from PIL import Image

ALL = "1 case of FLAIR, T1c, T2"
FLAIR = "1 case of FLAIR"
LGG = "TCGA_CS_4941_19960909"


@dataclass(frozen=True)
class SetRow(Row):
    """A folder with the --source that it is given for."""

    source: str = "brats"

    def line(self) -> str:
        """The row as a line of a Markdown table."""
        return f"| `--source {self.source}`: {self.what} | {self.outcome} |"


def _named(name: str, endings: tuple[str, ...], *values: int) -> Callable[[Path], Path]:
    """A study of NIfTI files: FLAIR, T1c, T2, then labels."""

    def build(root: Path) -> Path:
        for number, ending in enumerate(endings[:-1]):
            write_scan(root / name / f"{name}{ending}", brain(number))
        write_scan(root / name / f"{name}{endings[-1]}", labels(*values))
        return root

    return build


NEW = ("-t2f.nii.gz", "-t1c.nii.gz", "-t2w.nii.gz", "-seg.nii.gz")
OLD = ("_flair.nii", "_t1ce.nii", "_t2.nii")


def _metaimage(root: Path) -> Path:
    folder = root / "HGG" / "brats_tcia_pat105_0001"
    for number, kind in enumerate(("MR_Flair", "MR_T1c", "MR_T2", "OT")):
        name = f"VSD.Brain.XX.O.{kind}.3{number}"
        write_scan(
            folder / name / f"{name}.mha", labels(1, 2, 3, 4) if kind == "OT" else brain(number)
        )
    return root


def _nii_folders(root: Path) -> Path:
    name = "BraTS2021_00000"
    for number, (ending, inner) in enumerate(
        [("flair", "brain_flair"), ("t1ce", "brain_t1ce"), ("t2", "brain_t2"), ("seg", "final_seg")]
    ):
        voxels = labels(1, 2, 4) if ending == "seg" else brain(number)
        write_scan(root / name / f"{name}_{ending}.nii" / f"00000057_{inner}.nii", voxels)
    return root


def _decathlon(root: Path) -> Path:
    task = root / "Task01_BrainTumour"
    for folder, voxels in (
        ("imagesTr", np.stack([brain(number) for number in range(4)], -1)),
        ("labelsTr", labels(1, 2, 3)),
    ):
        (task / folder).mkdir(parents=True)
        image = nibabel.Nifti1Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]))
        nibabel.save(image, task / folder / "BRATS_001.nii.gz")
        (task / folder / "._BRATS_001.nii.gz").write_bytes(b"of macOS")
    return root


def _twice(root: Path) -> Path:
    write_brats(root / "MICCAI_BraTS2020_TrainingData", "BraTS20_Training_001")
    shutil.copytree(root / "MICCAI_BraTS2020_TrainingData", root / "archive")
    return root


def _validation(root: Path) -> Path:
    (write_brats(root, "BraTS20_Validation_001") / "BraTS20_Validation_001_seg.nii.gz").unlink()
    return root


def _files(*names: str) -> Callable[[Path], Path]:
    def build(root: Path) -> Path:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        return root

    return build


def _lgg(root: Path) -> Path:
    write_lgg(root / "kaggle_3m", LGG)
    (root / "kaggle_3m" / "data.csv").write_text("Patient,RNASeqCluster\n")
    return root


def _lgg_twice(root: Path) -> Path:
    shutil.copytree(_lgg(root) / "kaggle_3m", root / "lgg-mri-segmentation" / "kaggle_3m")
    return root


def _lgg_of_macos(root: Path) -> Path:
    _lgg(root)
    aside = root / "__MACOSX" / "kaggle_3m" / LGG
    aside.mkdir(parents=True)
    (aside / f"._{LGG}_1.tif").write_bytes(b"of macOS")
    return root


def _bids(root: Path) -> Path:
    write_scan(root / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", brain())
    write_scan(root / "sub-01" / "anat" / "sub-01_T1w.nii.gz", brain(1))
    write_scan(root / "derivatives" / "x" / "sub-01" / "sub-01_FLAIR.nii.gz", brain(2))
    (root / "sub-01" / "anat" / "sub-01_FLAIR.json").write_text("{}")
    (root / "dataset_description.json").write_text("{}")
    (root / "participants.tsv").write_text("participant_id\nsub-01\n")
    return root


def _dcm2niix(root: Path) -> Path:
    write_scan(root / "anna" / "4_AX_T2_FLAIR_20240131.nii.gz", brain())
    (root / "anna" / "4_AX_T2_FLAIR_20240131.json").write_text("{}")
    write_scan(root / "anna" / "5_AX_T1_20240131.nii.gz", brain(1))
    return root


def _dicom(root: Path) -> Path:
    write_series(root / "patient07" / "S4", brain(), description="AX T2 FLAIR")
    return root


def _spots(root: Path) -> Path:
    _picture(root / "spots_01.png")
    return root


def _picture(path: Path, mask: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = labels(1) * 255 if mask else brain(len(path.parts))
    Image.fromarray(voxels[:, :, 3].T.clip(0, 255).astype(np.uint8)).save(path)


def _pairs(root: Path) -> Path:
    _picture(root / "images" / "10002_46.png")
    _picture(root / "masks" / "10002_46.png", mask=True)
    return root


def _no_mask(root: Path) -> Path:
    _picture(root / "images" / "10002_46.png")
    (root / "masks").mkdir()
    return root


def _nifti_as_mask(root: Path) -> Path:
    _picture(root / "images" / "10002_46.png")
    write_scan(root / "labels.nii", labels(1))
    (root / "masks").mkdir()
    (root / "labels.nii").rename(root / "masks" / "10002_46.png")
    return root


def _yes_no(root: Path) -> Path:
    _picture(root / "yes" / "Y1.jpg")
    _picture(root / "no" / "sub" / "1 no.jpeg")
    return root


def _four_classes(root: Path) -> Path:
    for name in ("glioma", "meningioma", "notumor", "pituitary"):
        _picture(root / name / "Tr-0010.jpg")
    return root


SETS = [
    SetRow("BraTS 2013 and 2015, `VSD.….mha`", f"{READ}: {ALL}", _metaimage),
    SetRow("BraTS 2017 to 2021, `…_flair.nii.gz`", f"{READ}: {ALL}",
        _named("BraTS2021_00000", (*OLD, "_seg.nii"), 1, 2, 4)),
    SetRow("case 355 of BraTS 2020, whose segmentation has another name", f"{READ}: {ALL}",
        _named("BraTS20_Training_355", (*OLD, "_Segm.nii"), 1, 2, 4)),
    SetRow("BraTS as Kaggle unpacks it: folders named `…_flair.nii`", f"{READ}: {ALL}",
        _nii_folders),
    SetRow("one case twice in an archive", f"{READ}: {ALL}", _twice),
    SetRow("BraTS 2023, `…-t2f.nii.gz`", f"{READ}: {ALL}",
        _named("BraTS-GLI-00000-000", NEW, 1, 2, 3)),
    SetRow("BraTS 2024 after treatment, with the cavity as label 4", f"{READ}: {ALL}",
        _named("BraTS-GLI-02062-100", NEW, 1, 2, 4)),
    SetRow("BraTS-PED", f"{READ}: {ALL}", _named("BraTS-PED-00001-000", NEW, 1, 2, 3, 4)),
    SetRow("names of BraTS 2023 with the labels of 2021", "…-seg.nii.gz: expected the labels of "
        "BraTS 2023 (0, 1, 2, 3), found [4] among [0, 1, 2, 4]. The labels may be "
        "those of BraTS 2017-2021. If so, rename folder and files as in that release "
        "(BraTS2021_00000, …_seg.nii.gz); if not, leave the case out (--skip-bad).",
        _named("BraTS-GLI-00000-000", NEW, 1, 2, 4)),
    SetRow("Medical Segmentation Decathlon, `Task01_BrainTumour`", f"{READ}: {ALL}", _decathlon),
    SetRow("cases for validation", "…: expected a file with the segmentation, found none. BraTS "
        "publishes none for its validation and test cases: leave them out (--skip-bad), or copy "
        "the case again.",
        _validation),
    SetRow("`.h5` slices of BraTS 2020 on Kaggle", "…: found no case of the source 'brats'. It "
        "holds .h5 files (2), which are scaled slices without the headers of their scans. Download "
        "the original volumes (for BraTS 2020, BraTS2020_TrainingData with its .nii files).",
        _files("data/volume_1_slice_0.h5", "data/volume_1_slice_1.h5", "data/meta_data.csv")),
    SetRow("BraTS 2021 on Kaggle, not unpacked", "…: found no case of the source 'brats'. It holds "
        "archives (1): unpack them first.", _files("BraTS2021_Training_Data.tar")),
    SetRow("LGG", "…: found no case of the source 'brats'. It looks like --source lgg.", _lgg),
    SetRow("LGG, `kaggle_3m`", f"{READ}: {FLAIR}", _lgg, "lgg"),
    SetRow("LGG with its copy `lgg-mri-segmentation/kaggle_3m`", f"{READ}: {FLAIR}", _lgg_twice,
        "lgg"),
    SetRow("LGG unpacked on macOS, with `__MACOSX`", f"{READ}: {FLAIR}", _lgg_of_macos, "lgg"),
    SetRow("`.mat` files (figshare)", "…: found no case of the source 'lgg'. Most of its 2 files "
        "are .mat files.", _files("1.mat", "2.mat"), "lgg"),
    SetRow("BIDS", f"{READ}: {FLAIR}", _bids, "tumor-free"),
    SetRow("folders of dcm2niix", f"{READ}: {FLAIR}", _dcm2niix, "tumor-free"),
    SetRow("DICOM, a folder for each patient", f"{READ}: {FLAIR}", _dicom, "tumor-free"),
    SetRow("single slices as pictures", f"{READ}: {FLAIR}", _spots, "tumor-free"),
    SetRow("BraTS", "…: expected a scan of a person without a tumor, found a scan of BraTS, "
        "whose patients have tumors. Use --source brats.",
        _named("BraTS2021_00000", (*OLD, "_seg.nii"), 1, 2, 4), "tumor-free"),
    SetRow("`images/` and `masks/`", f"{READ}: {FLAIR}", _pairs, "pairs"),
    SetRow("a picture without a mask", "…: expected a mask of the same name in the folder masks, "
        "found none. Add the mask, or remove the picture.", _no_mask, "pairs"),
    SetRow("NIfTI under the name of a mask", "…: expected a complete picture, found another "
        "kind of file. This is a NIfTI file, which cannot be read as a slice: …",
        _nifti_as_mask, "pairs"),
    SetRow("`yes/` and `no/`", f"{READ}: 2 cases of FLAIR", _yes_no, "folders"),
    SetRow("Kaggle's four classes", "…: expected exactly two class folders with pictures, found "
        "glioma, meningioma, notumor, pituitary. Name a folder that holds two, such as yes/ "
        "and no/.", _four_classes, "folders"),
]  # fmt: skip
