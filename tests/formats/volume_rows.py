"""NIfTI and MetaImage files, as a scan."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from formats.rows import READ, ROOT, Row
from nifti_files import LAS, SHAPE, overwrite, voxels

EXAMPLE = ROOT / "examples" / "tumor_scan_flair.nii.gz"
Build = Callable[[Path], Path]


def _example(folder: Path) -> Path:
    return Path(shutil.copy(EXAMPLE, folder / "flair.nii.gz"))


def nifti(
    name: str = "flair.nii",
    content: np.ndarray | None = None,
    affine: np.ndarray = LAS,
    kind: type = nibabel.Nifti1Image,
) -> Build:
    """A builder of one NIfTI file."""

    def build(folder: Path) -> Path:
        image = kind(voxels() if content is None else content, affine)
        image.to_filename(folder / name)
        return folder / name

    return build


def metaimage(name: str = "flair.mha", is_packed: bool = False) -> Build:
    """A builder of one MetaImage file."""

    def build(folder: Path) -> Path:
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels().transpose(2, 1, 0)))
        image.SetSpacing((2.0, 2.0, 5.0))
        sitk.WriteImage(image, str(folder / name), useCompression=is_packed)
        return folder / name

    return build


def renamed(build: Build, name: str, packings: int = 0) -> Build:
    """A builder of the file under another name, compressed with gzip `packings` times."""

    def build_renamed(folder: Path) -> Path:
        built = build(folder)
        content = built.read_bytes()
        built.unlink()
        for _ in range(packings):
            content = gzip.compress(content)
        (folder / name).write_bytes(content)
        return folder / name

    return build_renamed


def without(build: Build, lost: str) -> Build:
    """A builder that loses one of its files."""

    def build_without(folder: Path) -> Path:
        built = build(folder)
        (folder / lost).unlink()
        return built

    return build_without


def _big_endian(folder: Path) -> Path:
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.Nifti1Image(voxels(), LAS, header).to_filename(folder / "flair.nii")
    return folder / "flair.nii"


def _analyze(folder: Path) -> Path:
    nibabel.AnalyzeImage(voxels(), LAS).to_filename(folder / "flair.hdr")
    return folder / "flair.hdr"


def _colors(folder: Path) -> Path:
    colors = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    return nifti(content=colors)(folder)


def _no_place(folder: Path) -> Path:
    path = nifti()(folder)
    overwrite(path, 280, np.zeros(12, "<f4"))  # the rows of the sform, whose code stays
    return path


def _metaimage_with(before: bytes, after: bytes) -> Build:
    def build(folder: Path) -> Path:
        path = metaimage()(folder)
        path.write_bytes(path.read_bytes().replace(before, after))
        return path

    return build


def _sheared(by: float) -> np.ndarray:
    affine = LAS.copy()
    affine[0, 1] = by
    return affine


PAIR = nifti("flair.img", kind=nibabel.Nifti1Pair)
ALONE = (
    "FLAIR: expected a pair of NIfTI files (.hdr and .img), found the {} without the "
    "{} file of the "
    "same name. Provide both in a folder or a zip file, or save the scan as one .nii.gz file."
)
ONE_SLICE = (
    "FLAIR: expected a scan of several slices, found a single slice of 32 × 36 voxels. Provide "
    "the whole scan, or save the slice as PNG and use it as a slice."
)
ONE_VOLUME = (
    "FLAIR: expected one volume of three dimensions, found {}. Save the sequence that you want "
    "to have judged as a separate file."
)
NUMBERS = (
    "FLAIR: expected integers or floating-point numbers of at most 64 bits, found {}. Save the "
    "scan with 16-bit integers."
)
BESIDE = (
    "FLAIR: expected a MetaImage file that contains its voxels or has them in one file beside it, "
    "found a header "
)

VOLUMES = [
    Row("NIfTI-1, packed (`.nii.gz`)", READ, _example),
    Row("NIfTI-1 (`.nii`)", READ, nifti()),
    Row("NIfTI-2", READ, nifti(kind=nibabel.Nifti2Image)),
    Row("NIfTI, big-endian", READ, _big_endian),
    Row("NIfTI packed, under a name of `.nii`", READ, renamed(nifti(), "a.nii", 1)),
    Row("NIfTI not packed, under a name of `.nii.gz`", READ, renamed(nifti(), "a.nii.gz")),
    Row("NIfTI packed twice", READ, renamed(nifti(), "a.nii.gz", 2)),
    Row("NIfTI without a suffix", READ, renamed(nifti(), "flair")),
    Row("NIfTI under a name of `.mha`", READ, renamed(nifti(), "flair.mha")),
    Row("a pair of NIfTI files, its `.hdr`", READ, renamed(PAIR, "flair.img")),
    Row("a pair of NIfTI files, its `.img`", READ, PAIR),
    Row(
        "a `.hdr` alone",
        ALONE.format("header", ".img"),
        lambda f: without(PAIR, "flair.img")(f).with_suffix(".hdr"),
    ),
    Row("an `.img` alone", ALONE.format("voxels", ".hdr"), without(PAIR, "flair.hdr")),
    Row(
        "an ANALYZE pair",
        "FLAIR: expected a NIfTI file, found an ANALYZE file, which does not record "
        "which side is left. Save the scan as NIfTI (.nii.gz) with the program "
        "that wrote it.",
        _analyze,
    ),
    Row("NIfTI with a fourth axis of length 1", READ, nifti(content=voxels()[..., None])),
    Row(
        "NIfTI of a time series (fMRI, DWI)",
        ONE_VOLUME.format("3 volumes in one file"),
        nifti(content=np.stack([voxels()] * 3, -1)),
    ),
    Row("NIfTI of two dimensions", ONE_SLICE, nifti(content=voxels()[:, :, 0])),
    Row("NIfTI of one slice", ONE_SLICE, nifti(content=voxels()[:, :, :1])),
    Row("NIfTI in color", NUMBERS.format("…"), _colors),
    Row(
        "NIfTI of complex numbers",
        NUMBERS.format("complex64"),
        nifti(content=voxels().astype(np.complex64)),
    ),
    Row(
        "NIfTI of 64-bit numbers, some of them NaN",
        READ,
        nifti(content=np.where(voxels() == 300, np.nan, 1.0)),
    ),
    Row(
        "NIfTI with axes a little off right angles",
        f"{READ}: The axes in its header deviate from right angles by 0.3°; they were "
        "treated as right angles.",
        nifti(affine=_sheared(0.01)),
    ),
    Row(
        "NIfTI with sheared axes",
        "FLAIR: expected axes at right angles, found a sheared scan. Resample it onto "
        "a grid with right angles.",
        nifti(affine=_sheared(1.0)),
    ),
    Row(
        "NIfTI with an sform of zeros",
        "FLAIR: expected voxels of 0.01 to 100 mm in a scan of at most 3000 mm, found "
        "voxels of 0 × 0 × 0 mm in a scan of 0 × 0 × 0 mm. Export the scan again.",
        _no_place,
    ),
    Row("MetaImage (`.mha`)", READ, metaimage()),
    Row("MetaImage, packed", READ, metaimage(is_packed=True)),
    Row("MetaImage under a name of `.nii`", READ, renamed(metaimage(), "flair.nii")),
    Row("`.mhd` with its `.raw` beside it", READ, metaimage("flair.mhd")),
    Row("`.mhd` with its `.zraw` beside it", READ, metaimage("flair.mhd", is_packed=True)),
    Row(
        "`.mhd` without its `.raw`",
        f"{BESIDE}alone. Provide its data file too, or save the scan as one .mha file.",
        without(metaimage("flair.mhd"), "flair.raw"),
    ),
    Row(
        "`.mhd` that lists many files",
        f"{BESIDE}that names other files. Save the scan as one .mha file.",
        _metaimage_with(b"= LOCAL", b"= LIST"),
    ),
    Row(
        "MetaImage with its voxels as text",
        "FLAIR: expected binary numbers of a known type, found text or an unknown type. Save the "
        "scan as NIfTI.",
        _metaimage_with(b"BinaryData = True", b"BinaryData = False"),
    ),
]
