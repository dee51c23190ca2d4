"""Write docs/reliability.md and its chart from the results of the long tests.

    python -m benchmarks.reliability

The results are JSON files in docs/reliability/. The page names the commands that write them.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.fuzz import fuzz_table
from benchmarks.kills import kill_table

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "reliability"
CURVES = (
    ("memory_mb", "memory, MB"),
    ("descriptors", "descriptors"),
    ("threads", "threads"),
    ("files", "uploaded files"),
)
REQUESTS = {  # names of requests in soak.json
    "bad": "damaged file",
    "many": "batch of slices",
    "scan": "scan",
    "slice": "slice",
    "vanish": "disconnecting visitor",
}
PAGE = """# Reliability

This page reports tests that try to break BrainAI. [SECURITY.md](../SECURITY.md) states what is
promised. `python -m benchmarks.reliability` writes this page from the results in
[reliability/](reliability/).

## Damaged and hostile files

Every case runs in a child process that is limited to 2 GB and 10 seconds. A case passes if it is
read, or refused with one of BrainAI's own errors. A crash, a timeout, more memory or any other
exception is a failure. The tables show the outcomes for each kind of case, and the failures. The
command was

`{fuzz_command}`

{fuzz_table}

## Many visitors at once

For {minutes:g} minutes, {clients} simultaneous visitors send slices, scans, damaged files and
batches of slices, or disconnect midway. Every few seconds, a process that reads files
is killed. Each answer is compared with the model's answer to the same file without other visitors.
The table shows how often each request had each outcome. The command was

`{soak_command}`

{soak_table}

![Memory, descriptors, threads and uploaded files during the test](reliability/soak.png)

The visitors arrive after 10 seconds, and leave before the last {settle:g} seconds.

## Interrupted training

{kill_table}
"""


def soak_table(soak: dict[str, Any]) -> str:
    """Return the outcomes of the soak test as Markdown."""
    rows = ["| request | outcome | count |", "|---|---|---|"]
    for name, times in soak["outcomes"].items():
        kind, outcome = name.split(": ", 1)
        rows.append(f"| {REQUESTS[kind]} | {_outcome_text(outcome)} | {times:,} |")
    quiet, peak, after = (soak["memory_mb"][key] for key in ("before", "peak", "after"))
    after_restart = []
    for name, times in sorted(soak["after_restart"].items()):
        kind, outcome = name.split(": ", 1)
        after_restart.append(f"{REQUESTS[kind]}, {_outcome_text(outcome)} ({times})")
    rows += [
        "",
        f"- The app gave {soak['answers_per_second']} answers per second; "
        f"{soak['wrong_count']} answers were wrong or unexpected.",
        f"- {soak['readers_killed']} processes were killed during the test; "
        f"{soak['visitors_stuck']} visitors never got an answer.",
        f"- The app and its child processes used {quiet:,} MB of memory before the test, at most "
        f"{peak:,} MB during it, and {after:,} MB after it.",
        f"- The log has {soak['log_lines']} lines and {soak['log_tracebacks']} tracebacks.",
        "- Then the app was killed and restarted while half of the visitors sent requests. After "
        f"that, the outcomes were: {'; '.join(after_restart)}.",
    ]
    return "\n".join(rows)


def _outcome_text(outcome: str) -> str:
    """Return an outcome in words, such as "error: unreadable" for "told unreadable"."""
    return outcome.replace("told ", "error: ")


def draw_curves(curve: list[dict[str, float]], path: Path) -> None:
    """Draw each count over time in its own panel."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the text of the page needs no chart

    figure = Figure(figsize=(8, 8), layout="constrained")
    minutes = [state["seconds"] / 60 for state in curve]
    for axes, (key, name) in zip(figure.subplots(len(CURVES), sharex=True), CURVES, strict=True):
        axes.plot(minutes, [state.get(key, 0) for state in curve], linewidth=1)
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    axes.set_xlabel("minutes")
    figure.savefig(path, dpi=110)


def page(fuzz: dict[str, Any], soak: dict[str, Any], kills: dict[str, Any]) -> str:
    """Return the text of docs/reliability.md."""
    return PAGE.format(
        fuzz_command=fuzz["command"],
        fuzz_table=fuzz_table(fuzz),
        clients=soak["clients"],
        minutes=soak["minutes"],
        soak_command=soak["command"],
        soak_table=soak_table(soak),
        settle=soak["settle_seconds"],
        kill_table=kill_table(kills),
    )


def read_results() -> tuple[dict[str, Any], ...]:
    """Read the results of the three long tests."""
    names = ("fuzz", "soak", "kills")
    return tuple(json.loads((RESULTS / f"{name}.json").read_text()) for name in names)


if __name__ == "__main__":
    results = read_results()
    draw_curves(results[1]["curve"], RESULTS / "soak.png")
    (DOCS / "reliability.md").write_text(page(*results))
