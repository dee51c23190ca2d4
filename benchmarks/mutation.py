"""Measure the fraction of mutants that the fast tests kill in the modules that decide figures.

    pip install mutmut==3.8.1
    python -m benchmarks.mutation [--commit HEAD] [--count 150] [--work FOLDER]

mutmut changes one expression at a time in a clone of the repository, and runs the tests that call
the changed function. Mutants that change only texts or the look of figures are left out. The sample
holds those mutants of each module whose change has the lowest hash, so that the samples of two
commits share the mutants that both have.
"""

import argparse
import ast
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SETTINGS = """[mutmut]
source_paths = brainai
only_mutate =
    brainai/training/*.py
    brainai/evaluation/*.py
    brainai/model/answer.py
    brainai/data/images.py
    brainai/data/augment.py
do_not_mutate =
    brainai/evaluation/text.py
    brainai/evaluation/sections.py
    brainai/evaluation/figures.py
    brainai/evaluation/cohort_figures.py
also_copy =
    conftest.py
    train.py
    app.py
    weights
pytest_add_cli_args =
    -m
    not slow and not browser and not distributed
    --numprocesses=0
    --deselect=tests/evaluation/test_command_line.py::test_without_out_nothing_is_written
pytest_add_cli_args_test_selection =
    tests/training
    tests/evaluation
    tests/model
    tests/data/test_images.py
    tests/data/test_augment.py
process_isolation = forkserver
timeout_multiplier = 4
timeout_constant = 30
"""
CHEAP_TESTS_FIRST = """import json
from pathlib import Path

STATS = Path(__file__).with_name("mutmut-stats.json")


def pytest_collection_modifyitems(items):
    if STATS.exists():
        seconds = json.loads(STATS.read_text())["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))
"""
GIT = shutil.which("git") or "git"
# A main module with a file would be imported and run by the worker processes of the tests.
MUTMUT = [sys.executable, "-c", "from mutmut.__main__ import cli; cli(prog_name='mutmut')"]
WORDS = {  # calls whose arguments are shown to people
    "print", "tell", "warn", "tqdm", "trange", "add_argument", "ArgumentParser", "shown_command",
    "set", "legend", "axvline", "semilogx", "subplots", "savefig", "set_title",
}  # fmt: skip
KILLED = (1, 3, 24, 36, 152, 255, -24, -9, -11)  # a test failed, time ran out, or it crashed


def changes(before: ast.AST, after: ast.AST, shown: bool = False) -> Iterator[bool]:
    """Yield for every difference of two functions whether it changes only what people read."""
    shown = shown or isinstance(before, ast.Raise)
    if isinstance(before, ast.Call):
        name = before.func.attr if isinstance(before.func, ast.Attribute) else None
        shown = shown or (name or getattr(before.func, "id", "")) in WORDS
        shown = shown or (name or getattr(before.func, "id", "")).endswith("Error")
    if type(before) is not type(after):
        yield shown
        return
    if isinstance(before, ast.Constant):
        if before.value != after.value:
            sentence = isinstance(before.value, str) and " " in before.value
            yield shown or (sentence and isinstance(after.value, str))
        return
    if isinstance(before, ast.JoinedStr):
        shown = True
    for field in before._fields:
        old, new = getattr(before, field, None), getattr(after, field, None)
        if isinstance(old, list) and isinstance(new, list):
            if len(old) != len(new):
                yield shown
                continue
            for old_item, new_item in zip(old, new, strict=True):
                if isinstance(old_item, ast.AST) and isinstance(new_item, ast.AST):
                    yield from changes(old_item, new_item, shown)
        elif isinstance(old, ast.AST) and isinstance(new, ast.AST):
            yield from changes(old, new, shown)
        elif old != new and field not in ("name", "kind"):
            yield shown


def read_mutants(clone: Path) -> dict[str, dict[str, str]]:
    """Return the mutants of every module that may change behavior, as a diff by name."""
    mutants: dict[str, dict[str, str]] = {}
    for meta in sorted((clone / "mutants").rglob("*.py.meta")):
        names = json.loads(meta.read_text())["exit_code_by_key"]
        if not names:
            continue
        tree = ast.parse(meta.with_suffix("").read_text())
        functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        module = str(meta.with_suffix("").relative_to(clone / "mutants"))
        mutants[module] = {}
        for name in names:
            function = name.rpartition(".")[2]
            original = functions[function.rpartition("_")[0] + "_orig"]
            mutant = functions[function]
            if all(changes(original, mutant)):
                continue
            texts = [ast.unparse(f).splitlines()[1:] for f in (original, mutant)]
            title = function.rpartition("__mutmut_")[0]
            diff = unified_diff(*texts, lineterm="", n=2)
            mutants[module][name] = "\n".join([title, *diff][:14])
    return mutants


