"""`accelerate launch -m brainai.inference.cohort --scans DIR --out OUT`: judge a cohort of scans.

One process or many, on one machine or several that share OUT. A start that was killed goes on where
it was when the same command is given again.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list, get_cpu_distributed_information
from joblib import cpu_count
from tqdm import tqdm

from brainai import DISCLAIMER
from brainai.command_line import run_command
from brainai.data.files import storage_error
from brainai.data.lock import hold
from brainai.errors import BrainAIError, ConfigError
from brainai.inference.classifier import Classifier
from brainai.inference.cohort.bids import write_description
from brainai.inference.cohort.find import Cohort, Scan, find_scans
from brainai.inference.cohort.judge import judge_scans
from brainai.inference.cohort.ledger import Ledger
from brainai.inference.cohort.options import JudgeCohort
from brainai.inference.cohort.page import Page
from brainai.inference.cohort.tables import WRITES_PARQUET, open_tables, scan_row
from brainai.model.folder import ModelInfo

PATIENCE = timedelta(days=1)  # to find the scans of an archive, while other processes wait
LOG_SECONDS = 30  # between lines of progress where nobody watches
Result = TypeVar("Result")


class Plan(NamedTuple):
    """What all processes are told: which scans there are, and which are to be judged now."""

    cohort: Cohort
    pending: list[Scan]
    start: int


class Told(Exception):
    """The main process has said what went wrong; the others end as well."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(JudgeCohort, run, arguments, "accelerate launch -m brainai.inference.cohort")


def run(options: JudgeCohort, _: Sequence[str]) -> None:
    """Judge the scans; exit status 2 in a process whose main process has said what went wrong.

    Raises:
        StorageError: a folder cannot be read or written to.
    """
    try:
        with ExitStack() as held:
            carry_out(options, held)
    except Told:
        sys.exit(2)
    except OSError as error:
        path = Path(error.filename) if error.filename else None
        raise storage_error(error, path) from error


def carry_out(options: JudgeCohort, held: ExitStack) -> None:
    """Find, judge and show the scans; `held` keeps the output folder for this start alone."""
    accelerator = open_accelerator(options.cpu)
    loaded: list[Classifier] = []

    def prepare() -> Plan:
        held.enter_context(hold(options.out / ".cohort", _busy(options.out)))
        loaded.append(Classifier.load(options.model, accelerator.device))
        loaded[0].weights.tell()  # type: ignore[union-attr]  # `load` sets them
        return make_plan(options, loaded[0].info)

    plan = in_main_process(accelerator, prepare)
    classifier = loaded[0] if loaded else Classifier.load(options.model, accelerator.device)
    judge(options, accelerator, classifier, plan)
    if accelerator.is_main_process:
        show(options.out, plan.cohort.scans, classifier.info)
    accelerator.end_training()


def open_accelerator(cpu: bool) -> Accelerator:
    """Processes and device; on CPUs the cores are shared out among those of this machine."""
    cpu = cpu or not torch.cuda.is_available()
    accelerator = Accelerator(cpu=cpu, kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, Accelerate joined {accelerator.num_processes}: "
            "add --cpu where there is no GPU."
        )
    if cpu:  # `accelerate launch` leaves each process one thread
        beside = get_cpu_distributed_information().local_world_size
        torch.set_num_threads(max(1, cpu_count() // beside))
    return accelerator


def make_plan(options: JudgeCohort, info: ModelInfo) -> Plan:
    """What is there and what is left to do; the description of the output is written."""
    cohort = find_scans(options.scans)
    cohort = Cohort(cohort.root, cohort.scans[: options.limit], cohort.bids)
    ledger = Ledger(options.out)
    ledger.claim(info.revision)
    write_description(options.out, cohort, info)
    pending = ledger.pending(cohort)
    done = len(cohort.scans) - len(pending)
    print(f"{len(cohort.scans):,} scans, {done:,} done before", file=sys.stderr)
    return Plan(cohort, pending, ledger.next_start())


def judge(
    options: JudgeCohort, accelerator: Accelerator, classifier: Classifier, plan: Plan
) -> None:
    """Judge this process's scans, every n-th; the main process waits until all are done."""
    mine = plan.pending[accelerator.process_index :: accelerator.num_processes]
    launcher = os.getppid() if accelerator.num_processes > 1 else None
    ledger = Ledger(options.out)
    watched = sys.stderr.isatty()
    with (
        ledger.writer(plan.start, accelerator.process_index) as writer,
        tqdm(
            total=len(plan.pending),
            unit="scan",
            smoothing=0,  # the mean rate: scans differ, and their rate jumps
            mininterval=0.1 if watched else LOG_SECONDS,
            disable=not (accelerator.is_main_process and plan.pending),
        ) as bar,
    ):
        found = judge_scans(classifier, plan.cohort, mine, options.out, options.ahead)
        for record in found:
            writer.add(record)
            check_launcher(launcher)
            if accelerator.is_main_process:
                bar.update(ledger.count(plan.start) - bar.n)
        while accelerator.is_main_process and bar.n < len(plan.pending):
            time.sleep(0.2)
            check_launcher(launcher)
            bar.update(ledger.count(plan.start) - bar.n)


def check_launcher(launcher: int | None) -> None:
    """Raises ConfigError where the launcher was killed, which then ends no process of its own: the
    next start would meet this one at its scans."""
    if launcher is not None and os.getppid() != launcher:
        raise ConfigError("The launcher has ended, so this process ends as well. Start again.")


def show(out: Path, scans: Sequence[Scan], info: ModelInfo) -> None:
    """Write tables and page from all that is recorded of these scans, and say what came out."""
    page = Page()
    kinds: dict[str, int] = {}
    with open_tables(out) as tables:
        for record in Ledger(out).records(scans):
            tables.add(record)
            page.add(scan_row(record), record["thumbnail"])
            kinds[record["status"]] = kinds.get(record["status"], 0) + 1
    page.write(out, info)
    counts = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
    print(f"{counts}\nwrote {out / 'results.csv'} and {out / 'index.html'}")
    if not WRITES_PARQUET:
        print("With pyarrow installed, the same command adds results.parquet and slices.parquet.")
    print(DISCLAIMER)


def in_main_process(accelerator: Accelerator, call: Callable[[], Result]) -> Result:
    """The result of the main process, in all of them.

    Raises:
        BrainAIError: in the main process, what `call` raised; `Told` in the others.
    """
    found: list = [None]
    problem = None
    if accelerator.is_main_process:
        try:
            found = [(call(),)]
        except (BrainAIError, OSError) as error:
            problem = error
    broadcast_object_list(found)
    if problem is not None:
        raise problem
    if found[0] is None:
        raise Told
    return found[0][0]


def _busy(out: Path) -> str:
    return f"{out}: another start is judging into this folder. Wait for its end, or choose another."


if __name__ == "__main__":
    sys.exit(main())
