"""Which package may import which, and which library belongs to which package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from modules import MODULES, ROOT, imports, name

ALLOWED = {
    "gradio": ("brainai/web/",),
    "accelerate": ("brainai/training/", "brainai/inference/cohort/"),
    "pyarrow": ("brainai/inference/cohort/tables.py",),
    "huggingface_hub": ("brainai/hub/", "brainai/model/fetch.py", "brainai/model/hub_errors.py"),
    "timm": ("brainai/model/",),
    "nibabel": ("brainai/data/", "brainai/phantom/"),
    "jinja2": ("brainai/markup.py",),
    "markupsafe": ("brainai/markup.py",),
    "SimpleITK": ("brainai/data/volumes.py", "brainai/data/dicom"),  # and dicom_headers.py
}
# The order of the packages: each may import itself and those before it, so there are no cycles. The
# modules of `brainai/` itself (errors, console, command_line, markup) come first.
ORDER = ("data", "phantom", "model", "evaluation", "inference", "hub", "training", "web")
LEVEL = {package: level for level, package in enumerate(ORDER, start=1)}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_libraries_are_imported_only_where_they_belong(path: Path) -> None:
    for module in imports(path):
        places = ALLOWED.get(module.split(".")[0])
        assert places is None or name(path).startswith(places), f"{name(path)} imports {module}"


def packages_imported(path: Path) -> set[str]:
    """The packages of `brainai` that a file imports from."""
    parts = [module.split(".") for module in imports(path)]
    return {part[1] for part in parts if part[0] == "brainai" and len(part) > 1} & set(ORDER)


def package_of(path: Path) -> str | None:
    """The package of `brainai` that a file belongs to; None for the modules beside them."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "brainai" and len(parts) > 2 else None


def test_the_order_names_every_package() -> None:
    assert sorted(ORDER) == sorted(path.parent.name for path in ROOT.glob("brainai/*/__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_package_imports_a_later_one(path: Path) -> None:
    if name(path) in ("app.py", "train.py", "brainai/__init__.py"):  # import from anywhere
        return
    level = LEVEL.get(package_of(path) or "", 0)
    wrong = [package for package in packages_imported(path) if LEVEL[package] > level]
    assert wrong == [], f"{name(path)} imports {wrong}"


def test_architecture_states_the_same_order() -> None:
    order = " → ".join(f"`{package}`" for package in ORDER)
    assert order in " ".join((ROOT / "ARCHITECTURE.md").read_text().split())


def undocumented(body: list[ast.stmt]) -> list[str]:
    """Public functions, classes and methods without a docstring."""
    found = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            found += [] if ast.get_docstring(node) else [node.name]
            found += undocumented(node.body) if isinstance(node, ast.ClassDef) else []
    return found


@pytest.mark.parametrize(
    "path", [path for path in MODULES if package_of(path) in ("data", "phantom")], ids=name
)
def test_public_names_of_data_and_phantom_have_docstrings(path: Path) -> None:
    assert undocumented(ast.parse(path.read_text()).body) == []


@pytest.mark.slow
def test_records_preparation_and_metrics_need_no_torch() -> None:
    modules = "brainai, brainai.data.dataset, brainai.data.prepare, brainai.evaluation.metrics"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
