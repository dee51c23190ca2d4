"""Files given as one slice: pictures of every kind, and files that are not pictures."""

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from formats.rows import READ, ROOT, Row
from PIL import Image

SCAN = ROOT / "examples" / "tumor_scan_flair.nii.gz"
AS_SCAN = "use it as a scan (on the page “Scan”, with /predict_scan or Classifier.predict_scan)"
NO = "which cannot be read as a slice"
NO_SCAN = f"{NO}: save the slice as PNG."
FRAMES = "The file holds 3 frames. Save the slice that you want to have judged."


def _head(most: float = 200.0) -> np.ndarray:
    """A disc that grows brighter to the right, `[64, 64]` float, 0 to `most`."""
    y, x = np.mgrid[:64, :64]
    return np.where((y - 32) ** 2 + (x - 32) ** 2 < 700, most * (0.5 + x / 128), 0)


def _picture(name: str, mode: str = "L", **options: object) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        image = Image.fromarray(_head().astype(np.uint8)).convert(mode)
        image.save(folder / name, **options)
        return folder / name

    return build


def _array(name: str, kind: type, most: float) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        Image.fromarray(_head(most).astype(kind)).save(folder / name)
        return folder / name

    return build


def _stack(folder: Path) -> Path:
    first, *others = (Image.fromarray(_head(most).astype(np.uint8)) for most in (100, 150, 200))
    first.save(folder / "stack.tif", save_all=True, append_images=others)
    return folder / "stack.tif"


def _overlay(folder: Path) -> Path:
    pixels = np.stack([_head(), _head() / 4, np.zeros((64, 64))], -1)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "overlay.png")
    return folder / "overlay.png"


def _thumbnail(folder: Path) -> Path:
    Image.fromarray(_head()[::3, ::3].astype(np.uint8)).save(folder / "small.png")
    return folder / "small.png"


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return build


def _nifti(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        content = SCAN.read_bytes() if name.endswith(".gz") else gzip.decompress(SCAN.read_bytes())
        (folder / name).write_bytes(content)
        return folder / name

    return build


def _pair(folder: Path) -> Path:
    scan = nibabel.Nifti1Pair(np.ones((4, 4, 4), np.int16), np.eye(4))
    nibabel.save(scan, folder / "scan.hdr")
    return folder / "scan.hdr"


def _metaimage(folder: Path) -> Path:
    lines = ["ObjectType = Image", "NDims = 3", "DimSize = 4 4 4", "ElementType = MET_SHORT"]
    header = "\n".join([*lines, "ElementDataFile = LOCAL", ""])
    (folder / "flair.mha").write_bytes(header.encode() + bytes(128))
    return folder / "flair.mha"


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "series.zip", "w") as packed:
        packed.writestr("IM0001", bytes(128) + b"DICM")
    return folder / "series.zip"


def _numpy(folder: Path) -> Path:
    np.save(folder / "slice.npy", _head())
    return folder / "slice.npy"


def _series(folder: Path) -> Path:
    shutil.copy(SCAN, folder / "flair.nii.gz")
    return folder


