"""Measure how fast the app starts and answers requests of programs.

    python -m benchmarks.app [--weights weights] [--port 7999]

`python app.py` is started in its own process, on an idle machine. Targets: the time from the start
of the process to its first answer is at most 1.5 times the time of importing torch, timm and
gradio; a slice through the Python client takes at most 60 ms more than the model alone (medians);
of 16 simultaneous clients, the slowest waits at most 1.5 times its fair share, which is 16 times
the time of the model alone.
"""

import argparse
import contextlib
import json
import os
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from gradio_client import Client, handle_file

from brainai.inference.classifier import Classifier

SLICE = "examples/tumor_frontal.png"
START_TARGET, ABOVE_TARGET, SHARE_TARGET = 1.5, 0.060, 1.5
CLIENTS = 16
IMPORTS = "import torch, timm, gradio"


@contextlib.contextmanager
def serving(weights: str, port: int) -> Iterator[str]:
    """Start the app, and yield its address once it accepts requests."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
    command = [sys.executable, "app.py", "--weights", weights]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as app:
        try:
            while app.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{url}/config").close()
                    break
                time.sleep(0.02)
            yield url
        finally:
            app.terminate()


def connect(url: str, context: ssl.SSLContext | bool) -> Client:
    return Client(url, ssl_verify=context, verbose=False, analytics_enabled=False)


def ask(client: Client) -> None:
    client.predict(flair=handle_file(SLICE), api_name="/predict")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median(work: Callable[[], object], times: int) -> float:
    """Return the median seconds of the work, without two warm-up runs."""
    return statistics.median([seconds(work) for _ in range(times + 2)][2:])


def first_answer(weights: str, port: int) -> float:
    """Return the seconds from the start of the process to its first answer."""
    started = time.perf_counter()
    with serving(weights, port) as url:
        ask(connect(url, ssl.create_default_context()))
        return time.perf_counter() - started


def main() -> int:
    """Print the figures as JSON; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--weights", default="weights")
    parser.add_argument("--port", type=int, default=7999)
    given = parser.parse_args()
    imports = median(lambda: subprocess.run([sys.executable, "-c", IMPORTS], check=True), 3)
    start = statistics.median(first_answer(given.weights, given.port + n) for n in range(3))
    classifier = Classifier.load(given.weights, device="cpu")
    model = median(lambda: classifier.predict(SLICE), 30)
    with serving(given.weights, given.port + 3) as url:
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
        "imports_seconds": round(imports, 2),
        "first_answer_seconds": round(start, 2),
        "first_answer_in_imports": round(start / imports, 2),
        "model_ms": round(1000 * model),
        "client_ms": round(1000 * shared),
        "client_above_model_ms": round(1000 * (shared - model)),
        "client_that_reads_certificates_each_time_ms": round(1000 * separate),
        "slowest_of_16_seconds": [round(wait, 2) for wait in waits],
        "slowest_of_16_in_fair_shares": round(max(waits) / (CLIENTS * model), 2),
    }
    print(json.dumps(figures, indent=2))
    missed = (
        start / imports > START_TARGET,
        shared - model > ABOVE_TARGET,
        max(waits) / (CLIENTS * model) > SHARE_TARGET,
    )
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
