"""The answer for a whole scan: geometry worked out by hand in any storage order, and refusals."""

import csv
import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import PLANTED, write_series
from faults import small_files

from brainai.data.volumes import Volume
from brainai.errors import DataError, OutOfScope
from brainai.inference.classifier import Classifier
from brainai.inference.scan import ScanPrediction, head_areas, large_pieces
from brainai.model.scope import Scope

SHAPE = (64, 48, 8)  # X, Y, Z in LPS
BLOCK = (slice(20, 30), slice(10, 18), slice(3, 5))  # 10 × 8 voxels on slices 3 and 4
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def head(block: tuple[slice, ...] = BLOCK) -> np.ndarray:
    """`[X, Y, Z]` int16: an ellipse at 100, with a block at 300, and a spot of 4 × 5 voxels at 300
    on each slice (gray levels are set per slice: each needs something bright); slice 0 is air."""
    x, y, _ = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    voxels = np.where(((x - 32) / 25) ** 2 + ((y - 24) / 18) ** 2 < 1, 100, 0).astype(np.int16)
    voxels[block] = 300
    voxels[40:44, 20:25] = 300
    voxels[:, :, 0] = 0
    return voxels


def volume(
    voxels: np.ndarray | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 5.0),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    direction: tuple[float, ...] = IDENTITY,
) -> Volume:
    """LPS voxels as they come from a file."""
    return Volume(head() if voxels is None else voxels, spacing, origin, direction)


def write_nifti(path: Path, axes: str, tilt: float = 0.0) -> Path:
    """The head, 1 × 1 × 5 mm, stored along `axes` ("RAS", "PIR" …), turned by `tilt` about x."""
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])  # of LPS voxels, in nibabel's RAS
    affine[:3, 3] = (31, 20, -12)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    image = nibabel.Nifti1Image(head(), turn @ affine)
    stored = nibabel.orientations.axcodes2ornt(tuple(axes))
    now = nibabel.orientations.axcodes2ornt(("L", "P", "S"))
    image = image.as_reoriented(nibabel.orientations.ornt_transform(now, stored))
    image.header["descrip"] = PLANTED[0].encode()
    nibabel.save(image, path)
    return path


@pytest.fixture
def classifier(plain):
    """Sees 64 × 64 pixels, as many as the head has: nothing is resized, the block is the mask."""
    return plain(gain=0.0, image_size=64)[0]


