"""The command `brainai`, and the code that all commands share.

    brainai predict --flair slice.png --model weights

Each command names the dataclass of its options, in a module that does not import torch, and the
function that runs it. So help and errors in the options appear at once.
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
COMMANDS = {  # name: (options, program, what it does); modules are relative to `brainai`
    "prepare": ("data.options:Prepare", "phantom.source:run", "turn scan files into a data set"),
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
    "space": ("hub.options:Space", "hub.space:run", "create or update the Space on the Hub"),
    "phantom": ("phantom.options:Phantoms", "phantom.__main__:run", "simulate studies"),
}
EXTRAS = {"gradio": "serve", "starlette": "serve", "accelerate": "train"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `brainai`; return 0, or 2 after printing an error."""
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
    return start(name, rest, f"brainai {name}")


def start(name: str, arguments: Sequence[str] | None, prog: str) -> int:
    """Run one of `COMMANDS`. The other arguments and the exit status are those of `run_command`."""
    options, program, _ = COMMANDS[name]
    return run_command(_load(options), lambda *args: _load_program(program)(*args), arguments, prog)


def usage() -> str:
    """Return the help of `brainai`, which lists all commands."""
    commands = "\n".join(f"  {name:10}{does}" for name, (_, _, does) in COMMANDS.items())
    return (
        f"usage: brainai COMMAND [OPTIONS]\n\n{commands}\n\n"
        "Run brainai COMMAND --help for the options of a command."
    )


def run_command(
    options: Callable[..., Options],
    program: Callable[[Options, list[str]], None],
    arguments: Sequence[str] | None,
    prog: str,
) -> int:
    """Read the options of a command line and run its program.

    Args:
        options: a dataclass for tyro, or a function that takes the arguments and `prog` and returns
            the options.
        program: called with the options and with the words of the command, which reports keep.
        arguments: the arguments of the command; None for those of the process.
        prog: name of the command, such as "brainai predict".
    Returns:
        The exit status: 0, or 2 after printing an error to stderr.
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


def _load(place: str) -> Any:
    """Return the object that a place such as "data.prepare:run" names."""
    module, name = place.split(":")
    return getattr(import_module(f"brainai.{module}"), name)


def _load_program(place: str) -> Callable[[Any, list[str]], None]:
    """Return the function that a place names.

    Raises:
        ConfigError: a package that an extra installs is missing.
    """
    try:
        return _load(place)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        raise ConfigError(
            f"This command needs the package {error.name}, which is not installed. "
            f"Install it: pip install 'brainai[{extra}]'"
        ) from error
