"""Turn scan files into a dataset folder.

    python -m brainai.data.prepare --source lgg --root kaggle_3m --source brats --root BraTS2021 \\
        --out DATASET

A preparation can be restarted, and finished cases are not read again. Each worker holds one case in
memory.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from brainai.command_line import start
from brainai.data.assemble import Assembled, assemble, summary, write_assembled
from brainai.data.cases import Case
from brainai.data.dataset import PARTS
from brainai.data.files import storage_error, write_text
from brainai.data.identity import read_same_patient
from brainai.data.lock import hold
from brainai.data.options import Prepare
from brainai.data.parts import finished, read_part, remove_case
from brainai.data.picture_sources import UP_TO_THE_LAST
from brainai.data.releases import person_name
from brainai.data.seals import sealed, unsealed
from brainai.data.sources import check_unique, find_cases
from brainai.data.splits import read_split_file, without_bad
from brainai.data.workers import write_cases
from brainai.errors import ConfigError, DataError, StorageError

OPTIONS_FILE = ".options.json"  # differs from all case ids, which never begin with a dot


@dataclass(frozen=True)
class PrepareOptions:
    """The options that decide the content of a data set.

    A folder that was started with some options can only be continued with the same options.

    sources: pairs of the name of a source and its root folder.
    phantoms: number of studies that are simulated for the source phantom, see `phantom.source`.
    """

    sources: tuple[tuple[str, str], ...]
    positive: str | None = None
    same_patient: str | None = None
    phantoms: int = 24
    test_sites: tuple[str, ...] = ()
    patient_pattern: str = UP_TO_THE_LAST
    split_file: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A prepared data set, and for each bad case that was left out a sentence on the fault."""

    assembled: Assembled
    bad: dict[str, str]


def prepare(
    options: PrepareOptions, out: Path, workers: int = 1, skip_bad: bool = False
) -> Outcome:
    """Write a dataset folder, or complete one that was started with the same options.

    Args:
        options: what to put into the data set.
        out: the dataset folder.
        workers: number of processes.
        skip_bad: whether to leave out bad cases.
    Raises:
        DataError: there are bad cases and `skip_bad` is False (one message names all of them), or
            there is no case.
        ConfigError: the folder was started with other options, or no slice is from a test site.
    """
    cases = []
    for source, root in options.sources:
        cases += find_cases(source, Path(root), options.positive, options.patient_pattern)
    check_unique(cases)
    same_patient = _same_patient(options, cases)
    pinned = read_split_file(Path(options.split_file)) if options.split_file else {}
    check_folder(out)
    busy = (
        f"Another preparation is writing to {out}. Wait until it has ended, or choose another "
        "--out."
    )
    with hold(out / PARTS, busy):
        start_folder(out, options)
        bad = write_missing(cases, out, workers)
        if bad and not skip_bad:
            raise DataError(
                f"{bad_cases(bad)}\nCorrect them and run the same command again; finished cases "
                "are kept. To leave out the bad cases, add --skip-bad."
            )
        parts = [read_part(case.case_id, out) for case in cases if case.case_id not in bad]
        pinned = without_bad(pinned, cases, bad)
        assembled = assemble(parts, same_patient, options.test_sites, pinned)
        # Names of folders and files alone, because paths of this machine mean nothing elsewhere.
        published_options = replace(
            options,
            sources=tuple((source, Path(root).name) for source, root in options.sources),
            same_patient=_file_name(options.same_patient),
            split_file=_file_name(options.split_file),
        )
        write_assembled(out, assembled, asdict(published_options))
    return Outcome(assembled, bad)


def _file_name(path: str | None) -> str | None:
    return Path(path).name if path else None


def write_missing(cases: Sequence[Case], out: Path, workers: int) -> dict[str, str]:
    """Write the cases that are missing in the data set.

    Returns:
        For the id of each bad case, a sentence that says what is wrong with it.
    """
    remove_other_cases(out, {case.case_id for case in cases})
    waiting = [case for case in cases if not finished(case, out)]
    if waiting:
        (out / "dataset.json").unlink(missing_ok=True)  # it marks a complete data set
    return write_cases(waiting, out, workers, done=len(cases) - len(waiting))