def test_volume_and_area_of_a_block_are_exact(classifier) -> None:
    # Of 1 mm²: 10 × 8 voxels of block, on two slices, and 4 × 5 of the spot, on seven.
    # 2 × 80 + 7 × 20 = 300 voxels of 5 mm³ are 1,500 mm³.
    answer = classifier.predict_scan(volume())
    assert answer.volume_ml == pytest.approx(1.5, abs=1e-9)
    areas = [0, 0.2, 0.2, 1.0, 1.0, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(answer.areas_cm2, areas, atol=1e-9)
    assert answer.mask.dtype == bool
    np.testing.assert_array_equal(answer.mask, head() == 300)


@pytest.mark.parametrize(("rows", "kept"), [(15, False), (16, True)])
def test_pieces_below_a_tenth_of_the_largest_are_removed_from_the_mask(plain, rows, kept) -> None:
    # The largest piece, the block, has 160 voxels.
    classifier, _ = plain(gain=0.0, image_size=64, scan_weights=(0.4, 1.0, 0.0), scan_threshold=0.5)
    voxels = head()
    voxels[26 : 26 + rows, 30, 3] = 300
    answer = classifier.predict_scan(volume(voxels))
    assert answer.mask[26 : 26 + rows, 30, 3].all() == kept
    assert answer.mask.sum() == 300 + rows * kept
    assert answer.volume_ml == pytest.approx(1.5 + 0.005 * rows * kept)
    assert answer.areas_cm2[3] == pytest.approx(1.0 + 0.01 * rows * kept)
    # The verdict counts all pieces: log-odds ln(1 + mL).
    odds = 2.5 + 0.005 * rows
    assert answer.probability == pytest.approx(odds / (1 + odds))


def test_voxels_that_share_only_an_edge_are_separate_pieces() -> None:
    mask = np.zeros((5, 4, 3), bool)
    mask[:4] = True  # 48 voxels
    mask[3, :, :] = False  # 36 are left
    mask[3, 3, 2] = True  # joined to them by a face
    mask[4, 2, 2] = True  # to that one by an edge only
    expected = mask.copy()
    expected[4, 2, 2] = False
    np.testing.assert_array_equal(large_pieces(mask), expected)
    assert not large_pieces(np.zeros((2, 2, 2), bool)).any()


def test_pixels_that_are_not_square_are_resampled_to_true_proportions(plain) -> None:
    # 64 × 48 voxels of 0.5 × 1 mm are 32 × 48 mm: 64 × 96 square pixels of 0.5 mm.
    classifier, network = plain(image_size=96)
    voxels = np.zeros(SHAPE, np.int16)
    voxels[6:58, 4:44] = 100
    voxels[20:40, 10:20, 4] = 300
    answer = classifier.predict_scan(volume(voxels, spacing=(0.5, 1.0, 5.0)))
    shown = network.seen[0][0, 0]  # 96 × 96, with a margin of 16 at both sides
    assert shown.shape == (96, 96)
    rows, columns = np.nonzero((shown > 0.1).numpy())
    assert (columns.min(), columns.max()) == (22, 73)
    assert abs(rows.min() - 8) <= 1
    assert abs(rows.max() - 87) <= 1
    # 20 × 10 voxels of 0.5 mm² are 1 cm²; the resized border may move by half a pixel.
    assert answer.areas_cm2[4] == pytest.approx(1.0, abs=0.11)
    assert answer.mask[21:39, 11:19, 4].all()


@pytest.mark.parametrize(
    ("axes", "tilt"),
    [("LPS", 0), ("RAS", 0), ("PIR", 0), ("SAL", 0), ("RAS", 0.4), ("PSR", 0.3)],
)
def test_a_saved_mask_has_the_geometry_of_its_scan(
    tmp_path: Path, classifier, axes: str, tilt: float
) -> None:
    path = write_nifti(tmp_path / "flair.nii.gz", axes, tilt)
    answer = classifier.predict_scan(path)
    answer.save_mask(tmp_path / "out" / "mask.nii.gz")
    scan, mask = nibabel.load(path), nibabel.load(tmp_path / "out" / "mask.nii.gz")
    assert mask.shape == scan.shape
    np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-4)
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(mask.dataobj) == 1, np.asarray(scan.dataobj) == 300)
    assert answer.volume_ml == pytest.approx(1.5, abs=1e-5)


def test_the_mask_of_a_dicom_series_can_be_saved_as_dicom_seg(tmp_path: Path, classifier) -> None:
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    frame = {"t0020_0052": "1.2.3.50"}
    folder = write_series(tmp_path / "series", head(), description="FLAIR", **frame)
    answer = classifier.predict_scan(folder)
    answer.save_dicom_seg(tmp_path / "mask.dcm", folder)
    found = pydicom.dcmread(tmp_path / "mask.dcm")
    assert found.pixel_array.sum() == 300  # 2 × 80 of the block and 7 × 20 of the spot
    assert found.NumberOfFrames == 7


def test_a_dicom_series_gives_the_same_answer_as_a_nifti_file(tmp_path: Path, plain) -> None:
    classifier, _ = plain(gain=3.0, image_size=64)
    folder = write_series(tmp_path / "series", head(), origin=(-31, -20, -12))
    series = classifier.predict_scan(folder)
    nifti = classifier.predict_scan(write_nifti(tmp_path / "flair.nii.gz", "RAS"))
    np.testing.assert_array_equal(series.slices, nifti.slices)
    np.testing.assert_array_equal(series.mask, nifti.mask)
    np.testing.assert_allclose(series.grid.heights_mm(), nifti.grid.heights_mm())
    series.save_mask(tmp_path / "mask.nii.gz")
    saved = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(saved.affine[:3, 3], (31, 20, -12))


def test_slices_are_judged_from_the_feet_up_in_batches_of_any_size(plain) -> None:
    classifier, network = plain(gain=3.0, image_size=64)
    voxels = head((slice(0, 0),) * 3)
    for k in range(1, 8):
        voxels[20 : 20 + 3 * k, 10:20, k] = 300  # more of it from slice to slice
    together = classifier.predict_scan(volume(voxels))
    network.seen.clear()
    told = []
    answer = classifier.predict_scan(
        volume(voxels), progress=lambda *at: told.append(at), batch_size=3
    )
    assert told == [(3, 7), (6, 7), (7, 7)]
    assert [len(images) for images in network.seen] == [3, 3, 1]
    np.testing.assert_allclose(answer.slices, together.slices, atol=1e-6)
    assert (np.diff(answer.slices[1:]) > 0).all()
    np.testing.assert_allclose(answer.areas_cm2, [0, *(0.2 + 0.3 * np.arange(1, 8))], atol=1e-9)


