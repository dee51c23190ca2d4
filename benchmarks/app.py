"""Measure how fast the app answers requests of programs; `benchmarks.start` measures its start.

    python -m benchmarks.app [--weights weights] [--port 7999]

`python app.py` is started in its own process, on an idle machine. Targets: a slice through the
Python client takes at most 60 ms more than the model alone (medians); of 16 simultaneous clients,
the slowest waits at most 1.5 times its fair share, which is 16 times the time of the model alone.
"""

import argparse
import json
import ssl
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.serving import SLICE, ask, connect, serving
from brainai.inference.classifier import Classifier

ABOVE_TARGET, SHARE_TARGET = 0.060, 1.5
CLIENTS = 16


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median(work: Callable[[], object], times: int) -> float:
    """Return the median seconds of the work, without two warm-up runs."""
    return statistics.median([seconds(work) for _ in range(times + 2)][2:])


def main() -> int:
    """Print the figures as JSON; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--weights", default="weights")
    parser.add_argument("--port", type=int, default=7999)
    given = parser.parse_args()
    classifier = Classifier.load(given.weights, device="cpu")
    model = median(lambda: classifier.predict(SLICE), 30)
    with serving(["app.py", "--weights", given.weights], given.port) as url:
        context = ssl.create_default_context()
        shared, separate = (
            median(lambda client=client: ask(client), 30)
            for client in (connect(url, context), connect(url, True))
        )
        clients = [connect(url, context) for _ in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            waits = [
                max(pool.map(lambda client: seconds(lambda: ask(client)), clients))
                for _ in range(3)
            ]
    figures = {
        "model_ms": round(1000 * model),
        "client_ms": round(1000 * shared),
        "client_above_model_ms": round(1000 * (shared - model)),
        "client_that_reads_certificates_each_time_ms": round(1000 * separate),
        "slowest_of_16_seconds": [round(wait, 2) for wait in waits],
        "slowest_of_16_in_fair_shares": round(max(waits) / (CLIENTS * model), 2),
    }
    print(json.dumps(figures, indent=2))
    missed = (
        shared - model > ABOVE_TARGET,
        max(waits) / (CLIENTS * model) > SHARE_TARGET,
    )
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
