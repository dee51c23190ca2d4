"""Test the readers and the app on tens of thousands of damaged and unusual files.

    python -m benchmarks.fuzz --pictures 50000 --scans 10000 --answers 2000 --requests 1000 \\
        --seed 0 --workers 2 --out fuzz.json

Each case runs in a child process that is limited to 2 GB and 10 s. A case that takes longer is
repeated once after all others, because the machine may have been busy. Only BrainAI's own errors
are allowed. Results are saved in OUT.journal, from which the same command continues. For each kind
of failure, one case is minimized and kept in `--keep`. The exit status is 1 if any case failed.
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
KEEP_BYTES = 40_000  # a larger zip file of a case is not kept, only its number
LIBRARIES = ("pillow", "SimpleITK", "numpy", "gradio", "torch")
Result = dict[str, Any]


def main() -> int:
    """Run the cases that are not in the journal yet, and write the summary."""
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
    counts = {group: getattr(given, group) for group in CHILDREN}
    started = time.monotonic()
    journal = given.out.with_suffix(".journal")
    results = fuzz(counts, given.seed, given.workers, journal)
    repeated = repeat_slow(results, given.seed)
    seconds = round(time.monotonic() - started)  # of the last start only, if there were several
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
    counts: dict[str, int], seed: int, workers: int, journal: Path
) -> dict[str, dict[int, Result]]:
    """Return results by group and index: those of the journal, and new ones for the rest."""
    results = read_journal(journal, seed)
    chunks: queue.SimpleQueue = queue.SimpleQueue()
    for group, count in counts.items():
        pending = [index for index in range(count) if index not in results[group]]
        for start in range(0, len(pending), CHUNK):
            chunks.put((group, pending[start : start + CHUNK]))
    lock, total = threading.Lock(), sum(counts.values())
    with journal.open("a") as file:
        file.write("\n")  # a killed run may have left an incomplete line

        def note(group: str, index: int, result: Result) -> None:
            with lock:
                results[group][index] = result
                line = {"seed": seed, "group": group, "index": index, "found": result}
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
        group: {index: result for index, result in results[group].items() if index < count}
        for group, count in counts.items()
    }


def repeat_slow(results: dict[str, dict[int, Result]], seed: int) -> int:
    """Repeat the cases that took too long, one after another, and return their number.

    The second result replaces the first, with `repeated` set.
    """
    slow = [
        (group, index)
        for group, cases in results.items()
        for index, result in sorted(cases.items())
        if result["code"].startswith(NO_ANSWER)
    ]
    for group, index in slow:
        with Runner(CHILDREN[group]) as runner:
            result = runner.run({"group": group, "seed": seed, "index": index})
        results[group][index] = result | {"repeated": True}
    return len(slow)


def read_journal(journal: Path, seed: int) -> dict[str, dict[int, Result]]:
    """Return the results of earlier starts with the same seed."""
    results: dict[str, dict[int, Result]] = {group: {} for group in CHILDREN}
    for line in journal.read_text().splitlines() if journal.is_file() else ():
        try:
            noted = json.loads(line)
        except ValueError:  # an empty line, or the incomplete last line of a killed run
            continue
        if noted["seed"] == seed:
            results[noted["group"]][noted["index"]] = noted["found"]
    return results


def work(chunks: queue.SimpleQueue, seed: int, note: Any) -> None:
    """Run cases until there are none left, with one child process at a time."""
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
    """Return a line that says how many cases are done and how many failed."""
    done = sum(map(len, results.values()))
    cases = [case for group in results.values() for case in group.values()]
    failed = sum(case["result"] == "failed" for case in cases)
    return f"{done:,} of {total:,} cases, {failed:,} failed"


def explained(results: dict[str, dict[int, Result]], seed: int, keep: Path) -> list[dict[str, Any]]:
    """Return each kind of failure: its count, a case to reproduce it, and the file kept."""
    kinds: dict[tuple, list[tuple[str, int]]] = defaultdict(list)
    for group, cases in results.items():
        for index, result in sorted(cases.items()):
            if result["result"] == "failed":
                kinds[group, result["kind"], result["code"], result["where"]].append((group, index))
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
    """Return the figures of a group, by kind and for "all"."""
    kinds = sorted({case["kind"] for case in cases.values()})
    by_kind = {kind: [case for case in cases.values() if case["kind"] == kind] for kind in kinds}
    summary = {kind: figures(of_kind) for kind, of_kind in by_kind.items()}
    return summary | {"all": figures(cases.values())}


def figures(cases: Iterable[Result]) -> dict[str, Any]:
    """Return counts of cases and outcomes, and the largest memory and time."""
    cases = list(cases)
    results = Counter(case["result"] for case in cases)
    refused = [case for case in cases if case["result"] == "refused"]
    return {
        "cases": len(cases),
        "distinct": len({case["digest"] for case in cases}),
        "read": results["read"],
        "refused_early": sum(not case["recognized"] for case in refused),
        "refused_late": sum(case["recognized"] for case in refused),
        "failed": results["failed"],
        "codes": dict(Counter(case["code"] for case in refused).most_common()),
        "peak_mb": max(case["peak_mb"] for case in cases),
        "slowest_seconds": max(case["seconds"] for case in cases),
    }


def fuzz_table(summary: dict[str, Any]) -> str:
    """Return the summary as Markdown: a row for each kind of file, and the failures."""
    return "\n".join((*_rows(summary), "", *_failure_rows(summary["failures"])))


def _rows(summary: dict[str, Any]) -> Iterator[str]:
    columns = ("cases", "tested", "distinct", "read", "not recognized", "recognized, then refused")
    yield f"| {' | '.join((*columns, 'failed', 'peak MB', 'slowest s'))} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for group, kinds in summary["groups"].items():
        for kind, row in kinds.items():
            yield (
                f"| {group}: {kind} | {row['cases']:,} | {row['distinct']:,} | {row['read']:,} | "
                f"{row['refused_early']:,} | {row['refused_late']:,} | {row['failed']:,} | "
                f"{row['peak_mb']:,} | {row['slowest_seconds']:.2f} |"
            )


def _failure_rows(failures: list[dict[str, Any]]) -> Iterator[str]:
    if not failures:
        yield "No case failed."
        return
    yield "| failure | cases | kind | reproduced by |"
    yield "|---|---|---|---|"
    for failure in failures:
        case = f"case {failure['index']}" if failure["fails_again"] else "not reproduced"
        case, kind = failure["kept"] or case, f"{failure['group']}: {failure['kind']}"
        name = f"{failure['code']} {failure['where']}".strip()
        yield f"| {name} | {failure['count']:,} | {kind} | {case} |"


if __name__ == "__main__":
    sys.exit(main())