def test_each_step_shows_the_last_judged_slice(plain) -> None:
    classifier, _ = plain(gain=3.0, image_size=64)
    voxels = head((slice(0, 0),) * 3)
    for k in range(1, 8):
        voxels[20 : 20 + 3 * k, 10:20, k] = 300
    *steps, answer = classifier.follow_scan(volume(voxels), batch_size=3)
    assert [step.latest.index for step in steps] == [3, 6, 7]
    for step in steps:
        assert step.latest.probability == answer.slices[step.latest.index]
        np.testing.assert_array_equal(step.latest.mask, answer.mask[:, :, step.latest.index].T)


def test_the_return_value_of_progress_is_ignored(classifier) -> None:
    asked = classifier.predict_scan(volume(), progress=lambda done, total: False)
    np.testing.assert_array_equal(asked.mask, classifier.predict_scan(volume()).mask)


def test_slices_outside_the_head_are_not_judged(plain) -> None:
    classifier, network = plain(gain=0.0, image_size=64)
    voxels = head() + np.random.default_rng(0).integers(0, 6, SHAPE).astype(np.int16)
    voxels[:, :, 7] = 0
    voxels[28:36, 20:28, 7] = 100  # 64 voxels: the tip of a head
    answer = classifier.predict_scan(volume(voxels))
    assert np.isnan(answer.slices).tolist() == [True, *[False] * 6, True]
    assert answer.slice_labels == ("", *["Tumor"] * 6, "")
    assert sum(len(images) for images in network.seen) == 6


@pytest.mark.parametrize("offset", [0, -1000, 50])
def test_the_head_is_found_for_any_background_value(offset: int) -> None:
    # Pixels of 1 mm²: a hundredth of the voxels that differ from the background is cm².
    inside = np.count_nonzero(head(), axis=(0, 1))
    np.testing.assert_allclose(head_areas(volume(head() + offset)), inside / 100)


def test_the_head_is_found_if_the_background_is_within_the_value_range() -> None:
    voxels = head().astype(np.float32)
    voxels[::2] *= -1  # as in a scan whose brain has mean 0
    inside = np.count_nonzero(head(), axis=(0, 1))
    np.testing.assert_allclose(head_areas(volume(voxels)), inside / 100)


@pytest.mark.parametrize(("threshold", "label"), [(0.5, "Tumor"), (0.51, "No Tumor")])
def test_label_of_a_scan_is_tumor_at_or_above_the_threshold(plain, threshold, label) -> None:
    classifier, _ = plain(gain=0.0, threshold=threshold)  # every slice has probability 0.5
    answer = classifier.predict_scan(volume())
    assert (answer.label, answer.probability, answer.threshold) == (label, 0.5, threshold)
    assert set(answer.slice_labels) == {"", label}


@pytest.mark.parametrize(("threshold", "label"), [(0.7, "Tumor"), (0.72, "No Tumor")])
def test_a_scan_has_its_own_verdict_if_one_was_fitted(plain, threshold, label) -> None:
    # Log-odds 0 everywhere, 1.5 mL outlined: 0.4 · 0 + 1 · ln 2.5 - 0 has odds 2.5, 2.5 / 3.5.
    fitted = {"scan_weights": (0.4, 1.0, 0.0), "scan_threshold": threshold}
    classifier, _ = plain(gain=0.0, image_size=64, threshold=0.6, **fitted)
    answer = classifier.predict_scan(volume())
    assert answer.probability == pytest.approx(2.5 / 3.5)
    assert (answer.label, answer.threshold) == (label, threshold)
    assert answer.slice_threshold == 0.6
    assert set(answer.slice_labels) == {"", "No Tumor"}


@pytest.mark.parametrize(("threshold", "label"), [(0.73, "Tumor"), (0.74, "No Tumor")])
def test_slices_of_a_scan_are_judged_with_their_neighbors_if_that_was_fitted(
    plain, threshold, label
) -> None:
    # Log-odds 0 everywhere, with neighbors too: 2 · 0 + 1 has the probability 0.731.
    fitted = {"neighbor_weights": (2.0, 1.0), "neighbor_threshold": threshold}
    classifier, _ = plain(gain=0.0, image_size=64, threshold=0.6, **fitted)
    answer = classifier.predict_scan(volume())
    assert answer.slices[1:] == pytest.approx(np.full(7, 0.7310586))
    assert np.isnan(answer.slices[0])
    assert (answer.slice_threshold, set(answer.slice_labels)) == (threshold, {"", label})
    assert answer.tumor_slices == (7 if label == "Tumor" else 0)
    # The verdict comes from each slice by itself.
    assert (answer.probability, answer.threshold) == (0.5, 0.6)


