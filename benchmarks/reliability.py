"""Write docs/reliability.md and its chart from the results of the long runs.

    python -m benchmarks.reliability

The results are JSON files in docs/reliability/, each written by a command that the page names.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.kills import kill_table

from benchmarks.fuzz import fuzz_table

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "reliability"
CURVES = (
    ("memory_mb", "memory, MB"),
    ("descriptors", "descriptors"),
    ("threads", "threads"),
    ("files", "uploaded files"),
)
PAGE = """# Reliability

What was tried to break BrainAI, and what came of it. [SECURITY.md](../SECURITY.md) says what is
promised. `python -m benchmarks.reliability` writes this page from the results in
[reliability/](reliability/).

## Damaged and hostile files

Every case runs in a child process that may take 2 GB and 10 seconds. It passes where it is read, or
refused with one of BrainAI's own errors; a crash, a hang, more memory or any other exception fails.

Command: `{fuzz_command}`

{fuzz_table}

## A crowd

{clients} visitors at once for {minutes:g} minutes send slices, scans, damaged files and many slices
together, or vanish in the middle. A process that reads files is killed every few seconds. Each
answer is compared with the one that the model gives alone.

Command: `{soak_command}`

{soak_table}

![Memory, descriptors, threads and uploaded files over the time of the soak](reliability/soak.png)

The crowd comes after 10 seconds; the last {settle:g} seconds are those after it has gone.

## Trainings that are killed

{kill_table}
"""


def soak_table(soak: dict[str, Any]) -> str:
    """The outcomes of the soak as Markdown."""
    rows = ["| visitor | what came | times |", "|---|---|---|"]
    for name, times in soak["outcomes"].items():
        kind, outcome = name.split(": ", 1)
        rows.append(f"| {kind} | {outcome} | {times:,} |")
    quiet, peak, after = (soak["memory_mb"][key] for key in ("before", "peak", "after"))
    rows += [
        "",
        f"- {soak['answers_per_second']} answers a second; "
        f"{soak['wrong_count']} wrong or unexpected ones.",
        f"- {soak['readers_killed']} processes killed meanwhile; "
        f"{soak['visitors_stuck']} visitors left without any answer.",
        f"- Memory of the app with its children: {quiet:,} MB before, {peak:,} MB at most, "
        f"{after:,} MB after.",
        f"- Log: {soak['log_lines']} lines, {soak['log_tracebacks']} tracebacks.",
        f"- Killed and started again while half of them asked; then came: "
        f"{', '.join(f'{name} ({n})' for name, n in sorted(soak['after_restart'].items()))}.",
    ]
    return "\n".join(rows)


def draw_curves(curve: list[dict[str, float]], path: Path) -> None:
    """Draw what was counted over time, one panel each."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the page's text needs no chart

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
    """The text of docs/reliability.md."""
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
    """The results of the three long runs."""
    names = ("fuzz", "soak", "kills")
    return tuple(json.loads((RESULTS / f"{name}.json").read_text()) for name in names)


if __name__ == "__main__":
    found = read_results()
    draw_curves(found[1]["curve"], RESULTS / "soak.png")
    (DOCS / "reliability.md").write_text(page(*found))
