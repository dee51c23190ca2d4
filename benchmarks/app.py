"""How fast the app starts and answers, asked as programs ask it.

    python -m benchmarks.app [--weights weights] [--port 7999]

Starts `python app.py` in a process of its own, on an idle machine. Targets: from the start of that
process to its first answer 1.5 times what importing torch, timm and gradio takes; the median of
a slice through the Python client 60 ms more than the model's own time; of 16 clients at once, the
slowest waits 1.5 times its fair share, 16 times the model's own time.
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
    """The app, once it can be asked."""
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
    """Seconds of the work, after two times that are not counted."""
    return statistics.median([seconds(work) for _ in range(times + 2)][2:])


def first_answer(weights: str, port: int) -> float:
    """Seconds from the start of the process to its first answer."""
    started = time.perf_counter()
    with serving(weights, port) as url:
        ask(connect(url, ssl.create_default_context()))
        return time.perf_counter() - started


def main() -> int:
    """Print the figures as JSON; 1 where a target is missed."""
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
        client, plain = connect(url, context), connect(url, True)
        through, without = (median(lambda one=one: ask(one), 30) for one in (client, plain))
        clients = [connect(url, context) for _ in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            waits = [
                max(pool.map(lambda one: seconds(lambda: ask(one)), clients)) for _ in range(3)
            ]
    figures = {
        "imports_seconds": round(imports, 2),
        "first_answer_seconds": round(start, 2),
        "first_answer_in_imports": round(start / imports, 2),
        "model_ms": round(1000 * model),
        "client_ms": round(1000 * through),
        "client_above_model_ms": round(1000 * (through - model)),
        "client_that_reads_certificates_each_time_ms": round(1000 * without),
        "slowest_of_16_seconds": [round(wait, 2) for wait in waits],
        "slowest_of_16_in_fair_shares": round(max(waits) / (CLIENTS * model), 2),
    }
    print(json.dumps(figures, indent=2))
    missed = (
        start / imports > START_TARGET,
        through - model > ABOVE_TARGET,
        max(waits) / (CLIENTS * model) > SHARE_TARGET,
    )
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
