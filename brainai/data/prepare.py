"""Scan files → dataset folder.

    python -m brainai.data.prepare --source lgg --root kaggle_3m --source brats --root BraTS2021 \\
        --out DATASET

Restartable: finished cases are not read again. Memory: one case per worker.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from brainai.data.assemble import Assembled, assemble, summary, write_assembled
from brainai.data.identity import read_same_patient
from brainai.data.parts import PARTS, finished, read_part, remove_case, write_case
from brainai.data.sources import SOURCES, Case, check_unique, find_cases
from brainai.data.volumes import use_one_thread
from brainai.errors import BrainAIError, ConfigError, DataError

OPTIONS_FILE = "options.json"


@dataclass(frozen=True)
class PrepareOptions:
    """What decides the content of a data set: a folder is only continued with the same.

    sources: pairs of a source's name and its root folder.
    """

    sources: tuple[tuple[str, str], ...]
    min_tumor_pixels: int = 1
    positive: str | None = None
    same_patient: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A prepared data set, and the bad cases left out of it: a sentence for each case id."""

    assembled: Assembled
    bad: dict[str, str]


def prepare(
    options: PrepareOptions, out: Path, workers: int = 1, skip_bad: bool = False
) -> Outcome:
    """Write a dataset folder, or complete one that was begun with the same options.

    Raises:
        DataError: bad cases (all of them in one message, unless `skip_bad`), or no case at all.
        ConfigError: the folder was begun with other options.
    """
    cases = [
        case
        for source, root in options.sources
        for case in find_cases(source, Path(root), options.positive)
    ]
    check_unique(cases)
    same_patient = read_same_patient(Path(options.same_patient)) if options.same_patient else []
    start_folder(out, options)
    remove_strangers(out, {case.case_id for case in cases})
    waiting = [case for case in cases if not finished(case, out)]
    bad = write_cases(
        waiting, out, options.min_tumor_pixels, workers, done=len(cases) - len(waiting)
    )
    if bad and not skip_bad:
        raise DataError(bad_cases_report(bad, len(cases)))
    parts = [read_part(case.case_id, out) for case in cases if case.case_id not in bad]
    assembled = assemble(parts, same_patient)
    write_assembled(out, assembled, asdict(options))
    return Outcome(assembled, bad)


def start_folder(out: Path, options: PrepareOptions) -> None:
    """Make the dataset folder, or check that it was begun with the same options."""
    path = out / PARTS / OPTIONS_FILE
    wanted = json.loads(json.dumps(asdict(options)))
    if path.is_file():
        found = json.loads(path.read_text())
        if found != wanted:
            other = sorted(key for key in wanted if found.get(key) != wanted[key])
            words = "; ".join(f"{key} was {found.get(key)}, is {wanted[key]}" for key in other)
            raise ConfigError(
                f"{out} was begun with other options ({words}). "
                "Give the same options to go on, or another --out."
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"--out {out} is a folder with something else in it. Give an empty one.")
    for name in ("images", "masks", PARTS):
        (out / name).mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(wanted))
    os.replace(aside, path)


def remove_strangers(out: Path, case_ids: set[str]) -> None:
    """Take out cases that are no longer in the sources, and what a killed run left unfinished."""
    shutil.rmtree(out / PARTS / "unfinished", ignore_errors=True)
    there = {path.stem for path in (out / PARTS).glob("*.json")} - {Path(OPTIONS_FILE).stem}
    there |= {path.name for kind in ("images", "masks") for path in (out / kind).iterdir()}
    for case_id in sorted(there - case_ids):
        remove_case(case_id, out)


def write_cases(
    cases: Sequence[Case], out: Path, min_tumor_pixels: int, workers: int, done: int = 0
) -> dict[str, str]:
    """Write cases, each whole or not at all; for each bad one, what is wrong with it."""
    write = partial(_write_or_explain, out=out, min_tumor_pixels=min_tumor_pixels)
    results = _in_processes(write, cases, workers) if workers > 1 else map(write, cases)
    bad = {}
    progress = tqdm(
        results, total=done + len(cases), initial=done, unit="case", dynamic_ncols=True,
        desc="Preparing", smoothing=0.1,
    )  # fmt: skip
    for case_id, complaint in progress:
        if complaint:
            bad[case_id] = complaint
            progress.set_postfix(bad=len(bad))
    return dict(sorted(bad.items()))


def _in_processes(write: partial, cases: Sequence[Case], workers: int) -> Iterator[tuple[str, str]]:
    # "spawn": libraries that hold threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        waiting = [pool.submit(write, case) for case in cases]
        try:
            for result in as_completed(waiting):
                yield result.result()
        except BrokenProcessPool as error:
            raise DataError(
                "A worker process was ended from outside, most often for lack of memory. "
                "Run the same command again with fewer --workers: finished cases are kept."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the work, after whole cases
    use_one_thread()


def _write_or_explain(case: Case, out: Path, min_tumor_pixels: int) -> tuple[str, str]:
    """A case id, and "" or why the case is bad. A bad case leaves nothing in the data set."""
    try:
        write_case(case, out, min_tumor_pixels)
    except DataError as error:
        remove_case(case.case_id, out)
        return case.case_id, str(error)
    return case.case_id, ""


def bad_cases_report(bad: dict[str, str], total: int) -> str:
    """All bad cases in one message, a line for each."""
    lines = "\n".join(f"  {complaint}" for complaint in bad.values())
    return (
        f"{len(bad)} of {total} cases are bad:\n{lines}\n"
        "Mend them and run the same command again (finished cases are kept), "
        "or go on without them: --skip-bad."
    )


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m brainai.data.prepare", description="Scan files to a dataset folder."
    )
    parser.add_argument("--source", action="append", choices=SOURCES, required=True,
        help="what lies in the --root of the same position; repeat both for several")  # fmt: skip
    parser.add_argument("--root", action="append", required=True, help="folder with the scans")
    parser.add_argument("--out", type=Path, required=True, help="the dataset folder to write")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--skip-bad", action="store_true", help="go on without damaged cases")
    parser.add_argument("--min-tumor-pixels", type=int, default=1,
        help="a slice with fewer counts as tumour-free")  # fmt: skip
    parser.add_argument("--positive", help="the class folder with tumour, for --source folders")
    parser.add_argument("--same-patient", metavar="FILE",
        help="CSV of known persons: one a row, all their names")  # fmt: skip
    parser.add_argument("--phantoms", type=int, default=24,
        help="studies to simulate where the --root of --source phantom is empty")  # fmt: skip
    given = parser.parse_args(arguments)
    if len(given.source) != len(given.root):
        parser.error("each --source needs its own --root")
    if given.workers < 1 or given.min_tumor_pixels < 1:
        parser.error("--workers and --min-tumor-pixels are 1 or more")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, or 2 after a sentence about what is wrong, or 130 after Ctrl-C."""
    given = parse_arguments(arguments)
    sources = tuple(
        (source, str(Path(root).resolve()))
        for source, root in zip(given.source, given.root, strict=True)
    )
    options = PrepareOptions(sources, given.min_tumor_pixels, given.positive, given.same_patient)
    try:
        outcome = prepare(options, given.out, given.workers, given.skip_bad)
    except BrainAIError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with the cases that are left.", file=sys.stderr)
        return 130
    print(summary(outcome.assembled))
    if outcome.bad:
        total = len(outcome.bad) + len({r.case_id for r in outcome.assembled.records})
        print("\n" + bad_cases_report(outcome.bad, total), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