def _same_patient(options: PrepareOptions, cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """Return groups of names that belong to one person, with the names of `Case.names`."""
    if options.same_patient is None:
        return []
    known = {name for case in cases for name in (case.case_id, *case.names)}
    groups = read_same_patient(Path(options.same_patient), known)
    name_of = {case.case_id: case.names[0] for case in cases}
    return [tuple(name_of.get(name) or person_name(name) for name in group) for group in groups]


def check_folder(out: Path) -> None:
    """Raise ConfigError if the folder holds other files than a data set."""
    if not (out / PARTS).is_dir() and out.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"--out {out}: expected an empty folder or a data set, found a folder with other "
            "files. Choose an empty one."
        )


def start_folder(out: Path, options: PrepareOptions) -> None:
    """Create the dataset folder, or check that it was started with the same options.

    Raises:
        ConfigError: the folder was started with other options.
        DataError: the file with the options is damaged.
    """
    path = out / PARTS / OPTIONS_FILE
    wanted = json.loads(json.dumps(asdict(options)))
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        write_text(path, json.dumps(sealed(wanted)))
        return
    try:
        stored = unsealed(path.read_bytes())
    except ValueError as error:
        raise DataError(
            f"{path} is damaged. Delete it, then run the command with the options that {out} was "
            "started with."
        ) from error
    if stored != wanted:
        changed = sorted(k for k in wanted | stored if stored.get(k) != wanted.get(k))
        changes = "; ".join(f"{k} was {stored.get(k)}, is {wanted.get(k)}" for k in changed)
        raise ConfigError(
            f"{out} was started with other options ({changes}). "
            "Use the same options to continue, or choose another --out."
        )


def remove_other_cases(out: Path, case_ids: set[str]) -> None:
    """Remove cases that are no longer in the sources, and unfinished files of a killed run."""
    shutil.rmtree(out / PARTS / "unfinished", ignore_errors=True)
    present = {path.stem for path in (out / PARTS).glob("*.json")} - {Path(OPTIONS_FILE).stem}
    present |= {path.name for kind in ("images", "masks") for path in (out / kind).iterdir()}
    for case_id in sorted(present - case_ids):
        remove_case(case_id, out)


def bad_cases(bad: dict[str, str]) -> str:
    """Return one message on all bad cases, with a line for each."""
    title = "1 case is bad:" if len(bad) == 1 else f"{len(bad)} cases are bad:"
    return "\n".join([title, *(f"  {complaint}" for complaint in bad.values())])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    It is 0, or 2 after a line that says what to correct, or 130 after Ctrl-C.
    """
    # By name, because the command also simulates studies, and `phantom` imports this package.
    return start("prepare", arguments, "python -m brainai.data.prepare")


def run(given: Prepare, _: Sequence[str]) -> None:
    """Write the dataset folder and print a summary. Errors are those of `prepare`."""
    roots = (str(root.resolve()) for root in given.root)
    options = PrepareOptions(
        tuple(zip(given.source, roots, strict=True)),
        given.positive,
        given.same_patient,
        given.phantoms,
        given.test_site,
        given.patient_pattern,
        given.split_file,
    )
    with resumable():
        outcome = prepare(options, given.out, given.workers, given.skip_bad)
    print(summary(outcome.assembled))
    if outcome.bad:
        print(f"\n{bad_cases(outcome.bad)}\nThey were left out (--skip-bad).", file=sys.stderr)


@contextmanager
def resumable() -> Iterator[None]:
    """Say that the same command continues the work, where storage fails or Ctrl-C ends it.

    Raises:
        StorageError: a file cannot be read or written.
        SystemExit: with status 130, after Ctrl-C.
    """
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error} Finished cases are kept.") from error
    except OSError as error:
        path = Path(error.filename) if error.filename else None
        raise StorageError(f"{storage_error(error, path)} Finished cases are kept.") from error
    except KeyboardInterrupt:
        print("Stopped. Run the same command again to continue.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    sys.exit(main())
