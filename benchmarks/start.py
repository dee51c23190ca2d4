"""Measure how long a start takes, and where the time goes.

    python -m benchmarks.start [--model weights] [--rounds 5] [--write]

Each figure is a median over new processes, which take turns. The first table times whole
processes: what an import of BrainAI costs, and `app.py` from its start to its first answer, beside
the libraries that it needs. Targets: `import brainai` takes at most 50 ms more than Python itself,
and the first answer comes after at most 1.2 times the imports of torch, timm and gradio. The second
table times the steps of the app in one process. `--write` writes both into docs/benchmarks.md.
"""

import argparse
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping

from benchmarks.page import table, write_section
from benchmarks.serving import SLICE, ask, connect, serving

IMPORT_TARGET, ANSWER_TARGET = 0.050, 1.2
LIBRARIES = "import torch, timm, gradio"
STEPS = {
    "import torch": "import torch",
    "import timm": "import timm",
    "import gradio": "import gradio",
    "import the rest": "from brainai.web import serve",
    "load the model": "model = serve.Classifier.load({model!r}, device='cpu')",
    "build the page": "page = serve.build_page(serve.Jobs.gathered(model), model.info)",
    "open the port": "serve.launch(page, prevent_thread_lock=True, quiet=True)",
    "first answer": "model.predict({picture!r})",
}
STEPWISE = """
import json, sys, time
seconds = {}
for name, step in json.loads(sys.argv[1]).items():
    started = time.perf_counter()
    exec(step)
    seconds[name] = time.perf_counter() - started
print(json.dumps(seconds))
"""


def python(code: str) -> Callable[[], float]:
    """Return a function that runs code in a new process, and returns its seconds."""

    def run() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - started

    return run


def first_answer(model: str, port: int) -> float:
    """Return the seconds from the start of the app to its first answer."""
    started = time.perf_counter()
    with serving(["app.py", "--weights", model], port) as url:
        ask(connect(url, ssl.create_default_context()))
        return time.perf_counter() - started


def medians(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median of what each function returns; they take turns, after a first round."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            spent[name].append(work())
    return {name: statistics.median(seconds[1:]) for name, seconds in spent.items()}


def whole_processes(model: str, rounds: int, port: int) -> dict[str, float]:
    """Return the median seconds of Python, of two imports, and of the app's first answer."""
    ports = iter(range(port, port + rounds + 1))
    return medians(
        {
            "Python": python("pass"),
            "import brainai": python("import brainai"),
            LIBRARIES: python(LIBRARIES),
            "app.py to its first answer": lambda: first_answer(model, next(ports)),
        },
        rounds,
    )


def steps(model: str, rounds: int) -> dict[str, float]:
    """Return the median seconds of each of `STEPS`, and of loading without a cached engine."""
    code = {name: step.format(model=model, picture=SLICE) for name, step in STEPS.items()}
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_CACHE_HOME": cache, "GRADIO_ANALYTICS_ENABLED": "0"}
        command = [sys.executable, "-c", STEPWISE, json.dumps(code)]
        runs = [
            json.loads(
                subprocess.run(
                    command, env=environment, check=True, stdout=subprocess.PIPE, text=True
                ).stdout.splitlines()[-1]
            )
            for _ in range(rounds + 1)
        ]
    first, *later = runs  # the first one compiles the network and keeps it in the cache
    result = {name: statistics.median(run[name] for run in later) for name in STEPS}
    return result | {"load the model for the first time": first["load the model"]}


def main() -> int:
    """Print the tables; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--model", default="weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=7940)
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    given = parser.parse_args()
    whole = whole_processes(given.model, given.rounds, given.port)
    floor, own = whole[LIBRARIES], whole["import brainai"] - whole["Python"]
    tables = [
        table(
            ("process", "seconds", "relative to the libraries"),
            [(name, f"{value:.2f}", f"{value / floor:.2f}") for name, value in whole.items()],
        ),
        table(
            ("step of the app", "seconds"),
            [(name, f"{value:.2f}") for name, value in steps(given.model, given.rounds).items()],
        ),
    ]
    print(*tables, sep="\n\n")
    if given.write:
        command = f"python -m benchmarks.start --rounds {given.rounds} --write"
        write_section("start", command, tables)
    answer = whole["app.py to its first answer"] / floor
    return int(own > IMPORT_TARGET or answer > ANSWER_TARGET)


if __name__ == "__main__":
    sys.exit(main())
