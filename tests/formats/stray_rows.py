"""Files that are not scans, where a scan is expected."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from formats.folder_rows import in_folder
from formats.rows import ROOT, Row
from formats.volume_rows import nifti
from nifti_files import LAS, voxels
from PIL import Image

EXPECTED = (
    "FLAIR: expected a NIfTI or MetaImage file, the folder of a DICOM series, or a zip file of it, "
    "found "
)
IN_NIFTI = "FLAIR: expected a NIfTI file, found "
SLICE = ". For a single slice, use the Slice tab, /predict or Classifier.predict."
SAVE = ". Save the scan as NIfTI (.nii.gz)."
UNPACK = ". Provide the scan itself, or a zip file of it."
FETCH = ". Fetch the file itself, with git annex get, datalad get or git lfs pull."
PROVIDE = ". Provide the scan itself."
PAGE = "a web page. Download the scan again: some servers send a web page when a login is required."
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
ANNEX = b"/annex/objects/MD5E-s2103--1ff1.nii.gz\n"


def _file(name: str, content: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return build


def _picture(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(folder / name)
        return folder / name

    return build


def _nothing(folder: Path) -> Path:
    return folder / "flair.nii.gz"


def _nrrd(folder: Path) -> Path:
    header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 32 36 6\nencoding: raw\n\n"
    return _file("flair.nrrd", header + voxels().tobytes("F"))(folder)


def _freesurfer(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        nibabel.MGHImage(voxels(), LAS).to_filename(folder / name)
        return folder / name

    return build


def _tar(folder: Path) -> Path:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(nifti()(folder), "flair.nii")
    return _file("study.tar.gz", content.getvalue())(folder)


STRAYS = [
    Row(
        "a slice as PNG",
        f"{EXPECTED}a picture of one slice (PNG){SLICE}",
        lambda _: ROOT / "examples" / "tumor_frontal.png",
    ),
    Row(
        "a slice as JPEG", f"{EXPECTED}a picture of one slice (JPEG){SLICE}", _picture("flair.jpg")
    ),
    Row(
        "a slice as TIFF", f"{EXPECTED}a picture of one slice (TIFF){SLICE}", _picture("flair.tif")
    ),
    Row(
        "a folder of PNG files",
        f"{EXPECTED}a picture of one slice (PNG){SLICE}",
        in_folder(_picture("1.png"), _picture("2.png")),
    ),
    Row(
        "a picture under a name of `.nii.gz`",
        f"{IN_NIFTI}a picture of one slice (PNG){SLICE}",
        lambda f: _picture("a.png")(f).rename(f / "a.nii.gz"),
    ),
    Row("NRRD, as 3D Slicer saves it", f"{EXPECTED}an NRRD file{SAVE}", _nrrd),
    Row("a folder with one NRRD file", f"{EXPECTED}an NRRD file{SAVE}", in_folder(_nrrd)),
    Row(
        "FreeSurfer's `.mgh`",
        f"{EXPECTED}a FreeSurfer file{SAVE}",
        _freesurfer("flair.mgh"),
    ),
    Row(
        "FreeSurfer's `.mgz`",
        f"{IN_NIFTI}a FreeSurfer file{SAVE}",
        _freesurfer("flair.mgz"),
    ),
    Row(
        "MINC, `.h5` or `.mat` in HDF5",
        f"{EXPECTED}an HDF5 file{SAVE}",
        _file("flair.mnc", b"\x89HDF\r\n\x1a\n" + bytes(100)),
    ),
    Row(
        "a Philips PAR header",
        f"{EXPECTED}a Philips PAR header{SAVE}",
        _file("flair.par", b"# === DATA DESCRIPTION FILE =====\n"),
    ),
    Row(
        "a NumPy file",
        f"{EXPECTED}a NumPy file{SAVE}",
        _file("flair.npy", b"\x93NUMPY\1\0" + bytes(100)),
    ),
    Row("a `.tar.gz` archive", f"{IN_NIFTI}a tar archive{UNPACK}", _tar),
    Row(
        "a 7z archive",
        f"{EXPECTED}a 7z archive{UNPACK}",
        _file("study.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50)),
    ),
    Row(
        "a RAR archive",
        f"{EXPECTED}a RAR archive{UNPACK}",
        _file("study.rar", b"Rar!\x1a\7\0" + bytes(50)),
    ),
    Row(
        "a RAR archive under a name of `.zip`",
        f"{EXPECTED}a RAR archive{UNPACK}",
        _file("study.zip", b"Rar!\x1a\7\0" + bytes(50)),
    ),
    Row(
        "NIfTI packed by bzip2",
        f"{EXPECTED}a file compressed with bzip2{UNPACK}",
        _file("flair.nii.bz2", bz2.compress(b"nifti")),
    ),
    Row(
        "NIfTI packed by xz",
        f"{EXPECTED}a file compressed with xz{UNPACK}",
        _file("flair.nii.xz", lzma.compress(b"nifti")),
    ),
    Row(
        "a file of DataLad or git-annex that is not fetched",
        f"{IN_NIFTI}a git-annex or DataLad pointer{FETCH}",
        _file("sub-01_FLAIR.nii.gz", ANNEX),
    ),
    Row(
        "a file of Git LFS that is not fetched",
        f"{IN_NIFTI}a Git LFS pointer{FETCH}",
        _file("flair.nii.gz", LFS),
    ),
    Row(
        "a web page that was saved as the scan",
        f"{IN_NIFTI}{PAGE}",
        _file("flair.nii.gz", b"<!DOCTYPE html><html><title>Sign in</title></html>"),
    ),
    Row(
        "the `.json` of dcm2niix or BIDS alone",
        f"{EXPECTED}a JSON file{PROVIDE}",
        _file("sub-01_FLAIR.json", b'{"EchoTime": 0.1}'),
    ),
    Row("a PDF document", f"{EXPECTED}a PDF document{PROVIDE}", _file("report.pdf", b"%PDF-1.7\n")),
    Row(
        "text under a name of `.nii`",
        f"{IN_NIFTI}one that does not begin with a NIfTI header. Export or copy the scan again.",
        _file("flair.nii", b"subject 1: see the archive"),
    ),
    Row("an empty file", f"{IN_NIFTI}an empty file. Copy it again.", _file("flair.nii.gz", b"")),
    Row(
        "an empty file, packed",
        f"{IN_NIFTI}an empty file. Copy it again.",
        _file("flair.nii.gz", gzip.compress(b"")),
    ),
    Row(
        "NIfTI of which a part is missing",
        "FLAIR: expected a complete scan file, found a damaged one: it holds … "
        "bytes of voxels instead of …. Copy it again.",
        lambda f: _file("a.nii", nifti()(f).read_bytes()[:5000])(f),
    ),
    Row("a file that is not there", f"{EXPECTED}no file or folder of this name.", _nothing),
]
