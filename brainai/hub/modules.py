"""What a program needs of this repository: its modules, by following the imports, and packages."""

import ast
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from brainai.errors import ConfigError

DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn"}  # others are called as their module


def reached_modules(root: Path, start: Path, package: str) -> set[Path]:
    """The files of a package that a program imports, one through the other.

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
    return found - {start}


def assets_beside(modules: set[Path]) -> set[Path]:
    """What lies in the packages of modules and is no module, such as style sheets; also in folders
    of them that are no packages."""
    found: set[Path] = set()
    for folder in (path.parent for path in modules if path.name == "__init__.py"):
        for path in folder.iterdir():
            if path.is_file() and path.suffix != ".py":
                found.add(path)
            elif path.is_dir() and not (path / "__init__.py").exists():
                found |= {file for file in path.rglob("*") if file.suffix != ".pyc"}
    return {path for path in found if path.is_file() and not path.name.startswith(".")}


def imported_names(path: Path) -> set[str]:
    """Full names of all that a file needs to import, modules or what is in them; not of what it
    tries to and can do without."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tried = {
        id(node)
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.Try)
        and any("ImportError" in ast.dump(h) for h in attempt.handlers)
        for node in attempt.body
    }
    names = set()
    for node in (node for node in ast.walk(tree) if id(node) not in tried):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def needed_requirements(lines: list[str], files: set[Path], package: str) -> list[str]:
    """The lines of a requirements.txt whose packages some files import.

    Args:
        package: the files' own, which nothing has to be installed for.
    Raises:
        ConfigError: they import what no line asks for.
    """
    modules = {name.split(".")[0] for path in files for name in imported_names(path)}
    modules -= {package, *sys.stdlib_module_names}
    needed = {canonicalize_name(DISTRIBUTIONS.get(module, module)) for module in modules}
    asked = {
        canonicalize_name(Requirement(line).name): line
        for line in lines
        if line.strip() and not line.startswith("#")
    }
    if missing := sorted(needed - set(asked)):
        raise ConfigError(
            f"requirements.txt asks for no {', '.join(missing)}: add a line for each."
        )
    return [line for name, line in asked.items() if name in needed]


def _files(root: Path, name: str) -> list[Path]:
    """The files that importing a full name runs."""
    parts = name.split(".")
    places = [root.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    files = [place / "__init__.py" for place in places] + [places[-1].with_suffix(".py")]
    return [file for file in files if file.is_file()]
