"""The options of `brainai publish` and `brainai space`."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Publish:
    """Publish a model, or a data set that may be shared, on the Hub."""

    folder: tyro.conf.Positional[Path]
    """run folder, model folder, or (with --dataset) dataset folder"""
    repository: tyro.conf.Positional[str]
    """owner/name on the Hub"""
    public: bool = False
    """make a new repository public"""
    tag: str | None = None
    """name of the release; default: weights-REVISION"""
    dataset: bool = False
    """the folder is a data set"""
    license: str | None = None
    """license of the data set, such as cc-by-4.0; required with --dataset"""


@dataclass(frozen=True)
class Space:
    """Create the Space or update it, with only the files that it needs."""

    space: tyro.conf.Positional[str]
    """Space to create or update: owner/space on the Hub"""
    model: str
    """model to answer with: owner/name@revision on the Hub"""
    public: bool = False
    """make a new Space public"""
    hardware: str = "cpu-basic"
    """hardware that the Space suggests"""
    dry_run: bool = False
    """only print what the command would do"""
    out: Path | None = None
    """write the files into this folder instead of changing a Space"""
