"""A command can print its output on any console."""

import ast
import io
import sys
from pathlib import Path

import pytest

from brainai.command_line import run_command
from brainai.console import print_anywhere
from brainai.inference.options import Predict

ROOT = Path(__file__).parents[1]
SILENT = ROOT / "brainai" / "data" / "reader_process.py"  # answers a program, in JSON


def commands() -> list[Path]:
    """The files that run as commands."""
    files = [*(ROOT / "brainai").rglob("*.py"), ROOT / "app.py", ROOT / "train.py"]
    return [path for path in files if "\ndef main(" in path.read_text() and path != SILENT]


def first_line(path: Path, name: str) -> str:
    """The first statement of a function after its docstring."""
    functions = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    return ast.unparse(next(node for node in functions if node.name == name).body[1])


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "0 ? 1, M?ller"), ("latin-1", "0 ? 1, Müller")]
)
def test_characters_that_a_console_lacks_are_replaced(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    monkeypatch.setattr(sys, "stdout", console)
    print_anywhere()
    print("0 – 1, Müller", flush=True)
    assert console.buffer.getvalue().decode(encoding) == f"{shown}\n"


@pytest.mark.parametrize("console", [None, io.StringIO()])
def test_a_closed_console_and_a_notebook_are_left_unchanged(
    monkeypatch: pytest.MonkeyPatch, console: io.StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stdout", console)
    print_anywhere()


@pytest.mark.parametrize("path", commands(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_begins_with_print_anywhere(path: Path) -> None:
    """In its own first line, or in that of `run_command`, which is then all that it calls, possibly
    through `start`."""
    first = first_line(path, "main")
    assert first == "print_anywhere()" or first.startswith(("return run_command(", "return start("))


def test_run_command_begins_with_print_anywhere() -> None:
    assert first_line(ROOT / "brainai" / "command_line.py", "run_command") == "print_anywhere()"


def test_a_command_succeeds_on_a_console_that_lacks_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    monkeypatch.setattr(sys, "stdout", console)

    def program(*_) -> None:
        print("0 – 1", flush=True)

    assert run_command(Predict, program, [], "brainai predict") == 0
    assert console.buffer.getvalue() == b"0 ? 1\n"
