"""Simulated studies: determinism, the known mask, anatomy and contrast."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from brainai.data.volumes import read_volume
from brainai.phantom.files import write_studies, write_study
from brainai.phantom.plaques import draw_plaques
from brainai.phantom.study import Phantom, simulate
from brainai.phantom.template import load_template

SMALL = {"spacing_mm": (4.0, 4.0, 8.0)}
RIGHT_FRONT = {"center_mm": (-26, -28, 24), "radius_mm": 15.0, "style": "ring"}
pytestmark = pytest.mark.slow  # a study takes seconds


@pytest.fixture(scope="module")
def with_lesion() -> Phantom:
    pytest.importorskip("nilearn", reason="phantoms need nilearn")
    return simulate(3, **SMALL, **RIGHT_FRONT)


@pytest.fixture(scope="module")
def without_lesion(with_lesion: Phantom) -> Phantom:
    return simulate(3, lesion=False, **SMALL)


@pytest.fixture(scope="module")
def with_skull(with_lesion: Phantom) -> Phantom:
    return simulate(3, lesion=False, skull=True, **SMALL)


def test_same_seed_gives_the_same_study(with_lesion: Phantom) -> None:
    again = simulate(3, **SMALL, **RIGHT_FRONT)
    assert np.array_equal(again.mask, with_lesion.mask)
    for name, voxels in with_lesion.volumes.items():
        assert np.array_equal(again.volumes[name], voxels)


def test_study_has_three_sequences_on_one_grid(with_lesion: Phantom) -> None:
    assert list(with_lesion.volumes) == ["flair", "t1c", "t2"]
    for voxels in with_lesion.volumes.values():
        assert voxels.shape == (60, 60, 18) and voxels.dtype == np.float32
    assert with_lesion.mask.shape == (60, 60, 18) and with_lesion.mask.dtype == np.uint8
    assert with_lesion.spacing_mm == (4.0, 4.0, 8.0)


def test_only_a_study_with_a_lesion_has_a_mask(
    with_lesion: Phantom, without_lesion: Phantom
) -> None:
    assert not without_lesion.mask.any()
    assert set(np.unique(with_lesion.mask)) == {0, 1, 2, 4}


def test_tumor_lies_where_it_was_placed_in_lps(with_lesion: Phantom) -> None:
    x, y, z = np.argwhere(with_lesion.mask > 0).mean(0)
    assert x < 27  # the patient's right
    assert y < 27  # the front
    assert 9 < z < 14  # above the middle, below the vertex


def test_the_tumor_has_bright_edema_and_an_enhancing_rim(
    with_lesion: Phantom, without_lesion: Phantom
) -> None:
    flair, t1c = with_lesion.volumes["flair"], with_lesion.volumes["t1c"]
    edema, rim = with_lesion.mask == 2, with_lesion.mask == 4
    brain = without_lesion.volumes["t1c"] > 0
    assert flair[edema].mean() > 1.2 * without_lesion.volumes["flair"][edema].mean()
    assert t1c[rim].mean() > 1.2 * without_lesion.volumes["t1c"][brain].mean()


def test_plaques_are_bright_many_and_small_and_not_in_the_tumor_mask(
    without_lesion: Phantom,
) -> None:
    plaques = simulate(3, lesion=False, plaques=True, spacing_mm=(3.0, 3.0, 3.0))
    plain = simulate(3, lesion=False, spacing_mm=(3.0, 3.0, 3.0))
    assert not plaques.mask.any()
    brain = plain.volumes["flair"] > 0
    white = np.median(plain.volumes["flair"][brain])
    brighter = plaques.volumes["flair"] - plain.volumes["flair"] > 0.3 * white
    labels, count = ndimage.label(brighter)
    assert count >= 6
    largest_ml = np.bincount(labels.ravel())[1:].max() * 27 / 1000
    assert largest_ml < 3
    assert np.array_equal(plaques.volumes["flair"] > 0, brain)  # the same person


@pytest.mark.parametrize("seed", range(3))
def test_most_plaques_point_away_from_the_ventricles(with_lesion: Phantom, seed: int) -> None:
    template = load_template()
    plaques = draw_plaques(template, np.random.default_rng(seed))
    centers = plaques.centers.T.astype(np.float32)
    at_wall = template.ventricles.at(centers) < 9.5
    assert at_wall.mean() > 0.4
    assert np.linalg.norm(plaques.axes, axis=1) == pytest.approx(np.ones(len(plaques.axes)))
    # One step of 1 mm along the axis leads away from the ventricles, as far as a step can.
    step = (plaques.centers + plaques.axes).T.astype(np.float32)
    away = template.ventricles.at(step) - template.ventricles.at(centers)
    assert np.median(away[at_wall]) > 0.6


def test_a_stripped_brain_is_surrounded_by_exact_zeros(
    with_lesion: Phantom, with_skull: Phantom
) -> None:
    flair, whole = with_lesion.volumes["flair"], with_skull.volumes["flair"]
    assert (flair == 0).mean() > 0.5
    assert not flair[0].any() and not flair[:, -1].any()
    assert not with_lesion.mask[flair == 0].any()
    assert (whole > 0).all()  # the noise of the air


def test_scalp_surrounds_the_brain(without_lesion: Phantom, with_skull: Phantom) -> None:
    level = 10
    brain = without_lesion.volumes["flair"][:, :, level] > 0
    head = with_skull.volumes["flair"][:, :, level] > 0.4 * np.median(
        with_skull.volumes["flair"][:, :, level][brain]
    )
    for profile, inner in ((head.any(1), brain.any(1)), (head.any(0), brain.any(0))):
        head_ends, brain_ends = np.flatnonzero(profile)[[0, -1]], np.flatnonzero(inner)[[0, -1]]
        assert head_ends[0] < brain_ends[0] and head_ends[1] > brain_ends[1]


def test_a_small_tumor_that_vanishes_in_the_first_draw_is_drawn_again(with_lesion) -> None:
    seed = int(np.random.SeedSequence([2026, 4]).generate_state(1)[0])  # its tumor starts at 52 mm
    study = simulate(seed, spacing_mm=(2.0, 2.0, 4.0), range_mm=(40.0, 64.0))
    assert np.count_nonzero(study.mask) * 16 > 500  # mm³
    assert (study.volumes["flair"][study.mask > 0] > 0).all()  # within the brain


def test_studies_have_brats_names_and_lps_orientation(tmp_path: Path, with_lesion: Phantom) -> None:
    (tmp_path / ".phantom_0000.partial").mkdir()
    (tmp_path / ".phantom_0000.partial" / "broken_off.nii.gz").write_bytes(b"")
    folder = write_study(tmp_path / "phantom_0000", with_lesion)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "phantom_0000",
        "phantom_0000_flair.nii.gz",
        "phantom_0000_seg.nii.gz",
        "phantom_0000_t1ce.nii.gz",
        "phantom_0000_t2.nii.gz",
    ]
    seg = read_volume(folder / "phantom_0000_seg.nii.gz")
    flair = read_volume(folder / "phantom_0000_flair.nii.gz")
    assert np.array_equal(seg.voxels, with_lesion.mask)
    assert np.array_equal(flair.voxels, np.rint(with_lesion.volumes["flair"]))
    assert flair.spacing_mm == pytest.approx((4, 4, 8))
    assert flair.has_grid_of(seg)


def test_studies_alternate_lesion_and_skull(tmp_path: Path, with_lesion: Phantom) -> None:
    folders = write_studies(tmp_path, 4, seed=5, spacing_mm=(6.0, 6.0, 12.0))
    flair = [read_volume(f / f"{f.name}_flair.nii.gz").voxels for f in folders]
    seg = [read_volume(f / f"{f.name}_seg.nii.gz").voxels for f in folders]
    assert [bool(mask.any()) for mask in seg] == [True, False, True, False]
    assert [bool((voxels == 0).mean() > 0.4) for voxels in flair] == [True, True, False, False]
    assert not any(a.shape == b.shape and np.array_equal(a, b) for a, b in pairwise(flair))
