"""Measure answers per second for 24 clients, from the app and from a plain `gr.Interface`.

    python -m benchmarks.crowd [--weights weights] [--clients 24] [--write]

Both serve the same network on the same machine, in turn. The interface only calls
`Classifier.predict` with torch. Clients are threads of this process that send requests without
pause through the Python client, so that they slow down both servers equally. `--write` writes the
table into docs/benchmarks.md.
"""

import argparse
import contextlib
import os
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from gradio_client import Client, handle_file

from benchmarks.page import table, write_section

SLICE = "examples/tumor_frontal.png"
ASKED = 6  # requests of each client, after one that is not counted
ROUNDS = 3
PLAIN = """
import sys
import gradio as gr
from brainai.inference.classifier import Classifier

classifier = Classifier.load(sys.argv[1], device="cpu", engine="torch")
answer = lambda path: {"probability": classifier.predict(path).probability}
gr.Interface(answer, gr.Image(type="filepath"), gr.JSON(), api_name="predict").launch(quiet=True)
"""
SERVERS = {
    "the app": (["app.py", "--weights"], "flair"),
    "plain gr.Interface": (["-c", PLAIN], "path"),
}


@contextlib.contextmanager
def serving(arguments: list[str], port: int) -> Iterator[str]:
    """Start a server, and yield its address once it accepts requests."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "0"}
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            while server.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{url}/config").close()
                    break
                time.sleep(0.05)
            yield url
        finally:
            server.terminate()


def rate(url: str, parameter: str, count: int) -> tuple[float, float]:
    """Return answers per second for `count` clients, and the median seconds of an answer."""
    context = ssl.create_default_context()

    def connect(_: int) -> Client:
        client = Client(url, ssl_verify=context, verbose=False, analytics_enabled=False)
        client.predict(**{parameter: handle_file(SLICE)}, api_name="/predict")
        return client

    def ask(client: Client) -> list[float]:
        seconds = []
        for _ in range(ASKED):
            started = time.perf_counter()
            client.predict(**{parameter: handle_file(SLICE)}, api_name="/predict")
            seconds.append(time.perf_counter() - started)
        return seconds

    with ThreadPoolExecutor(count) as pool:
        clients = list(pool.map(connect, range(count)))
        started = time.perf_counter()
        seconds = [value for of_client in pool.map(ask, clients) for value in of_client]
        return len(seconds) / (time.perf_counter() - started), statistics.median(seconds)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--weights", default="weights")
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--port", type=int, default=7980)
    parser.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    given = parser.parse_args()
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    for number in range(ROUNDS):
        for place, (name, (arguments, parameter)) in enumerate(SERVERS.items()):
            port = given.port + 2 * number + place
            with serving([*arguments, given.weights], port) as url:
                results[name].append(rate(url, parameter, given.clients))
    rows = [
        (
            name,
            f"{statistics.median(each[0] for each in rates):.1f}",
            ", ".join(f"{each[0]:.1f}" for each in rates),
            f"{statistics.median(each[1] for each in rates):.1f}",
        )
        for name, rates in results.items()
    ]
    head = (f"{given.clients} clients", "answers per second", "in each round", "median wait, s")
    text = table(head, rows)
    print(text)
    if given.write:
        write_section("crowd", "python -m benchmarks.crowd --write", [text])
    return 0


if __name__ == "__main__":
    sys.exit(main())
