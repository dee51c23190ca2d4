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
    """dataset folder to write"""
    source: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """kind of data in the --root of the same position: lgg, brats, tumor-free, pairs, folders or
    phantom"""
    root: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """folder with the scans"""
    workers: int = field(default_factory=cpu_count)
    """number of processes that read scans"""
    skip_bad: bool = False
    """leave out damaged cases instead of stopping"""
    positive: str | None = None
    """name of the class folder with tumor, for --source folders"""
    same_patient: str | None = None
    """CSV file with all names of one person in each row"""
    phantoms: int = 24
    """number of studies to simulate if the --root of --source phantom is empty"""
    test_site: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """use only the patients of this site for test; repeat for several sites"""
    split_file: str | None = None
    """CSV file with rows of name,split that assign patients or cases to train, valid or test
    instead of the hash of their id"""
    patient_pattern: str = UP_TO_THE_LAST
    """for --source pairs: regular expression whose first group is the patient in a picture's name
    without suffix; by default the name up to its last _"""

    def __post_init__(self) -> None:
        if not self.source or len(self.source) != len(self.root):
            raise ConfigError(
                "--source and --root: expected at least one --source, each with its own --root, "
                f"found {len(self.source)} --source and {len(self.root)} --root."
            )
        if unknown := sorted(set(self.source) - set(SOURCES)):
            raise ConfigError(
                f"--source: expected {', '.join(SOURCES)}, found {', '.join(unknown)}."
            )
        if min(self.workers, self.phantoms) < 1:
            raise ConfigError(
                "--workers and --phantoms: expected 1 or more, found "
                f"{self.workers} and {self.phantoms}."
            )
        try:
            groups = re.compile(self.patient_pattern).groups
        except re.error as error:
            raise ConfigError(
                "--patient-pattern: expected a regular expression, found "
                f"{self.patient_pattern} ({error})."
            ) from error
        if groups < 1:
            raise ConfigError(
                "--patient-pattern: expected a group in parentheses that matches the patient's id, "
                f"found none in {self.patient_pattern}."
            )