def sample(mutants: dict[str, dict[str, str]], count: int) -> dict[str, list[str]]:
    """Draw about `count` names, from each module in proportion to its mutants."""
    rate = count / sum(map(len, mutants.values()))

    def digest(change: str) -> str:
        return hashlib.sha256(change.encode()).hexdigest()

    return {
        module: sorted(diffs, key=lambda name: digest(diffs[name]))[: round(len(diffs) * rate)]
        for module, diffs in mutants.items()
    }


def wilson(killed: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson 1927)."""
    share, z = killed / count, 1.96
    middle = (share + z**2 / 2 / count) / (1 + z**2 / count)
    away = z * math.sqrt(share * (1 - share) / count + (z / 2 / count) ** 2) / (1 + z**2 / count)
    return middle - away, middle + away


def share_fixtures(clone: Path) -> None:
    """Assign the calls of module-scoped fixtures to all tests of their file.

    mutmut assigns them only to the first test that requests the fixture.
    """
    stats = clone / "mutants" / "mutmut-stats.json"
    content = json.loads(stats.read_text())
    shared = defaultdict(set)
    for test in content["duration_by_test"]:
        file = test.partition("::")[0]
        if 'scope="module"' in (clone / file).read_text():
            shared[file].add(test)
    for name, tests in content["tests_by_mangled_function_name"].items():
        more = (shared[test.partition("::")[0]] for test in tests)
        content["tests_by_mangled_function_name"][name] = sorted(set(tests).union(*more))
    stats.write_text(json.dumps(content))


def mutmut(clone: Path, *names: str) -> None:
    """Run mutmut on some mutants."""
    limits = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": ""}
    command = [*MUTMUT, "run", "--max-children", "2", *names]
    with (clone / "mutmut.log").open("a") as log:
        subprocess.run(command, cwd=clone, env=os.environ | limits, stdout=log, stderr=log)


def main() -> None:
    """Clone the repository, create and sample mutants, test them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--count", type=int, default=150, help="mutants in the sample")
    parser.add_argument(
        "--work",
        type=Path,
        help="folder of the clone; an existing one is continued",
    )
    options = parser.parse_args()
    clone = options.work or Path(tempfile.mkdtemp()) / "brainai"
    if not clone.exists():
        subprocess.run([GIT, "clone", "-q", REPOSITORY, clone], check=True)
        commit = subprocess.check_output([GIT, "rev-parse", options.commit], cwd=REPOSITORY)
        subprocess.run([GIT, "checkout", "-q", commit.strip()], cwd=clone, check=True)
    (clone / "setup.cfg").write_text(SETTINGS)
    (clone / "conftest.py").write_text(CHEAP_TESTS_FIRST)
    if not (clone / "mutants" / "mutmut-stats.json").exists():
        mutmut(clone, "none")  # creates the mutants, and records which tests call which function
        if not (clone / "mutants" / "mutmut-stats.json").exists():
            sys.exit(f"mutmut ended early: see {clone / 'mutmut.log'}.")
        share_fixtures(clone)
    mutants = read_mutants(clone)
    drawn = sample(mutants, options.count)
    results = read_results(clone)
    untested = [name for names in drawn.values() for name in names if results[name] is None]
    if untested:
        mutmut(clone, *untested)
    print_results(clone, mutants, drawn)


def read_results(clone: Path) -> dict[str, int | None]:
    """Return the exit status of every mutant, or None if it was not tested."""
    return {
        name: code
        for meta in (clone / "mutants").rglob("*.py.meta")
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items()
    }


def print_results(
    clone: Path, mutants: dict[str, dict[str, str]], drawn: dict[str, list[str]]
) -> None:
    """Print the table and the surviving mutants."""
    print("| module | mutants | in the sample | killed |\n|---|---|---|---|")
    survivors, killed, results = [], 0, read_results(clone)
    for module, names in drawn.items():
        alive = [name for name in names if results[name] not in KILLED]
        survivors += [(name, results[name], mutants[module][name]) for name in alive]
        killed_here = len(names) - len(alive)
        killed += killed_here
        print(f"| {module} | {len(mutants[module])} | {len(names)} | {killed_here} |")
    count = sum(map(len, drawn.values()))
    low, high = wilson(killed, count)
    print(f"\n{killed} of {count} killed: {killed / count:.1%} ({low:.1%} to {high:.1%})\n")
    for name, code, change in survivors:
        print(f"{name} ({'no test' if code == 33 else code})\n{change}\n")


if __name__ == "__main__":
    main()
