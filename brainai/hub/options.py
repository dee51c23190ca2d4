"""The options of `brainai publish` and `brainai space`."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Publish:
    """Push a model, or a data set that may be shared, to the Hub."""

    folder: tyro.conf.Positional[Path]
    """run, model folder, or with --dataset data set"""
    repository: tyro.conf.Positional[str]
    """owner/name on the Hub"""
    public: bool = False
    """make a new repository public"""
    tag: str | None = None
    """name of the release; by default weights- and their revision"""
    dataset: bool = False
    """the folder is a data set"""
    license: str | None = None
    """of the data set, such as cc-by-4.0; it must be known"""


@dataclass(frozen=True)
class Space:
    """Make the Space, or bring it up to date, with only the files that it needs."""

    space: tyro.conf.Positional[str]
    """owner/space on the Hub"""
    model: str
    """owner/name@revision on the Hub"""
    public: bool = False
    """make a new Space public"""
    hardware: str = "cpu-basic"
    """hardware to suggest"""
    dry_run: bool = False
    """only print what would be done"""
    out: Path | None = None
    """write the files here, and change no Space"""