def test_a_sequence_on_another_grid_is_resampled_to_flair(plain) -> None:
    classifier, network = plain(image_size=64)
    t2 = np.zeros((32, 24, 8), np.int16)
    t2[4:28, 4:20] = 100
    t2[10:15, 5:9, 3:5] = 300  # 10 × 8 mm at 20, 10 mm, in voxels of 2 mm
    classifier.predict_scan(volume(), t2=volume(t2, (2.0, 2.0, 5.0), (0.5, 0.5, 0.0)))
    flair, t1c, seen = network.seen[0][2]  # slice 3: slice 0 is not judged
    assert np.array_equal(flair, t1c)
    assert (seen[8 + 11 : 8 + 16, 21:29] > 0.9).all()  # the square has a margin of 8 above
    assert (seen[8 + 20 : 8 + 30, 22:40] < 0.5).all()


def test_flair_replaces_another_sequence_outside_its_extent(plain) -> None:
    classifier, network = plain(image_size=64)
    higher = volume(head()[::-1], origin=(0.0, 0.0, 20.0))  # shifted by four slices, and mirrored
    classifier.predict_scan(volume(), t1c=higher, batch_size=8)
    reaches = [not np.array_equal(flair, t1c) for flair, t1c, _ in network.seen[0]]
    assert reaches == [False] * 4 + [True] * 3  # its own slice 0 is empty
    assert np.array_equal(network.seen[0][6, 1], network.seen[0][2, 0].flip(1))


def test_sequences_without_overlap_are_refused(classifier) -> None:
    with pytest.raises(DataError, match="T2 does not overlap FLAIR"):
        classifier.predict_scan(volume(), t2=volume(origin=(500.0, 0.0, 0.0)))


def test_t1c_without_flair_is_refused(classifier) -> None:
    with pytest.raises(DataError, match="FLAIR is missing: a FLAIR scan is required"):
        classifier.predict_scan(None, t1c=volume())


def test_a_sequence_that_the_model_was_not_trained_on_is_refused(plain) -> None:
    classifier, _ = plain(modalities=("flair",))
    with pytest.raises(DataError, match="not trained on T1c"):
        classifier.predict_scan(volume(), t1c=volume())


@pytest.mark.parametrize(
    ("spacing", "way"), [((5.0, 1.0, 1.0), "sagittal"), ((1.0, 4.0, 1.0), "coronal")]
)
def test_thick_slices_of_another_direction_are_refused(classifier, spacing, way) -> None:
    with pytest.raises(DataError, match=f"as in a scan of thick {way} slices"):
        classifier.predict_scan(volume(spacing=spacing))


def test_a_scan_without_a_head_is_refused(classifier) -> None:
    for voxels in (np.zeros(SHAPE, np.int16), np.full(SHAPE, 7, np.int16)):
        with pytest.raises(DataError, match="no slice that shows enough of a head"):
            classifier.predict_scan(volume(voxels))


def test_a_refusal_names_the_sequence_and_not_the_file(tmp_path: Path, classifier) -> None:
    path = tmp_path / f"{PLANTED[0]}.nii.gz"
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match="T2: expected a NIfTI file, found one") as caught:
        classifier.predict_scan(volume(), t2=path)
    assert PLANTED[0] not in str(caught.value)


def test_the_chosen_series_is_reported(tmp_path: Path, classifier) -> None:
    write_series(tmp_path / "a", head(), series=2, description="T1")
    write_series(tmp_path / "b", head(), series=5, description="FLAIR")
    notes = classifier.predict_scan(tmp_path).notes
    assert notes == ("FLAIR: Used series 5 (8 slices), one of 2 found.",)


def test_table_has_one_row_per_slice(tmp_path: Path, classifier) -> None:
    answer = classifier.predict_scan(volume(origin=(0.0, 0.0, -12.0)))
    answer.write_csv(tmp_path / "out" / "slices.csv")
    rows = list(csv.reader((tmp_path / "out" / "slices.csv").open()))
    assert rows[0] == ["index", "position_mm", "probability", "label", "area_cm2"]
    assert rows[1] == ["0", "-12.0", "", "", ""]
    assert rows[4] == ["3", "3.0", "0.5", "Tumor", "1.0"]
    assert len(rows) == 1 + 8
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["slices.csv"]


