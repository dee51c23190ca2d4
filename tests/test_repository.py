"""Rules that hold for the repository as a whole."""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import timm
import torch
from modules import MODULES, ROOT, imports, name
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from benchmarks import reliability
from brainai import __version__
from brainai.hub.card import CHARTS, model_card
from brainai.hub.terms import NON_COMMERCIAL
from brainai.inference.classifier import Classifier
from brainai.model.folder import load_model, read_model_info
from brainai.training.config import PRESETS


def front_matter() -> dict[str, str]:
    """The README's keys for the Space."""
    text = (ROOT / "README.md").read_text().split("---")[1]
    return dict(line.split(": ", 1) for line in text.strip().splitlines())


def requirements() -> dict[str, SpecifierSet]:
    """The requirements in requirements.txt, by package name."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {one.name: one.specifier for one in found}


def test_the_space_starts_this_app_with_a_gradio_the_requirements_allow() -> None:
    space = front_matter()
    assert space["sdk"] == "gradio"
    assert (ROOT / space["app_file"]).is_file()
    assert space["sdk_version"] in requirements()["gradio"]
    assert len(space["short_description"]) <= 60  # the Hub refuses longer ones


def test_the_space_has_a_python_that_zero_gpu_and_the_package_support() -> None:
    python = front_matter()["python_version"].strip('"')
    assert python in ("3.10", "3.12")  # of ZeroGPU in 2026; others run only on CPUs
    project = (ROOT / "pyproject.toml").read_text()
    assert python in SpecifierSet(re.search(r'requires-python = "(.+)"', project)[1])


@pytest.mark.parametrize("release", ["2.9.1", "2.10.0", "2.11.0", torch.__version__.split("+")[0]])
def test_the_requirements_allow_the_torch_of_zero_gpu_and_the_installed_one(release: str) -> None:
    assert release in requirements()["torch"]


def test_installed_packages_satisfy_the_requirements() -> None:
    for package, wanted in requirements().items():
        assert version(package) in wanted, package


def test_every_imported_package_is_required() -> None:
    """A Space installs requirements.txt and nothing else."""
    # come with gradio, huggingface_hub, ZeroGPU and jinja2
    with_others = {"gradio_client", "yaml", "spaces", "markupsafe"}
    optional = {"nilearn", "highdicom", "pydicom", "pyarrow"}  # of the extras
    found = {module.split(".")[0] for path in MODULES for module in imports(path)}
    found -= {"brainai", *sys.stdlib_module_names, *with_others, *optional}
    called = {"PIL": "pillow", "sklearn": "scikit-learn"}
    assert {called.get(module, module) for module in found} <= set(requirements())


def test_package_and_project_have_the_same_version() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.+)"', project, re.MULTILINE)[1] == __version__


def test_the_readme_has_two_set_up_commands_and_ci_runs_the_second() -> None:
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if "-m venv" in line]
    assert len(lines) == 2
    assert lines[0].endswith("app.py")
    assert lines[1].endswith("-m pytest")
    assert "-m pytest$" in (ROOT / ".ci" / "run").read_text()


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "weights" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *DECISIONS,
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_file_that_the_documents_link_to_exists(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", [ROOT / "ARCHITECTURE.md", *DECISIONS], ids=name)
def test_every_module_named_in_architecture_and_decisions_exists(document: Path) -> None:
    named = re.findall(r"`(\w[\w/]*/[\w/]*(?:\.(?:py|md|json))?)`", document.read_text())
    places = (ROOT, ROOT / "brainai")
    assert [path for path in named if not any((place / path).exists() for place in places)] == []


def test_the_index_of_decisions_names_every_record_once() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    records = [path.name for path in DECISIONS if path.name != "README.md"]
    assert sorted(re.findall(r"\]\((\d{4}-[^)]+)\)", index)) == records
    assert [int(record[:4]) for record in records] == list(range(1, len(records) + 1))


def test_every_dependency_has_a_reason() -> None:
    table = (ROOT / "docs" / "decisions" / "0036-dependencies.md").read_text().lower()
    lines = [line.split("#")[0] for line in (ROOT / "requirements-dev.txt").read_text().split("\n")]
    wanted = {Requirement(line).name for line in lines if line and not line.startswith("-r")}
    assert [package for package in {*wanted, *requirements()} if package.lower() not in table] == []


def test_every_test_file_named_in_security_md_exists() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_example_has_its_source() -> None:
    sources = (ROOT / "examples" / "SOURCES.md").read_text()
    for path in (ROOT / "examples").iterdir():
        assert path.suffix in (".md", ".ipynb") or path.name in sources, path.name


def figures() -> str:
    """The figures of the model card, which are also in the README."""
    card = (ROOT / "weights" / "README.md").read_text()
    return card.split("## Evaluation on held-out patients\n\n")[1].split("\n\nThese figures")[0]


def test_the_figures_of_readme_and_card_equal_the_report() -> None:
    report = json.loads((ROOT / "weights" / "report.json").read_text())
    card = (ROOT / "weights" / "README.md").read_text()
    assert figures() in (ROOT / "README.md").read_text()
    charts = [name for name in CHARTS if (ROOT / "weights" / "figures" / name).exists()]
    assert len(charts) == 5  # of an evaluation: only a training has learning curves
    assert card == model_card(read_model_info(ROOT / "weights"), report, charts)


def test_the_reliability_page_matches_the_results() -> None:
    results = reliability.read_results()
    assert reliability.page(*results) == (ROOT / "docs" / "reliability.md").read_text()
    assert (ROOT / "docs" / "reliability" / "soak.png").is_file()


def test_the_readme_contains_no_other_figures() -> None:
    """No decimals of two digits or more outside generated text and code."""
    text = (ROOT / "README.md").read_text().replace(figures(), "")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert re.findall(r"\b0\.\d{2,}\b|\d+(?:\.\d+)? ?%", text) == []


def texts() -> dict[str, str]:
    """What people or programs read: documents, cards, code and the JSON of the weights."""
    paths = [*MODULES, *(ROOT / "docs").rglob("*.json"), *(ROOT / "weights").glob("*.json")]
    paths += [path for place in ("", "docs", "weights") for path in (ROOT / place).glob("*.md")]
    paths += (ROOT / "brainai").rglob("*.md")
    return {name(path): " ".join(path.read_text().split()) for path in paths}


def test_no_text_calls_validation_patients_held_out() -> None:
    """The threshold was chosen on them."""
    for place, text in texts().items():
        found = re.findall(r"[Ss]ensitivity of at least[^;|]{0,50}held.out", text)
        assert not found, f"{place}: {found}"


def test_answers_and_documents_state_the_outcome_of_the_operating_point_on_test() -> None:
    found = json.loads((ROOT / "weights" / "report.json").read_text())["all"]["figures"]
    value, low, high = (round(100 * found["dice"][k]) for k in ("value", "low", "high"))
    words = (
        "best Dice (F1) on validation patients, specificity of at least 97 % in those without a "
        f"tumor; Dice {value} % ({low} to {high}) on test patients"
    )
    assert Classifier.load(ROOT / "weights", device="cpu").info.operating_point == words
    for document in ("README.md", "weights/README.md", "docs/api.md"):
        assert words in texts()[document], document


def test_the_documents_show_the_actual_answer_for_an_example() -> None:
    """Other precisions than bfloat16 give another third decimal."""
    classifier = Classifier.load(ROOT / "weights", device="cpu")
    answer = classifier.predict(ROOT / "examples" / "tumor_frontal.png")
    label, probability = re.search(
        r'# "(\w+)", (0\.\d+); or', (ROOT / "README.md").read_text()
    ).groups()
    assert (label, float(probability)) == (
        answer.label,
        pytest.approx(answer.probability, abs=0.02),
    )
    page = (ROOT / "docs" / "api.md").read_text()
    shown = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])
    assert shown["probability"] == pytest.approx(answer.probability, abs=0.02)
    assert shown["area_cm2"] == pytest.approx(answer.area_cm2(0.9), rel=0.05)
    info = classifier.info
    assert (shown["threshold"], shown["model"]["revision"]) == (info.threshold, info.revision)


def test_readme_and_card_state_the_non_commercial_terms_of_a_source() -> None:
    for document in ("README.md", "weights/README.md"):
        assert NON_COMMERCIAL in texts()[document]


def test_every_preset_states_where_it_was_run() -> None:
    page = (ROOT / "docs" / "experiments.md").read_text()
    section = page.split("## Where each preset was run")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(PRESETS)


def test_the_experiments_name_the_revision_of_the_weights() -> None:
    assert read_model_info(ROOT / "weights").revision in texts()["docs/experiments.md"]


def test_the_committed_weights_match_their_report_and_timm() -> None:
    network, info = load_model(ROOT / "weights")
    report = json.loads((ROOT / "weights" / "report.json").read_text())
    assert report["about"]["model_revision"] == info.revision
    images = torch.zeros(1, 3, info.image_size, info.image_size)
    alone = timm.create_model(f"local-dir:{ROOT / 'weights'}", pretrained=True).eval()
    with torch.inference_mode():
        assert torch.equal(network(images).logits, alone(images))
