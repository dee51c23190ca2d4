"""Write simulated studies as BraTS 2021 names them, decoys, and the examples of the demo."""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from tqdm import tqdm

from brainai.data.files import write_aside, write_folder, write_text, write_whole
from brainai.data.images import window
from brainai.phantom.study import MODALITIES, Phantom, simulate

FILE_NAMES = {"flair": "flair", "t1c": "t1ce", "t2": "t2"}  # parts of file names in BraTS 2021
DECOY_SPACING = (1.5, 1.5, 8.0)
EXAMPLE_SPACING = (0.9375, 0.9375, 4.0)


@dataclass(frozen=True)
class Example:
    """A picture of `examples/`: a FLAIR slice of a study that `simulate` makes."""

    name: str
    seed: int
    level_mm: float  # distance of the slice from the middle of the brain, positive to the head
    skull: bool
    tumor: dict | None  # the arguments of `simulate` for the tumor; None for a brain without one


EXAMPLES = (
    Example("tumor_frontal", 11, 26, True, {"center_mm": (-26, -28, 24), "radius_mm": 15}),
    Example(
        "tumor_temporal",
        15,
        -10,
        False,
        {"center_mm": (42, 12, -10), "radius_mm": 15, "style": "none"},
    ),
    Example(
        "tumor_parietal",
        17,
        36,
        False,
        {"center_mm": (28, 42, 36), "radius_mm": 14, "style": "ring"},
    ),
    Example("tumor_occipital", 14, 12, True, {"center_mm": (-28, 64, 12), "radius_mm": 9}),
    Example("no_tumor_ventricles", 21, 14, True, None),
    Example("no_tumor_basal_ganglia", 22, 2, False, None),
    Example("no_tumor_vertex", 23, 48, True, None),
    Example("no_tumor_cerebellum", 25, -40, False, None),
)
SCAN_SEED = 31
SOURCES = """# Sources of the example pictures

Every picture and scan is **simulated**, without a patient, a volunteer or a scanner. Any likeness
to a person is impossible; any likeness to a scan is intended. The examples show the input and the
output of the program. They do not measure anything.

`python -m brainai.phantom --examples examples` (which requires the package nilearn) made them
from the average anatomy of the MNI152 template (ICBM 152 nonlinear symmetric 2009a, Fonov et al.
2011, NeuroImage 54:313; Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Center,
Montreal Neurological Institute, McGill University), deformed at random, and from the signal
equations and tissue values in `brainai/phantom/signal.py`.

| file | seed | contents |
|---|---|---|
"""


def write_studies(
    out: Path,
    count: int,
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 4.0),
    progress: bool = False,
) -> list[Path]:
    """Write studies as BraTS 2021 names them, such as out/phantom_0000/phantom_0000_flair.nii.gz.

    Every second study has a tumor, beginning with the first. The last two of every four have skull
    and scalp. Each study is written completely or not at all, and replaces one of the same name.

    Returns:
        The folders of the studies.
    Raises:
        DataError: nilearn is not installed.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    folders = []
    for number in tqdm(range(count), "studies", disable=not progress):
        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        phantom = simulate(
            own_seed, lesion=number % 2 == 0, skull=number % 4 >= 2, spacing_mm=spacing_mm
        )
        folders.append(write_study(Path(out) / f"phantom_{number:04d}", phantom))
    return folders


def write_decoys(out: Path, count: int, seed: int, *, progress: bool = False) -> list[Path]:
    """Write scans of simulated heads that are no FLAIR, such as out/phantom_0000_pd.nii.gz.

    They are decoys for “Cannot judge”. Each head has a scan in T1, T2 and proton density. Every
    second head has a tumor, beginning with the first. The last three of every four have skull and
    scalp.

    Returns:
        The paths of the files.
    Raises:
        DataError: nilearn is not installed.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    paths = []
    for number in tqdm(range(count), "heads", disable=not progress):
        own_seed = int(np.random.SeedSequence([seed, number, 1]).generate_state(1)[0])
        phantom = simulate(
            own_seed,
            lesion=number % 2 == 0,
            skull=number % 4 > 0,
            spacing_mm=DECOY_SPACING,
            sequences=("t1", "t2", "pd"),
        )
        for name, volume in phantom.volumes.items():
            paths.append(Path(out) / f"phantom_{number:04d}_{name}.nii.gz")
            write_scan(paths[-1], volume, phantom.spacing_mm)
    return paths


def write_study(folder: Path, phantom: Phantom) -> Path:
    """Write the three sequences and the mask of a study into `folder`, completely or not at all.

    Raises:
        StorageError: the disk is full, or the parent folder cannot be written to.
    """
    volumes = {
        FILE_NAMES[modality]: np.rint(phantom.volumes[modality]).astype(np.int16)
        for modality in MODALITIES
    }
    with write_folder(folder) as partial:
        for name, voxels in (volumes | {"seg": phantom.mask}).items():
            write_nifti(partial / f"{folder.name}_{name}.nii.gz", voxels, phantom.spacing_mm)
    return folder


def write_scan(path: Path, volume: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Write a volume `[X, Y, Z]`, rounded, as a NIfTI file, completely or not at all.

    Raises:
        StorageError: the disk is full, or the folder cannot be written to.
    """
    with write_aside(path, suffix=".nii.gz") as partial:
        write_nifti(partial, np.rint(volume).astype(np.int16), spacing_mm)


def write_nifti(path: Path, voxels: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Write voxels `[X, Y, Z]` in LPS axes as a NIfTI file with the origin in their middle."""
    affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])  # NIfTI counts in RAS
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(voxels.shape) - 1) / 2)
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"simulated by brainai.phantom, no patient"
    nibabel.save(image, path)


def write_examples(out: Path) -> list[Path]:
    """Write the pictures, the scan and SOURCES.md of `examples/`, each completely or not at all.

    Returns:
        The paths of the pictures and of the scan.
    Raises:
        DataError: nilearn is not installed.
        StorageError: the disk is full, or the folder cannot be written to.
    """
    rows, paths = [], []
    for example in tqdm(EXAMPLES, "examples"):
        path = out / f"{example.name}.png"
        picture = example_picture(example)
        with write_whole(path) as file:
            picture.save(file, "PNG", optimize=True)
        paths.append(path)
        kind = "with a tumor" if example.tumor is not None else "without a tumor"
        head = "skull and scalp" if example.skull else "skull-stripped"
        rows.append(f"| {path.name} | {example.seed} | FLAIR slice {kind}, {head} |")
    path = out / "tumor_scan_flair.nii.gz"
    scan = simulate(SCAN_SEED, spacing_mm=(1.25, 1.25, 5.0), radius_mm=14.0, style="ring")
    write_scan(path, scan.volumes["flair"], scan.spacing_mm)
    rows.append(f"| {path.name} | {SCAN_SEED} | FLAIR scan with a tumor, skull-stripped |")
    write_text(out / "SOURCES.md", SOURCES + "\n".join(rows) + "\n")
    return [*paths, path]


def example_picture(example: Example) -> Image.Image:
    """Return the FLAIR slice of an example: front up, patient's right on the left."""
    half = EXAMPLE_SPACING[2] / 2
    phantom = simulate(
        example.seed,
        lesion=example.tumor is not None,
        skull=example.skull,
        spacing_mm=EXAMPLE_SPACING,
        range_mm=(example.level_mm - half, example.level_mm + half),
        **(example.tumor or {}),
    )
    pixels = window(phantom.volumes["flair"][:, :, 0].T)
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
