"""Simulated studies: anatomy, MR signal, tumor, known mask. `python -m brainai.phantom`.

The names below are loaded when they are first used: phantoms need packages (nilearn, and scipy and
nibabel with it) that nothing else here needs, and where they are absent a command line should say
so in one line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from brainai.errors import DataError

if TYPE_CHECKING:
    from brainai.phantom.files import write_decoys, write_examples, write_studies
    from brainai.phantom.study import Phantom, simulate

__all__ = ["Phantom", "simulate", "write_decoys", "write_examples", "write_studies"]
_HOMES = {"Phantom": "study", "simulate": "study"}


def __getattr__(name: str) -> Any:
    """Raises DataError where a package that only phantoms need is not installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'files')}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("brainai"):
            raise
        raise missing_package(str(error.name)) from error


def missing_package(name: str) -> DataError:
    """The error where a package that only phantoms need is not installed."""
    return DataError(
        "Phantoms are made from the brain template that the package nilearn ships, and the package "
        f"{name} is not installed. Install it: pip install -r requirements-dev.txt"
    )
