"""Write many cases at once, one process per core, one case in memory per process."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from tqdm import tqdm

from brainai.data.parts import remove_case, write_case
from brainai.data.sources import Case
from brainai.data.volumes import use_one_thread
from brainai.errors import DataError


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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_thread()


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers: they end themselves, or they would wait for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _write_or_explain(case: Case, out: Path, min_tumor_pixels: int) -> tuple[str, str]:
    """A case id, and "" or why the case is bad. A bad case leaves nothing in the data set."""
    try:
        write_case(case, out, min_tumor_pixels)
    except DataError as error:
        remove_case(case.case_id, out)
        return case.case_id, str(error)
    return case.case_id, ""
