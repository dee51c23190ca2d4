"""What a program needs of this repository: its modules, by following the imports, and packages."""

import ast
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def reached_files(root: Path, start: Path, package: str) -> set[Path]:
    """The files of a package that a program imports, one through the other, and what lies beside
    them that is no module, such as style sheets.

    Args:
        root: folder that holds the package.
        start: the program.
    """
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in imported_names(path):
            if name.split(".")[0] == package:
                waiting += [file for file in _files(root, name) if file not in found]
    for folder in [path.parent for path in found if path.name == "__init__.py"]:
        for path in folder.iterdir():
            if path.is_file() and path.suffix != ".py":
                found.add(path)
            elif path.is_dir() and not (path / "__init__.py").exists():  # no package: assets
                found |= {file for file in path.rglob("*") if file.suffix != ".pyc"}
    return {p for p in found if p.is_file() and not p.name.startswith(".")} - {start}


def imported_names(path: Path) -> set[str]:
    """Full names of all that a file imports, modules or what is in them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def needed_requirements(lines: list[str], files: set[Path]) -> list[str]:
    """The lines of a requirements.txt whose packages some files import."""
    code = [path for path in files if path.suffix == ".py"]
    modules = {name.split(".")[0] for path in code for name in imported_names(path)}
    known = packages_distributions()
    packages = {canonicalize_name(d) for module in modules for d in known.get(module, ())}
    return [
        line
        for line in lines
        if line.strip()
        and not line.startswith("#")
        and canonicalize_name(Requirement(line).name) in packages
    ]


def _files(root: Path, name: str) -> list[Path]:
    """The files that importing a full name runs."""
    parts = name.split(".")
    places = [root.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    files = [place / "__init__.py" for place in places] + [places[-1].with_suffix(".py")]
    return [file for file in files if file.is_file()]
