"""Judge a cohort of scans.

    accelerate launch -m brainai.inference.cohort --scans DIR --out OUT

It runs as one process or many, on one machine or on several that share OUT. After an interruption,
the same command continues where it stopped.
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
from brainai.inference.cohort.page import CohortPage
from brainai.inference.cohort.tables import WRITES_PARQUET, open_tables, scan_row
from brainai.model.folder import ModelInfo

TIMEOUT = timedelta(days=1)  # other processes wait while one finds the scans of an archive
LOG_SECONDS = 30  # between progress lines if the output is not a terminal
Result = TypeVar("Result")


class Plan(NamedTuple):
    """The scans of the cohort, those that are still to be judged, and the number of this start."""

    cohort: Cohort
    pending: list[Scan]
    start: int


class MainProcessFailed(Exception):
    """Raised in the other processes when the main process has failed and printed the reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Return 0, or 2 after a one-line error message."""
    return run_command(JudgeCohort, run, arguments, "accelerate launch -m brainai.inference.cohort")


def run(options: JudgeCohort, _: Sequence[str]) -> None:
    """Judge the cohort; exit with status 2 if the main process has failed.

    Raises:
        StorageError: a folder cannot be read or written to.
    """
    try:
        with ExitStack() as locks:
            judge_cohort(options, locks)
    except MainProcessFailed:
        sys.exit(2)
    except OSError as error:
        path = Path(error.filename) if error.filename else None
        raise storage_error(error, path) from error


def judge_cohort(options: JudgeCohort, locks: ExitStack) -> None:
    """Find the scans, judge them, and write tables and page.

    Args:
        locks: keeps the lock on the output folder until the work ends.
    """
    accelerator = open_accelerator(options.cpu)
    loaded: list[Classifier] = []

    def prepare() -> Plan:
        locks.enter_context(hold(options.out / ".cohort", _busy(options.out)))
        loaded.append(Classifier.load(options.model, accelerator.device))
        if loaded[0].weights is not None:
            loaded[0].weights.tell()
        return make_plan(options, loaded[0].info)

    plan = in_main_process(accelerator, prepare)
    classifier = loaded[0] if loaded else Classifier.load(options.model, accelerator.device)
    judge(options, accelerator, classifier, plan)
    if accelerator.is_main_process:
        show(options.out, plan.cohort.scans, classifier.info)
    accelerator.end_training()


def open_accelerator(cpu: bool) -> Accelerator:
    """Return an Accelerator; on CPUs, the processes of a machine share its cores."""
    cpu = cpu or not torch.cuda.is_available()
    accelerator = Accelerator(cpu=cpu, kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)])
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != launched:
        raise ConfigError(
            f"{launched} processes were launched, but Accelerate joined only "
            f"{accelerator.num_processes}: add --cpu if there is no GPU."
        )
    if cpu:  # `accelerate launch` gives each process a single thread
        local_processes = get_cpu_distributed_information().local_world_size
        torch.set_num_threads(max(1, cpu_count() // local_processes))
    return accelerator


def make_plan(options: JudgeCohort, info: ModelInfo) -> Plan:
    """Find the scans and those still to be judged, and write the description of the output."""
    cohort = find_scans(options.scans)
    cohort = Cohort(cohort.root, cohort.scans[: options.limit], cohort.bids)
    ledger = Ledger(options.out)
    ledger.claim(info.revision)
    write_description(options.out, cohort, info)
    pending = ledger.pending(cohort)
    done = len(cohort.scans) - len(pending)
    print(f"{len(cohort.scans):,} scans, {done:,} already done", file=sys.stderr)
    return Plan(cohort, pending, ledger.next_start())


def judge(
    options: JudgeCohort, accelerator: Accelerator, classifier: Classifier, plan: Plan
) -> None:
    """Judge this process's part of the scans; the main process waits until all are done."""
    scans = plan.pending[accelerator.process_index :: accelerator.num_processes]
    launcher = os.getppid() if accelerator.num_processes > 1 else None
    ledger = Ledger(options.out)
    is_terminal = sys.stderr.isatty()
    with (
        ledger.writer(plan.start, accelerator.process_index) as writer,
        tqdm(
            total=len(plan.pending),
            unit="scan",
            smoothing=0,  # show the mean rate, because the rate varies from scan to scan
            mininterval=0.1 if is_terminal else LOG_SECONDS,
            disable=not (accelerator.is_main_process and plan.pending),
        ) as bar,
    ):
        records = judge_scans(classifier, plan.cohort, scans, options.out, options.ahead)
        for record in records:
            writer.add(record)
            check_launcher(launcher)
            if accelerator.is_main_process:
                bar.update(ledger.count(plan.start) - bar.n)
        while accelerator.is_main_process and bar.n < len(plan.pending):
            time.sleep(0.2)
            check_launcher(launcher)
            bar.update(ledger.count(plan.start) - bar.n)


def check_launcher(launcher: int | None) -> None:
    """Check that the launcher still runs.

    A killed launcher leaves its processes running, and they would judge the same scans as those of
    the next start.

    Raises:
        ConfigError: the launcher has ended.
    """
    if launcher is not None and os.getppid() != launcher:
        raise ConfigError(
            "The launcher has ended, so this process ends as well. Run the command again."
        )


def show(out: Path, scans: Sequence[Scan], info: ModelInfo) -> None:
    """Write tables and page from the records of the scans, and print a summary."""
    page = CohortPage()
    by_status: dict[str, int] = {}
    with open_tables(out) as tables:
        for record in Ledger(out).records(scans):
            tables.add(record)
            page.add(scan_row(record), record["thumbnail"])
            by_status[record["status"]] = by_status.get(record["status"], 0) + 1
    page.write(out, info)
    counts = ", ".join(f"{number:,} {status}" for status, number in sorted(by_status.items()))
    print(f"{counts}\nwrote {out / 'results.csv'} and {out / 'index.html'}")
    if not WRITES_PARQUET:
        print("Install pyarrow to get results.parquet and slices.parquet from the same command.")
    print(DISCLAIMER)


def in_main_process(accelerator: Accelerator, call: Callable[[], Result]) -> Result:
    """Call a function in the main process, and return its result in all processes.

    Raises:
        BrainAIError: the error of `call`, in the main process.
        MainProcessFailed: `call` failed, in the other processes.
    """
    result: list = [None]
    problem = None
    if accelerator.is_main_process:
        try:
            result = [(call(),)]
        except (BrainAIError, OSError) as error:
            problem = error
    broadcast_object_list(result)
    if problem is not None:
        raise problem
    if result[0] is None:
        raise MainProcessFailed
    return result[0][0]


def _busy(out: Path) -> str:
    return (
        f"{out}: another command is writing to this folder. Wait until it ends, or choose another "
        "folder."
    )


if __name__ == "__main__":
    sys.exit(main())
