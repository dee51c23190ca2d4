"""`brainai`: every command starts quickly, passes its arguments on, and fails in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from brainai import __version__, command_line
from brainai.command_line import COMMANDS, main, run_command
from brainai.errors import DataError
from brainai.inference.options import Predict

ROOT = Path(__file__).parents[1]
HELP = """
import sys
from brainai.command_line import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "timm", "gradio", "accelerate", "huggingface_hub", "matplotlib", "SimpleITK"}
    print("imported:", *sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_imports_neither_torch_nor_other_heavy_packages(words: list[str]) -> None:
    call = [sys.executable, "-c", HELP, *words, "--help"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"
    assert done.stdout.startswith(f"usage: brainai {' '.join(words) or 'COMMAND'} ")


def test_no_command_prints_the_help(capsys) -> None:
    assert main([]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "  " in line]
    assert listed == ["prepare", "train", "evaluate", "predict", "cohort", "serve", "publish",
        "space", "phantom"]  # fmt: skip


def test_the_version_is_that_of_the_package(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"brainai {__version__}\n"


def test_an_unknown_command_prints_one_line_and_exits_with_status_2(capsys) -> None:
    assert main(["guess", "--help"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "expected prepare, train," in said
    assert "found 'guess'" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_program(name: str) -> None:
    assert callable(command_line._load(COMMANDS[name][1]))


def test_a_program_gets_its_options_and_the_original_command_line(monkeypatch) -> None:
    given = []
    monkeypatch.setattr("brainai.evaluation.__main__.run", lambda *both: given.extend(both))
    assert main(["evaluate", "--data", "d", "--batch-size", "3"]) == 0
    options, words = given
    assert (options.data, options.batch_size, options.model) == (Path("d"), 3, "weights")
    assert words == ["brainai", "evaluate", "--data", "d", "--batch-size", "3"]


def test_other_options_override_the_preset_of_a_training(monkeypatch) -> None:
    given = []
    monkeypatch.setattr("brainai.training.__main__.run", lambda *both: given.extend(both))
    call = ["train", "--data", "d", "--out", "o", "--preset", "smoke", "--drop-path", "0.5"]
    assert main(call) == 0
    assert (given[0].architecture, given[0].drop_path) == ("test_resnet", 0.5)
    assert given[1] == ["brainai", *call]


def test_user_errors_print_one_line_and_exit_with_status_2(capsys) -> None:
    def fail(*_) -> None:
        raise DataError("slice.png: expected a picture.")

    assert run_command(Predict, fail, [], "brainai predict") == 2
    assert capsys.readouterr().err == "slice.png: expected a picture.\n"
    assert main(["evaluate", "--data", "d", "--batch-size", "0"]) == 2
    assert "--batch-size: expected at least 1, found 0." in capsys.readouterr().err
    assert main(["cohort", "--scans", "s", "--out", "o", "--ahead", "0"]) == 2
    assert capsys.readouterr().err == "--ahead and --limit: expected 1 or more.\n"


def test_a_missing_package_is_named_with_the_extra_that_installs_it(monkeypatch, capsys) -> None:
    def missing(place: str) -> None:
        raise ModuleNotFoundError(f"No module named {place!r}", name="gradio.themes")

    monkeypatch.setattr(command_line, "_load", missing)
    with pytest.raises(command_line.ConfigError, match=r"pip install 'brainai\[serve\]'"):
        command_line._load_program("web.serve:run")


def test_any_other_missing_module_is_a_program_error(monkeypatch) -> None:
    def missing(place: str) -> None:
        raise ModuleNotFoundError(f"No module named {place!r}", name="brainai.web.gone")

    monkeypatch.setattr(command_line, "_load", missing)
    with pytest.raises(ModuleNotFoundError, match=r"web\.serve"):
        command_line._load_program("web.serve:run")
