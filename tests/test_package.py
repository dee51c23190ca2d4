"""The installed package: its requirements, its contents, and that it works elsewhere."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from brainai import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:  # installed with pytest there
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
EXTRAS = ("train", "serve", "dicom-seg", "parquet", "int8", "dev")


@pytest.fixture(scope="module")
def setup() -> dict:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def lines(name: str) -> list[str]:
    """The lines of a file of requirements, sorted."""
    text = (ROOT / name).read_text()
    return sorted(line for line in text.splitlines() if line and not line.startswith("#"))


def test_the_requirements_equal_those_of_the_package_and_its_extras(setup) -> None:
    project = setup["project"]
    extras = project["optional-dependencies"]
    assert lines("requirements.txt") == sorted(
        [*project["dependencies"], *extras["train"], *extras["serve"]]
    )
    optional = [*extras["dicom-seg"], *extras["parquet"], *extras["int8"]]
    dev = {*extras["dev"], *optional} - {"brainai[dicom-seg,parquet,int8]"}
    assert lines("requirements-dev.txt") == sorted(["-r requirements.txt", *dev])
    assert tuple(extras) == EXTRAS


def test_the_readme_lists_every_extra() -> None:
    table = (ROOT / "README.md").read_text().partition("| extra | adds |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == EXTRAS


def test_every_asset_is_part_of_the_package(setup) -> None:
    patterns = setup["tool"]["setuptools"]["package-data"]
    found = {
        path
        for package, names in patterns.items()
        for name in names
        for path in ROOT.joinpath(*package.split(".")).glob(name)
    }
    assert found == {path for path in (ROOT / "brainai").rglob("*") if is_asset(path)}


def is_asset(path: Path) -> bool:
    """Whether a file is not a module: of another kind, or in a folder that is not a package."""
    module = path.suffix == ".py" and (path.parent / "__init__.py").exists()
    return path.is_file() and path.suffix != ".pyc" and not module


def test_github_tests_every_python_that_the_package_supports(setup) -> None:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    tested = flow["jobs"]["quick"]["strategy"]["matrix"]["python"]
    assert tested == ["3.10", "3.11", "3.12", "3.13"]
    admitted = SpecifierSet(setup["project"]["requires-python"])
    assert all(python in admitted for python in tested)
    assert "3.9" not in admitted


def test_the_space_is_mirrored_from_the_output_of_the_command_only() -> None:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "space.yml").read_text())
    steps = flow["jobs"]["mirror"]["steps"]
    written = next(step["run"] for step in steps if "brainai space" in step.get("run", ""))
    mirror = next(step for step in steps if "hub-sync" in step.get("uses", ""))
    assert written.endswith(f" --out {mirror['with']['subdirectory']}")
    assert mirror["with"]["private"] == "true"


def test_issue_forms_have_required_fields_and_warn_against_scans() -> None:
    for name in ("bug", "answer"):
        form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
        assert {"name", "description", "body"} <= set(form)
        assert "no scan of a person" in form["body"][0]["attributes"]["value"]
        assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_the_container_runs_unprivileged_and_receives_every_file_it_copies() -> None:
    steps = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines() if line]
    order = [step[0] for step in steps if step[0] in ("USER", "CMD")]
    assert order == ["USER", "CMD"]
    assert next(step[1] for step in steps if step[0] == "USER") not in ("root", "0")
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    for step in (step for step in steps if step[0] == "COPY"):
        for name in step[1:-1]:
            assert (ROOT / name).exists(), name
            assert any(fnmatch(name, pattern) for pattern in sent), name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "brainai", source / "brainai")
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*build, str(out), str(source)], check=True, timeout=300)
    return next(out.glob("brainai-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_code_and_assets_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "brainai").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == ours


@pytest.mark.slow
def test_the_installed_package_judges_a_slice_outside_the_repository(
    wheel: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    own = next((tmp_path / "env").glob("lib/python3*/site-packages"))
    own.joinpath("packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    programs = tmp_path / "env" / "bin"
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, timeout=300)
    shutil.copy(ROOT / "examples" / "tumor_frontal.png", tmp_path)

    def said(*call: str) -> str:
        done = subprocess.run(
            [programs / call[0], *call[1:]],
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path) in said("python", "-c", "import brainai; print(brainai.__file__)")
    assert said("brainai", "--help").startswith("usage: brainai COMMAND")
    weights = str(ROOT / "weights")
    answer = json.loads(
        said("brainai", "predict", "--flair", "tumor_frontal.png", "--model", weights, "--json")
    )
    assert answer["label"] == "Tumor"
