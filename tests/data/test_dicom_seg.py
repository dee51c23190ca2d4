"""A DICOM SEG references the series it was drawn on and states its purpose."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_files import PLANTED, write_series
from scans import brain, labels

from brainai.data import dicom_seg
from brainai.data.dicom_seg import write_dicom_seg
from brainai.data.scans import read_scan
from brainai.errors import DataError

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

TURNED = {
    "as it lies": np.eye(3),
    "from the top down": np.diag([1.0, -1.0, -1.0]),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "oblique": np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]),
}
FRAME = {"t0020_0052": "1.2.3.50"}
BESIDE_PYTHON = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
DCIODVFY = shutil.which("dciodvfy", path=BESIDE_PYTHON)  # of the package dicom3tools


def bright(volume) -> np.ndarray:
    return volume.voxels == 999


def marked_series(folder: Path, turn: np.ndarray, **tags: str) -> Path:
    """A series in which some voxels have the value 999: three on a slice, two on another."""
    voxels = brain()
    voxels[10:13, 20, 3] = 999
    voxels[12, 21:23, 4] = 999
    return write_series(folder, voxels, turn=turn, spacing=(1.0, 1.5, 5.0), **FRAME, **tags)


@pytest.mark.parametrize("name", TURNED)
def test_each_frame_marks_the_voxels_of_the_slice_it_references(tmp_path, name) -> None:
    folder = marked_series(tmp_path / "series", TURNED[name])
    volume = read_scan(folder)
    write_dicom_seg(tmp_path / "out" / "mask.dcm", bright(volume), volume.grid, folder)
    found = highdicom.seg.segread(tmp_path / "out" / "mask.dcm")
    slices = {source.SOPInstanceUID: source for source in map(pydicom.dcmread, folder.iterdir())}
    counts = []
    for frame, plane in zip(
        found.PerFrameFunctionalGroupsSequence, np.atleast_3d(found.pixel_array), strict=True
    ):
        derivation = frame.DerivationImageSequence[0].SourceImageSequence[0]
        source = slices[derivation.ReferencedSOPInstanceUID]
        values = source.pixel_array * float(source.RescaleSlope) + float(source.RescaleIntercept)
        np.testing.assert_array_equal(plane == 1, values == 999)
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, source.ImagePositionPatient, atol=1e-4)
        counts.append(int(plane.sum()))
    assert sorted(counts) == [2, 3]  # slices without a mark are left out


def test_the_segmentation_says_it_is_for_research_and_belongs_to_the_study(tmp_path: Path) -> None:
    folder = marked_series(tmp_path / "series", np.eye(3))
    volume = read_scan(folder)
    write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, folder)
    found = pydicom.dcmread(tmp_path / "mask.dcm")
    source = pydicom.dcmread(next(folder.iterdir()))
    assert found.Modality == "SEG"
    assert "not for diagnosis" in found.SeriesDescription
    assert "not for diagnosis" in found.ContentDescription
    assert "research only" in found.SegmentSequence[0].SegmentLabel
    assert found.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    for word in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert found[word].value == source[word].value
    assert found.SeriesInstanceUID != source.SeriesInstanceUID
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mask.dcm"]


def test_an_empty_mask_is_written_too(tmp_path: Path) -> None:
    folder = marked_series(tmp_path / "series", np.eye(3))
    volume = read_scan(folder)
    empty = np.zeros(volume.voxels.shape, bool)
    write_dicom_seg(tmp_path / "mask.dcm", empty, volume.grid, folder)
    assert not pydicom.dcmread(tmp_path / "mask.dcm").pixel_array.any()


def test_a_zip_file_works_like_its_folder(tmp_path: Path) -> None:
    folder = marked_series(tmp_path / "series", np.eye(3))
    archive = Path(shutil.make_archive(str(tmp_path / "series"), "zip", folder))
    volume = read_scan(archive)
    write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, archive)
    assert pydicom.dcmread(tmp_path / "mask.dcm").pixel_array.sum() == 5


def test_another_series_is_refused(tmp_path: Path) -> None:
    volume = read_scan(marked_series(tmp_path / "series", np.eye(3)))
    other = write_series(tmp_path / "other", labels(1), **FRAME)  # its rows lie closer together
    with pytest.raises(DataError, match="expected the series that was judged"):
        write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, other)
    with pytest.raises(DataError, match="expected the folder or the zip file"):
        write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, tmp_path / "a.nii.gz")


def test_slices_with_the_same_uid_are_refused_without_naming_the_patient(tmp_path: Path) -> None:
    folder = marked_series(tmp_path / "series", np.eye(3), t0008_0018="1.2.3.1")
    volume = read_scan(folder)
    with pytest.raises(DataError, match="a different SOPInstanceUID") as refused:
        write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, folder)
    assert not any(word in str(refused.value) for word in PLANTED)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = marked_series(tmp_path / "series", np.eye(3))
    volume = read_scan(folder)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(DataError, match="pip install highdicom"):
        write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, folder)


@pytest.mark.skipif(DCIODVFY is None, reason="needs dicom3tools")
def test_dciodvfy_reports_no_error(tmp_path: Path) -> None:
    folder = marked_series(tmp_path / "series", np.eye(3))
    volume = read_scan(folder)
    write_dicom_seg(tmp_path / "mask.dcm", bright(volume), volume.grid, folder)
    command = [DCIODVFY, "-new", str(tmp_path / "mask.dcm")]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_descriptions_fit_into_their_fields() -> None:
    for text in (dicom_seg.SERIES_NAME, dicom_seg.CONTENT, dicom_seg.SEGMENT):
        assert len(text) <= 64
