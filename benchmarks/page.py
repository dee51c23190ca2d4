"""Write sections of docs/benchmarks.md; each benchmark writes its own."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def machine() -> str:
    """Return the name of the processor, its cores, and which of `FLAGS` it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} cores"
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {key.strip(): value.strip() for key, value in values.items()}
    flags = [flag for flag in FLAGS if flag in values.get("flags", "").split()]
    return f"{values.get('model name')}, {torch.get_num_threads()} cores, {', '.join(flags)}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table.

    >>> print(table(("name", "ms"), [("torch", 5)]))
    | name | ms |
    | --- | --- |
    | torch | 5 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_section(name: str, command: str, tables: Sequence[str]) -> None:
    """Write the tables of a benchmark between its markers, with the command and the machine."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    text = "\n\n".join([f"`{command}` ran on this machine: {machine()}.", *tables])
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
