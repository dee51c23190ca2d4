"""Measure answers per second for 24 clients, from the app and from a plain `gr.Interface`.

    python -m benchmarks.crowd [--weights weights] [--clients 24] [--write]

Both serve the same network on the same machine, in turn. The interface only calls
`Classifier.predict` with torch. Clients are threads of this process that send requests without
pause through the Python client, so that they slow down both servers equally. `--write` writes the
table into docs/benchmarks.md.
"""

import argparse
import ssl
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from gradio_client import Client

from benchmarks.page import table, write_section
from benchmarks.serving import ask, connect, serving

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


def rate(url: str, parameter: str, count: int, asked: int = ASKED) -> tuple[float, float]:
    """Return answers per second for `count` clients, and the median seconds of an answer."""
    context = ssl.create_default_context()

    def warmed(_: int) -> Client:
        client = connect(url, context)
        ask(client, parameter)
        return client

    def waits(client: Client) -> list[float]:
        seconds = []
        for _ in range(asked):
            started = time.perf_counter()
            ask(client, parameter)
            seconds.append(time.perf_counter() - started)
        return seconds

    with ThreadPoolExecutor(count) as pool:
        clients = list(pool.map(warmed, range(count)))
        started = time.perf_counter()
        seconds = [value for of_client in pool.map(waits, clients) for value in of_client]
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
