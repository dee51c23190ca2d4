"""Phantoms: physics worked out by hand, files, and the output of the command line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from faults import listing, small_files

from brainai.data.images import decode
from brainai.data.volumes import read_volume
from brainai.errors import ConfigError, DataError
from brainai.phantom.__main__ import main
from brainai.phantom.fields import Field, spline_basis
from brainai.phantom.files import EXAMPLES
from brainai.phantom.lesion import NEVER, _core, _travel, grow
from brainai.phantom.plaques import Plaques
from brainai.phantom.signal import (
    INDEX,
    draw_protocol,
    gradient_echo,
    inversion_recovery,
    receive,
    spin_echo,
    tissue_signals,
)
from brainai.phantom.study import Phantom, simulate
from brainai.phantom.template import Template, _tissue_maps

EXAMPLES_FOLDER = Path(__file__).parents[2] / "examples"


def test_spin_echo_has_the_signal_worked_out_by_hand() -> None:
    # 1 - 1/e = 0.6321, times 1/e = 0.3679, times a density of 0.5
    assert spin_echo(0.5, 1000, 100, tr=1000, te=100) == pytest.approx(0.11627, abs=1e-5)


def test_inversion_recovery_nulls_the_matching_t1() -> None:
    null = 1000 * np.log(2)
    assert inversion_recovery(1.0, 1000, 100, tr=1e6, te=10, ti=null) == pytest.approx(0, abs=1e-9)
    # a magnitude: tissue that has not yet recovered is bright, 1 - 2 = -1 at TI = 0
    assert inversion_recovery(1.0, 1000, 1e9, tr=1e6, te=10, ti=0) == pytest.approx(1)


def test_gradient_echo_of_90_degrees_is_a_saturation_recovery() -> None:
    assert gradient_echo(1.0, 1000, tr=1000, flip=90) == pytest.approx(1 - np.exp(-1))


@pytest.mark.parametrize("seed", range(20))
def test_every_protocol_gives_the_typical_contrast_of_its_sequences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signals = tissue_signals(draw_protocol(rng), rng)
    flair, t1c, t2 = ({n: signals[m][i] for n, i in INDEX.items()} for m in ("flair", "t1c", "t2"))
    assert flair["fluid"] < 0.4 * flair["white"] < 0.4 * flair["gray"]
    assert flair["edema"] > 1.1 * flair["gray"]
    assert t2["fluid"] > t2["edema"] > t2["gray"] > t2["white"]
    assert t1c["enhancing"] > 1.2 * t1c["white"] > 1.2 * t1c["gray"] > t1c["fluid"]


@pytest.mark.parametrize("seed", range(20))
def test_t1_shows_no_enhancement_and_proton_density_has_little_contrast(seed: int) -> None:
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


@pytest.fixture
def quick_simulation(monkeypatch) -> None:
    """Let `simulate` return a study of noise, 32 voxels long and wide, at once."""

    def simulate(seed: int, sequences=("flair",), spacing_mm=(1, 1, 1), **_: object) -> Phantom:
        noise = np.random.default_rng(seed).uniform(0, 999, (32, 32, 4))
        return Phantom(dict.fromkeys(sequences, noise), noise > 500, spacing_mm)

    monkeypatch.setattr("brainai.phantom.files.simulate", simulate)


@pytest.mark.usefixtures("quick_simulation")
@pytest.mark.parametrize("option", ["--decoys", "--examples"])
@pytest.mark.parametrize("limit", [200, 2000])
def test_on_a_full_disk_old_files_stay_whole_and_the_advice_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, limit: int
) -> None:
    """A picture needs about 1100 bytes, a scan about 5000."""
    assert main([option, str(tmp_path), "--count", "1"]) == 0
    before = listing(tmp_path)
    capsys.readouterr()
    with small_files(limit):
        assert main([option, str(tmp_path), "--count", "1"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(str(tmp_path)) and "cannot be written" in last and "ulimit" in last
    assert listing(tmp_path) == before


@pytest.mark.parametrize("option", ["--decoys", "--examples"])
@pytest.mark.usefixtures("quick_simulation")
def test_a_folder_that_cannot_be_made_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    (tmp_path / "file").touch()
    assert main([option, str(tmp_path / "file" / "out"), "--count", "1"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cannot be written or read (Not a directory)" in last


def test_noise_in_air_has_the_mean_of_a_rician() -> None:
    noise = receive(np.zeros((400, 400)), sigma=2.0, grain=0.0, rng=np.random.default_rng(0))
    assert noise.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh


def test_grain_does_not_change_the_size_of_the_noise() -> None:
    rng = np.random.default_rng(0)
    noise = receive(np.full((400, 400), 1000.0), sigma=2.0, grain=0.4, rng=rng)
    assert noise.std() == pytest.approx(2, rel=0.05)


def test_splines_sum_to_one_and_reproduce_straight_lines() -> None:
    positions = np.linspace(0, 50, 11)
    basis = spline_basis(positions, start=-10, step=10, count=8)
    assert basis.sum(1) == pytest.approx(np.ones(11))
    assert basis @ (-10 + 10 * np.arange(8)) == pytest.approx(positions)


def test_a_field_is_interpolated_between_its_points() -> None:
    field = Field(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.array([10.0, 0, 0]), 2.0)
    points = np.array([[11.0, 10], [0, 2], [0, 100]])
    assert field.at(points) == pytest.approx([2, 3])  # halfway 0 to 4; beyond: the border's 3
    assert field.at(points, outside=-1.0) == pytest.approx([2, -1])


def test_the_front_travels_at_the_speed_of_the_tissue() -> None:
    cost = np.ones((9, 9, 9), np.float32)
    cost[6:] = 5
    start = np.full(cost.shape, NEVER)
    start[4, 4, 4] = 0
    time = _travel(cost, start)
    assert time[0, 4, 4] == pytest.approx(8)  # four steps of 2 mm
    assert time[2, 2, 2] == pytest.approx(4 * np.sqrt(3), rel=1e-5)
    assert time[7, 4, 4] == pytest.approx(2 + 6 + 10)  # 2 mm at 1, 2 mm at 3, 2 mm at 5


def test_a_plaque_has_the_given_length_and_width() -> None:
    one = Plaques(np.zeros((1, 3)), np.array([[0.0, 1, 0]]), np.array([2.0]), np.array([2.0]))
    points = np.array([[0, 1.3, 2.7, 0, 0], [0, 0, 0, 3.3, 4.7], [0] * 5], np.float32)
    assert (one.at(points) > 0.5).tolist() == [True, True, False, True, False]


@pytest.mark.parametrize(
    "geometry", [{"spacing_mm": (0, 1, 1)}, {"fov_mm": 1}, {"range_mm": (10, 0)}]
)
def test_impossible_geometry_is_refused(geometry: dict) -> None:
    with pytest.raises(ConfigError, match="needs voxels"):
        simulate(0, **({"spacing_mm": (4, 4, 8)} | geometry))


def test_a_core_that_does_not_grow_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("brainai.phantom.lesion._draw_core", lambda *_: np.full((9, 9, 9), -1.0))
    with pytest.raises(ConfigError, match=r"found \(1\.0, 2\.0, 3\.0\) and 5\."):
        _core(None, None, np.array([1.0, 2.0, 3.0]), 5.0, None)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ConfigError, match="ring, solid, patchy, none, found 'rim'"):
        grow(None, None, style="rim")


def test_a_radius_of_zero_is_refused_and_not_drawn_instead(monkeypatch) -> None:
    """Everything is white matter, 20 mm deep: a core of any radius that is drawn would grow."""
    everywhere = Field(np.ones((9, 9, 9), np.float32), np.full(3, -80.0), 20.0)
    deep = everywhere.with_values(-20 * everywhere.values)
    template = Template(everywhere, everywhere, deep, deep, deep, (deep, deep, deep))
    with pytest.raises(ConfigError, match="and 0\\."):
        grow(template, np.random.default_rng(0), (0.0, 0.0, 0.0), "ring", 0.0)


def test_without_nilearn_the_message_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nilearn", None)
    with pytest.raises(DataError, match=r"nilearn, which is not installed.*pip install nilearn$"):
        _tissue_maps()


def test_the_command_line_reports_an_error_in_one_line(
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
