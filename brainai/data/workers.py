"""Write many cases in parallel, with one process per core and one case in memory per process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path

from tqdm import tqdm

from brainai.data.cases import Case
from brainai.data.parts import remove_case, write_case
from brainai.data.pools import open_pool
from brainai.data.volumes import use_one_thread
from brainai.errors import DataError


def write_cases(cases: Sequence[Case], out: Path, workers: int, done: int = 0) -> dict[str, str]:
    """Write cases, each completely or not at all.

    Returns:
        For the id of each bad case, a sentence that says what is wrong with it.
    """
    write = partial(_write_or_explain, out=out)
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
    advice = "Run the same command again with fewer --workers: finished cases are kept."
    with open_pool(workers, advice, use_one_thread) as pool:
        for result in as_completed([pool.submit(write, case) for case in cases]):
            yield result.result()


def _write_or_explain(case: Case, out: Path) -> tuple[str, str]:
    """Write a case, and return its id with "" or with what is wrong with it.

    A bad case leaves nothing in the data set.
    """
    try:
        write_case(case, out)
    except DataError as error:
        remove_case(case.case_id, out)
        return case.case_id, str(error)
    return case.case_id, ""
