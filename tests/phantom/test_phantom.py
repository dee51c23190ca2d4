"""Phantoms: physics worked by hand, the known mask, determinism, files."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from brainai.data.images import decode
from brainai.data.volumes import read_volume
from brainai.errors import ConfigError, DataError
from brainai.phantom import Phantom, simulate, write_studies
from brainai.phantom.__main__ import main
from brainai.phantom.fields import Field, spline_basis
from brainai.phantom.files import EXAMPLES, write_study
from brainai.phantom.lesion import NEVER, _core, _travel
from brainai.phantom.plaques import Plaques, draw_plaques
from brainai.phantom.signal import (
    INDEX,
    draw_protocol,
    gradient_echo,
    inversion_recovery,
    receive,
    spin_echo,
    tissue_signals,
)
from brainai.phantom.template import _tissue_maps, load_template

SMALL = {"spacing_mm": (4.0, 4.0, 8.0)}
RIGHT_FRONT = {"center_mm": (-26, -28, 24), "radius_mm": 15.0, "style": "ring"}
EXAMPLES_FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def with_lesion() -> Phantom:
    pytest.importorskip("nilearn", reason="phantoms need nilearn (requirements-dev.txt)")
    return simulate(3, **SMALL, **RIGHT_FRONT)


@pytest.fixture(scope="module")
def without_lesion(with_lesion: Phantom) -> Phantom:
    return simulate(3, lesion=False, **SMALL)


@pytest.fixture(scope="module")
def with_skull(with_lesion: Phantom) -> Phantom:
    return simulate(3, lesion=False, skull=True, **SMALL)


def test_spin_echo_has_the_signal_worked_by_hand() -> None:
    # 1 - 1/e = 0.6321, times 1/e = 0.3679, times a density of 0.5
    assert spin_echo(0.5, 1000, 100, tr=1000, te=100) == pytest.approx(0.11627, abs=1e-5)


def test_inversion_recovery_nulls_what_has_the_right_t1() -> None:
    null = 1000 * np.log(2)
    assert inversion_recovery(1.0, 1000, 100, tr=1e6, te=10, ti=null) == pytest.approx(0, abs=1e-9)
    # a magnitude: what has not yet recovered shows bright, 1 - 2 = -1 at TI = 0
    assert inversion_recovery(1.0, 1000, 1e9, tr=1e6, te=10, ti=0) == pytest.approx(1)


def test_gradient_echo_of_90_degrees_is_a_saturation_recovery() -> None:
    assert gradient_echo(1.0, 1000, tr=1000, flip=90) == pytest.approx(1 - np.exp(-1))


@pytest.mark.parametrize("seed", range(20))
def test_contrast_is_that_of_the_sequences_whatever_the_protocol(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signals = tissue_signals(draw_protocol(rng), rng)
    flair, t1c, t2 = ({n: signals[m][i] for n, i in INDEX.items()} for m in ("flair", "t1c", "t2"))
    assert flair["fluid"] < 0.4 * flair["white"] < 0.4 * flair["gray"]
    assert flair["edema"] > 1.1 * flair["gray"]
    assert t2["fluid"] > t2["edema"] > t2["gray"] > t2["white"]
    assert t1c["enhancing"] > 1.2 * t1c["white"] > 1.2 * t1c["gray"] > t1c["fluid"]


@pytest.mark.parametrize("seed", range(20))
def test_t1_takes_up_no_contrast_agent_and_proton_density_lies_near_gray(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signals = tissue_signals(draw_protocol(rng), rng)
    t1, pd = ({name: signals[m][i] for name, i in INDEX.items()} for m in ("t1", "pd"))
    assert t1["white"] > t1["gray"] > 1.1 * t1["fluid"]
    assert t1["enhancing"] < t1["white"]
    assert pd["gray"] > pd["white"]
    assert pd["fluid"] < 1.4 * pd["gray"]


def test_decoys_are_heads_in_t1_t2_and_proton_density(tmp_path, monkeypatch) -> None:
    asked = []

    def draw(seed, **options):
        asked.append((options["lesion"], options["skull"]))
        volumes = {name: np.full((4, 4, 2), 9.0) for name in options["sequences"]}
        return Phantom(volumes, np.zeros((4, 4, 2), np.uint8), options["spacing_mm"])

    monkeypatch.setattr("brainai.phantom.files.simulate", draw)
    assert main(["--decoys", str(tmp_path), "--count", "4"]) == 0
    assert asked == [(True, False), (False, True), (True, True), (False, True)]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[:3] == [f"phantom_0000_{name}.nii.gz" for name in ("pd", "t1", "t2")]
    assert len(names) == 12


def test_noise_in_air_has_the_mean_of_a_rician() -> None:
    noise = receive(np.zeros((400, 400)), sigma=2.0, grain=0.0, rng=np.random.default_rng(0))
    assert noise.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh


def test_grain_leaves_the_size_of_the_noise_as_it_is() -> None:
    rng = np.random.default_rng(0)
    noise = receive(np.full((400, 400), 1000.0), sigma=2.0, grain=0.4, rng=rng)
    assert noise.std() == pytest.approx(2, rel=0.05)


def test_splines_sum_to_one_and_reproduce_straight_lines() -> None:
    positions = np.linspace(0, 50, 11)
    basis = spline_basis(positions, start=-10, step=10, count=8)
    assert basis.sum(1) == pytest.approx(np.ones(11))
    assert basis @ (-10 + 10 * np.arange(8)) == pytest.approx(positions)


def test_field_is_read_between_its_points() -> None:
    field = Field(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.array([10.0, 0, 0]), 2.0)
    points = np.array([[11.0, 10], [0, 2], [0, 100]])
    assert field.at(points) == pytest.approx([2, 3])  # halfway 0 to 4; beyond: the border's 3
    assert field.at(points, outside=-1.0) == pytest.approx([2, -1])


def test_front_travels_at_the_speed_of_the_tissue() -> None:
    cost = np.ones((9, 9, 9), np.float32)
    cost[6:] = 5
    start = np.full(cost.shape, NEVER)
    start[4, 4, 4] = 0
    time = _travel(cost, start)
    assert time[0, 4, 4] == pytest.approx(8)  # four steps of 2 mm
    assert time[2, 2, 2] == pytest.approx(4 * np.sqrt(3), rel=1e-5)
    assert time[7, 4, 4] == pytest.approx(2 + 6 + 10)  # 2 mm at 1, 2 mm at 3, 2 mm at 5


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


def test_tumor_looks_like_one(with_lesion: Phantom, without_lesion: Phantom) -> None:
    flair, t1c = with_lesion.volumes["flair"], with_lesion.volumes["t1c"]
    edema, rim = with_lesion.mask == 2, with_lesion.mask == 4
    brain = without_lesion.volumes["t1c"] > 0
    assert flair[edema].mean() > 1.2 * without_lesion.volumes["flair"][edema].mean()
    assert t1c[rim].mean() > 1.2 * without_lesion.volumes["t1c"][brain].mean()


def test_plaques_are_bright_many_small_and_no_tumor(without_lesion: Phantom) -> None:
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


def test_a_plaque_is_as_long_and_as_wide_as_it_says() -> None:
    one = Plaques(np.zeros((1, 3)), np.array([[0.0, 1, 0]]), np.array([2.0]), np.array([2.0]))
    points = np.array([[0, 1.3, 2.7, 0, 0], [0, 0, 0, 3.3, 4.7], [0] * 5], np.float32)
    assert (one.at(points) > 0.5).tolist() == [True, True, False, True, False]


def test_stripped_brain_lies_in_exact_zeros(with_lesion: Phantom, with_skull: Phantom) -> None:
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


@pytest.mark.parametrize(
    "geometry", [{"spacing_mm": (0, 1, 1)}, {"fov_mm": 1}, {"range_mm": (10, 0)}]
)
def test_impossible_geometry_is_refused(geometry: dict) -> None:
    with pytest.raises(ConfigError, match="needs voxels"):
        simulate(0, **({"spacing_mm": (4, 4, 8)} | geometry))


def test_a_small_tumor_of_which_the_first_draw_leaves_nothing_is_in_the_study(with_lesion) -> None:
    seed = int(np.random.SeedSequence([2026, 4]).generate_state(1)[0])  # its tumor starts at 52 mm
    study = simulate(seed, spacing_mm=(2.0, 2.0, 4.0), range_mm=(40.0, 64.0))
    assert np.count_nonzero(study.mask) * 16 > 500  # mm³
    assert (study.volumes["flair"][study.mask > 0] > 0).all()  # within the brain


def test_a_core_that_does_not_grow_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("brainai.phantom.lesion._draw_core", lambda *_: np.full((9, 9, 9), -1.0))
    with pytest.raises(ConfigError, match=r"found \(1\.0, 2\.0, 3\.0\) and 5\."):
        _core(None, None, np.array([1.0, 2.0, 3.0]), 5.0, None)


def test_studies_have_the_names_of_brats_and_lie_in_lps(
    tmp_path: Path, with_lesion: Phantom
) -> None:
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


def test_without_nilearn_the_message_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nilearn", None)
    with pytest.raises(DataError, match=r"nilearn is not installed.*requirements-dev\.txt"):
        _tissue_maps()


def test_command_line_says_in_one_line_what_is_not_installed(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "from brainai.phantom.__main__ import main\n"
        f"sys.exit(main(['--out', {str(tmp_path)!r}]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1 and "pip install -r requirements-dev.txt" in run.stderr


def test_command_line_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--out", str(tmp_path / "out"), "--count", "1", "--spacing", "1", "1", "0"])
    assert status == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("A phantom needs voxels")


def test_examples_are_complete_small_and_readable() -> None:
    pictures = sorted(EXAMPLES_FOLDER.glob("*.png"))
    assert [path.stem for path in pictures] == sorted(example.name for example in EXAMPLES)
    assert sum(path.name.startswith("tumor_") for path in pictures) == 4
    for path in pictures:
        assert decode(path).shape == (256, 256)
    scan = read_volume(EXAMPLES_FOLDER / "tumor_scan_flair.nii.gz")
    assert scan.voxels.ndim == 3
    sources = (EXAMPLES_FOLDER / "SOURCES.md").read_text()
    assert "simulated" in sources and all(path.name in sources for path in pictures)
    files = [path for path in EXAMPLES_FOLDER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