def test_height_of_a_tilted_slice_is_that_of_its_center(classifier) -> None:
    turn = (1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8)
    heights = classifier.predict_scan(volume(direction=turn)).grid.heights_mm()
    # The middle of slice 0 lies 23.5 mm along y, which rises by 0.6; slices rise by 5 × 0.8.
    np.testing.assert_allclose(heights, 14.1 + 4.0 * np.arange(8))


def test_without_a_decoder_there_is_no_mask_volume_or_area(tmp_path: Path, plain) -> None:
    classifier, _ = plain(decoder=False)
    answer = classifier.predict_scan(volume())
    assert (answer.mask, answer.volume_ml, answer.areas_cm2) == (None, None, None)
    assert [row["area_cm2"] for row in answer.rows()] == [None] * 8
    with pytest.raises(DataError, match="no decoder"):
        answer.save_mask(tmp_path / "mask.nii.gz")


def test_no_header_text_reaches_the_output(tmp_path: Path, classifier) -> None:
    sources = (
        write_series(tmp_path / "series", head()),
        write_nifti(tmp_path / "flair.nii.gz", "RAS"),
    )
    for source in sources:
        answer = classifier.predict_scan(source)
        answer.save_mask(tmp_path / "mask.nii.gz")
        answer.write_csv(tmp_path / "slices.csv")
        written = gzip.decompress((tmp_path / "mask.nii.gz").read_bytes())
        written += (tmp_path / "slices.csv").read_bytes() + repr(answer).encode()
        assert not any(word.encode() in written for word in PLANTED)


def test_a_failed_mask_write_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, classifier
) -> None:
    (tmp_path / "mask.nii.gz").write_bytes(b"old")
    answer = classifier.predict_scan(volume())
    with (
        small_files(10),
        pytest.raises(DataError, match="expected a path that the mask can be written to"),
    ):
        answer.save_mask(tmp_path / "mask.nii.gz")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"mask.nii.gz": b"old"}


def test_unwritable_paths_and_unknown_suffixes_are_refused(tmp_path: Path, classifier) -> None:
    answer: ScanPrediction = classifier.predict_scan(volume())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="path that the mask can be written to"):
        answer.save_mask(tmp_path / "file" / "mask.nii.gz")
    with pytest.raises(DataError, match="place to write the table"):
        answer.write_csv(tmp_path / "file" / "slices.csv")
    with pytest.raises(DataError, match="a name that ends in"):
        answer.save_mask(tmp_path / "mask.png")


class Refuses(Scope):
    """Calls a scan T2 if it is shown exactly `count` slices."""

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def judge_scan(self, flair):
        return "looks like T2" if len(flair) == self.count else None


@pytest.mark.parametrize(("slices", "shown"), [(8, 7), (30, 16)])
def test_the_scope_checks_at_most_16_slices_that_show_a_head(
    plain, slices: int, shown: int
) -> None:
    open_to_all, network = plain(image_size=64)
    voxels = np.concatenate([head()[:, :, :1], *[head()[:, :, 5:6]] * (slices - 1)], axis=2)
    scoped = Classifier(network, open_to_all.info, scope=Refuses(shown))
    message = rf"the {shown} slices checked do not look like it \(looks like T2\)"
    with pytest.raises(OutOfScope, match=message) as caught:
        scoped.predict_scan(volume(voxels))
    assert caught.value.reason == "looks like T2"
    scoped = Classifier(network, open_to_all.info, scope=Refuses(shown + 1))
    assert scoped.predict_scan(volume(voxels)).label in ("Tumor", "No Tumor")


@pytest.mark.parametrize(
    ("spacing", "shape", "words"),
    [
        ((0.1, 1.0, 5.0), SHAPE, "about square pixels, found 64 × 48 pixels of 0.1 × 1 mm"),
        ((0.2, 1.0, 5.0), (4000, 3000, 4), "about square pixels"),
        ((1.0, 1.0, 0.1), (8, 8, 1001), "at most 1000 axial slices, found 1001"),
    ],
)
def test_a_scan_with_extreme_header_geometry_is_refused_before_the_network_runs(
    plain, spacing, shape, words
):
    classifier, network = plain()
    with pytest.raises(DataError, match=words):
        classifier.predict_scan(volume(np.zeros(shape, np.int8), spacing))
    assert not network.seen