SLICES = [
    Row("PNG, 8 bit", READ, _picture("slice.png")),
    Row("PNG, 16 bit, as an anonymizer or ImageJ exports it", READ,
        _array("slice.png", np.uint16, 60000)),
    Row("PNG with a palette", READ, _picture("slice.png", "P")),
    Row("PNG with transparency, as a screenshot", READ, _picture("slice.png", "RGBA")),
    Row("JPEG, gray stored as color", READ, _picture("slice.jpg", "RGB", quality=90)),
    Row("JPEG in CMYK, from a printing program", READ, _picture("slice.jpg", "CMYK")),
    Row("JPEG 2000", READ, _picture("slice.jp2")),
    Row("TIFF, 32-bit floating numbers", READ, _array("slice.tif", np.float32, 1.0)),
    Row("WebP", READ, _picture("slice.webp", lossless=True)),
    Row("BMP", READ, _picture("slice.bmp")),
    Row("GIF of one frame", READ, _picture("slice.gif")),
    Row("a stack of slices as TIFF (ImageJ)", FRAMES, _stack),
    Row("an overlay in color, saved from a viewer",
        "This is a color picture. Provide a gray FLAIR slice.", _overlay),
    Row("a thumbnail",
        "The picture has 22×22 pixels, which is too small to judge. Provide a slice of at least "
        "32×32 pixels.",
        _thumbnail),
    Row("a NIfTI scan, packed (`.nii.gz`)", f"This is a NIfTI file, {NO}: {AS_SCAN}, or "
        "save the slice that you want to have judged as PNG.", _nifti("flair.nii.gz")),
    Row("a NIfTI scan (`.nii`)", f"This is a NIfTI file, {NO}: {AS_SCAN}…",
        _nifti("flair.nii")),
    Row("a NIfTI scan under a picture's name", f"This is a NIfTI file, {NO}: {AS_SCAN}…",
        _nifti("slice.png")),
    Row("the `.hdr` of a NIfTI pair (SPM)", f"This is the header of a NIfTI pair, {NO}: "
        "save the scan as one .nii.gz file.", _pair),
    Row("a MetaImage scan (`.mha`)", f"This is a MetaImage file, {NO}: {AS_SCAN}…",
        _metaimage),
    Row("the folder of a scan", f"This is a folder, {NO}: {AS_SCAN}…", _series),
    Row("a zip file of a DICOM series", f"This is a zip file, {NO}: if it holds a scan, "
        f"{AS_SCAN}, or save the slice that you want to have judged as PNG; otherwise unpack it.",
        _zip),
    Row("an NRRD scan (3D Slicer)", f"This is an NRRD file, {NO}: save it as NIfTI "
        "(.nii.gz) and use that as a scan.", _bytes("flair.nrrd", b"NRRD0004\ntype: short\n")),
    Row("a FreeSurfer scan (`.mgz`)", f"This is a FreeSurfer file, {NO}: convert it to "
        ".nii.gz with mri_convert.",
        _bytes("flair.mgz", gzip.compress(b"\0\0\0\1\0\0\1\0" + bytes(400)))),
    Row("a slice as `.h5` (BraTS 2020 on Kaggle)", f"This is an HDF5 file, {NO_SCAN}",
        _bytes("volume_1_slice_0.h5", b"\x89HDF\r\n\x1a\n" + bytes(64))),
    Row("a slice as `.mat` (figshare)", f"This is a MATLAB file, {NO_SCAN}",
        _bytes("1.mat", b"MATLAB 5.0 MAT-file, Platform: PCWIN64" + bytes(100))),
    Row("a slice as `.npy`", f"This is a NumPy file, {NO_SCAN}", _numpy),
    Row("the `.json` that dcm2niix writes beside a scan", f"This is a JSON file, {NO}: "
        "provide the scan or picture that belongs to it.",
        _bytes("flair.json", json.dumps({"EchoTime": 0.1}).encode())),
    Row("a PDF", f"This is a PDF document, {NO_SCAN}", _bytes("report.pdf", b"%PDF-1.7\n")),
    Row("a phone's photo of a screen (HEIC)", f"This is a photo in HEIC, {NO_SCAN}",
        _bytes("photo.heic", b"\0\0\0\x18ftypheic" + bytes(64))),
    Row("a picture that Git LFS has not fetched", f"This is a Git LFS pointer, {NO}: fetch "
        "the file itself, with git annex get, datalad get or git lfs pull.",
        _bytes("slice.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
    Row("a picture that breaks off", "The file could not be read as a picture: it is damaged, "
        "incomplete or of another kind. Provide a PNG, JPEG or TIFF file.",
        _bytes("slice.png", b"\x89PNG\r\n\x1a\n\0\0\0")),
]  # fmt: skip
