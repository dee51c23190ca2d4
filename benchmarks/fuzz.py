"""Damaged and odd files by the ten thousand: what the readers and the app make of them.

    python -m benchmarks.fuzz --pictures 50000 --scans 10000 --answers 2000 --requests 1000 \\
        --seed 0 --workers 2 --out fuzz.json

Each case runs in a child that may take 2 GB and 10 s. One that takes longer is tried once more when
all others are done, since a busy machine is no fault. Only errors of ours may come out. The results
so far lie in OUT.journal; the same command goes on from there. What fails is made smaller and kept
in `--keep`, one case of each kind of failure. Exits with 1 where any case failed.
"""

import argparse
import json
import queue
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from brainai.data.files import write_text
from tests.fuzz import corpus
from tests.fuzz.groups import CHILDREN, make_case
from tests.fuzz.minimize import minimize
from tests.fuzz.runner import NO_ANSWER, Runner

CHUNK = 100  # cases that a worker takes at once
KEEP_BYTES = 40_000  # a kept case that is larger, packed, is named by its number alone
LIBRARIES = ("pillow", "SimpleITK", "numpy", "gradio", "torch")
Result = dict[str, Any]


def main() -> int:
    """Run what the journal does not hold yet, and write the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for group, count in zip(CHILDREN, (50_000, 10_000, 2_000, 1_000), strict=True):
        parser.add_argument(f"--{group}", type=int, default=count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path, default=corpus.FOLDER)
    given = parser.parse_args()
    wanted = {group: getattr(given, group) for group in CHILDREN}
    started = time.monotonic()
    journal = given.out.with_suffix(".journal")
    results = fuzz(wanted, given.seed, given.workers, journal)
    repeated = repeat_slow(results, given.seed)
    seconds = round(time.monotonic() - started)  # of this start alone, where there were several
    failures = explained(results, given.seed, given.keep)
    summary = {
        "command": " ".join(["python -m benchmarks.fuzz", *sys.argv[1:]]),
        "seed": given.seed,
        "libraries": {name: version(name) for name in LIBRARIES},
        "seconds": seconds,
        "repeated_for_time": repeated,
        "groups": {group: summarized(results[group]) for group in CHILDREN if results[group]},
        "failures": failures,
    }
    write_text(given.out, json.dumps(summary, indent=1))
    print(fuzz_table(summary))
    return int(bool(failures))


def fuzz(
    wanted: dict[str, int], seed: int, workers: int, journal: Path
) -> dict[str, dict[int, Result]]:
    """Results by group and index, from the journal and for the rest from now."""
    results = read_journal(journal, seed)
    chunks: queue.SimpleQueue = queue.SimpleQueue()
    for group, count in wanted.items():
        left = [index for index in range(count) if index not in results[group]]
        for start in range(0, len(left), CHUNK):
            chunks.put((group, left[start : start + CHUNK]))
    lock, total = threading.Lock(), sum(wanted.values())
    with journal.open("a") as file:
        file.write("\n")  # a run that was killed may have left half a line

        def note(group: str, index: int, found: Result) -> None:
            with lock:
                results[group][index] = found
                line = {"seed": seed, "group": group, "index": index, "found": found}
                file.write(json.dumps(line) + "\n")

        threads = [threading.Thread(target=work, args=(chunks, seed, note)) for _ in range(workers)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(1)
            threads[-1].join(4)
            with lock:
                file.flush()
                print(progress(results, total), file=sys.stderr, flush=True)
    return {
        group: {index: found for index, found in results[group].items() if index < count}
        for group, count in wanted.items()
    }


def repeat_slow(results: dict[str, dict[int, Result]], seed: int) -> int:
    """Try again, one after another, what took too long; how many cases that was.

    The second result replaces the first, and tells so by `repeated`.
    """
    slow = [
        (group, index)
        for group, cases in results.items()
        for index, found in sorted(cases.items())
        if found["code"].startswith(NO_ANSWER)
    ]
    for group, index in slow:
        with Runner(CHILDREN[group]) as runner:
            found = runner.run({"group": group, "seed": seed, "index": index})
        results[group][index] = found | {"repeated": True}
    return len(slow)


def read_journal(journal: Path, seed: int) -> dict[str, dict[int, Result]]:
    """The results of an earlier start with the same seed."""
    results: dict[str, dict[int, Result]] = {group: {} for group in CHILDREN}
    for line in journal.read_text().splitlines() if journal.is_file() else ():
        try:
            noted = json.loads(line)
        except ValueError:  # empty, or the last line of a run that was killed
            continue
        if noted["seed"] == seed:
            results[noted["group"]][noted["index"]] = noted["found"]
    return results


def work(chunks: queue.SimpleQueue, seed: int, note: Any) -> None:
    """Take cases until there are none, with one child at a time."""
    runner: Runner | None = None
    try:
        while True:
            group, indexes = chunks.get_nowait()
            if runner is None or runner.group != CHILDREN[group]:
                if runner is not None:
                    runner.stop()
                runner = Runner(CHILDREN[group])
            for index in indexes:
                note(group, index, runner.run({"group": group, "seed": seed, "index": index}))
    except queue.Empty:
        pass
    finally:
        if runner is not None:
            runner.stop()


def progress(results: dict[str, dict[int, Result]], total: int) -> str:
    """One line for whoever waits."""
    done = sum(map(len, results.values()))
    failed = sum(one["result"] == "failed" for group in results.values() for one in group.values())
    return f"{done:,} of {total:,} cases, {failed:,} failed"


def explained(results: dict[str, dict[int, Result]], seed: int, keep: Path) -> list[dict[str, Any]]:
    """Each kind of failure: how often, the case to repeat it with, and where it is kept."""
    kinds: dict[tuple, list[tuple[str, int]]] = defaultdict(list)
    for group, cases in results.items():
        for index, found in sorted(cases.items()):
            if found["result"] == "failed":
                kinds[group, found["kind"], found["code"], found["where"]].append((group, index))
    failures = []
    for (group, kind, code, where), cases in sorted(kinds.items()):
        index = cases[0][1]
        case, code_alone, where_alone = minimize(make_case(group, seed, index))
        failure = {"group": group, "kind": kind, "code": code, "where": where, "index": index}
        failure |= {"count": len(cases), "fails_again": bool(code_alone), "kept": None}
        if code_alone:
            path = corpus.keep(case, {"code": code_alone, "where": where_alone}, keep)
            failure["kept"] = path.name
            if path.stat().st_size > KEEP_BYTES:
                path.unlink()
                failure["kept"] = None
        failures.append(failure)
    return failures


def summarized(cases: dict[int, Result]) -> dict[str, dict[str, Any]]:
    """The figures of a group, by kind and for "all"."""
    kinds = sorted({found["kind"] for found in cases.values()})
    found = {kind: [one for one in cases.values() if one["kind"] == kind] for kind in kinds}
    return {kind: figures(some) for kind, some in found.items()} | {"all": figures(cases.values())}


def figures(found: Iterable[Result]) -> dict[str, Any]:
    """Counts of cases, of what came of them, and the largest memory and time."""
    found = list(found)
    results = Counter(one["result"] for one in found)
    refused = [one for one in found if one["result"] == "refused"]
    return {
        "cases": len(found),
        "distinct": len({one["digest"] for one in found}),
        "read": results["read"],
        "refused_early": sum(not one["recognized"] for one in refused),
        "refused_late": sum(one["recognized"] for one in refused),
        "failed": results["failed"],
        "codes": dict(Counter(one["code"] for one in refused).most_common()),
        "peak_mb": max(one["peak_mb"] for one in found),
        "slowest_seconds": max(one["seconds"] for one in found),
    }


def fuzz_table(summary: dict[str, Any]) -> str:
    """The summary in Markdown: one row for each kind of file, and what failed."""
    return "\n".join((*_rows(summary), "", *_failure_rows(summary["failures"])))


def _rows(summary: dict[str, Any]) -> Iterator[str]:
    columns = ("cases", "tried", "distinct", "read", "refused at first look", "refused later")
    yield f"| {' | '.join((*columns, 'failed', 'peak MB', 'slowest s'))} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for group, kinds in summary["groups"].items():
        for kind, one in kinds.items():
            yield (
                f"| {group}: {kind} | {one['cases']:,} | {one['distinct']:,} | {one['read']:,} | "
                f"{one['refused_early']:,} | {one['refused_late']:,} | {one['failed']:,} | "
                f"{one['peak_mb']:,} | {one['slowest_seconds']:.2f} |"
            )


def _failure_rows(failures: list[dict[str, Any]]) -> Iterator[str]:
    if not failures:
        yield "No case failed."
        return
    yield "| failure | cases | in | seen again |"
    yield "|---|---|---|---|"
    for one in failures:
        seen = one["kept"] or (f"case {one['index']}" if one["fails_again"] else "no")
        place = f"{one['group']}: {one['kind']}"
        yield f"| {one['code']} {one['where']} | {one['count']:,} | {place} | {seen} |"


if __name__ == "__main__":
    sys.exit(main())
