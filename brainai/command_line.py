"""The console script `brainai`, and what all command lines have in common.

    brainai predict --flair slice.png --model weights

A command is two names: what describes its options, in a module that imports no torch, and what runs
it. Help and mistakes in the options are therefore answered at once.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar

import tyro

from brainai import __version__
from brainai.console import print_anywhere
from brainai.errors import BrainAIError, ConfigError

Options = TypeVar("Options")
COMMANDS = {  # name: (its options, its program, both within `brainai`; what it does)
    "prepare": ("data.options:Prepare", "data.prepare:run", "turn scan files into a data set"),
    "train": ("training.config:parse_config", "training.__main__:run", "train a model"),
    "evaluate": ("evaluation.options:Evaluate", "evaluation.__main__:run", "score a model"),
    "predict": ("inference.options:Predict", "inference.__main__:run", "judge a slice or a scan"),
    "cohort": (
        "inference.cohort.options:JudgeCohort",
        "inference.cohort.__main__:run",
        "judge scans by the thousand",
    ),
    "serve": ("web.options:Serve", "web.serve:run", "open the demo in a browser"),
    "publish": ("hub.options:Publish", "hub.publish:run", "push a model or a data set to the Hub"),
    "space": ("hub.options:Space", "hub.space:run", "make or update the Space on the Hub"),
    "phantom": ("phantom.options:Phantoms", "phantom.__main__:run", "simulate studies"),
}
EXTRAS = {"gradio": "serve", "starlette": "serve", "accelerate": "train"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `brainai`: 0, or 2 after one line that says what to correct."""
    print_anywhere()
    arguments = sys.argv[1:] if arguments is None else arguments
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"brainai {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"brainai: expected {', '.join(COMMANDS)}, found {name!r}.", file=sys.stderr)
        return 2
    options, program, _ = COMMANDS[name]
    return run_command(
        _named(options), lambda *given: _program(program)(*given), rest, f"brainai {name}"
    )


def usage() -> str:
    """The help of `brainai`: all commands, each with what it does."""
    commands = "\n".join(f"  {name:10}{does}" for name, (_, _, does) in COMMANDS.items())
    return (
        f"usage: brainai COMMAND [OPTIONS]\n\n{commands}\n\nbrainai COMMAND --help lists options."
    )


def run_command(
    options: Callable[..., Options],
    program: Callable[[Options, list[str]], None],
    arguments: Sequence[str] | None,
    prog: str,
) -> int:
    """Read the options of a command line and run its program.

    Args:
        options: a dataclass for tyro, or a function of arguments and `prog` that reads them itself.
        program: gets the options, and the command as words, which reports keep.
        arguments: None takes those of the process.
        prog: how the command is called, such as "brainai predict".
    Returns:
        The exit status: 0, or 2 after one line on stderr that says what to correct.
    """
    print_anywhere()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if isinstance(options, type):
            chosen = tyro.cli(options, args=arguments, prog=prog)
        else:
            chosen = options(arguments, prog)
        program(chosen, [*prog.split(), *arguments])
    except BrainAIError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _named(place: str) -> Any:
    """What a place such as "data.prepare:run" stands for."""
    module, name = place.split(":")
    return getattr(import_module(f"brainai.{module}"), name)


def _program(place: str) -> Callable[[Any, list[str]], None]:
    try:
        return _named(place)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        raise ConfigError(
            f"This command needs the package {error.name}, which is not installed. "
            f"Install it: pip install 'brainai[{extra}]'"
        ) from error
