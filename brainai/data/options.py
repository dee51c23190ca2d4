"""The options of `brainai prepare`."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from joblib import cpu_count

from brainai.data.picture_sources import UP_TO_THE_LAST
from brainai.data.sources import SOURCES
from brainai.errors import ConfigError


@dataclass(frozen=True)
class Prepare:
    """Turn scan files into a dataset folder. Repeat --source and --root for several sources."""

    out: Path
    """the dataset folder to write"""
    source: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """what lies in the --root of the same position: lgg, brats, tumor-free, pairs, folders or
    phantom"""
    root: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """folder with the scans"""
    workers: int = field(default_factory=cpu_count)
    """processes that read scans"""
    skip_bad: bool = False
    """go on without damaged cases"""
    min_tumor_pixels: int = 1
    """a slice with fewer counts as tumor-free"""
    positive: str | None = None
    """the class folder with tumor, for --source folders"""
    same_patient: str | None = None
    """CSV of known persons: one a row, all their names"""
    phantoms: int = 24
    """studies to simulate where the --root of --source phantom is empty"""
    test_site: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """test on the patients of this site alone; repeat for several"""
    split_file: str | None = None
    """CSV with rows of name,split: patients or cases that go to train, valid or test whatever the
    hash of their id says"""
    patient_pattern: str = UP_TO_THE_LAST
    """for --source pairs: the first group of this regular expression is the patient in a picture's
    name without suffix; by default the name up to its last _"""

    def __post_init__(self) -> None:
        if not self.source or len(self.source) != len(self.root):
            raise ConfigError(
                "--source and --root: expected at least one --source, each with its own --root, "
                f"found {len(self.source)} and {len(self.root)}."
            )
        if unknown := sorted(set(self.source) - set(SOURCES)):
            raise ConfigError(
                f"--source: expected {', '.join(SOURCES)}, found {', '.join(unknown)}."
            )
        if min(self.workers, self.min_tumor_pixels, self.phantoms) < 1:
            raise ConfigError("--workers, --min-tumor-pixels, --phantoms: expected 1 or more.")
        try:
            groups = re.compile(self.patient_pattern).groups
        except re.error as error:
            raise ConfigError(
                f"--patient-pattern {self.patient_pattern} cannot be read: {error}."
            ) from error
        if groups < 1:
            raise ConfigError(
                "--patient-pattern: expected a group in brackets, which is the patient's id, found "
                f"none in {self.patient_pattern}."
            )
