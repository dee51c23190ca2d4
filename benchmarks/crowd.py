"""What a crowd costs: memory before, during and after, and what each visitor is told.

    python -m benchmarks.crowd [--weights weights] [--port 7989] [--clients 24] [--seconds 60]

Starts `python app.py` in a process of its own. Every client asks for slices, one after the other;
every eighth asks for scans. Target: 30 seconds after the crowd, memory is at most 1.2 times what it
was before it (after one slice and one scan, since libraries take memory for their first work).
"""

import argparse
import collections
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client, handle_file

SLICE, SCAN = "examples/tumor_frontal.png", "examples/tumor_scan_flair.nii.gz"
TARGET, REST_SECONDS = 1.2, 30


def megabytes(process: int) -> int:
    """The resident memory of a process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    status = Path(f"/proc/{process}/status").read_text()
    own = int(status.split("VmRSS:")[1].split()[0]) // 1024
    return own + sum(megabytes(int(child)) for child in children)


def start(weights: str, port: int) -> tuple[subprocess.Popen, str]:
    """The app, once it answers."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
    command = [sys.executable, "app.py", "--weights", weights]
    app, url = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL), ""
    while app.poll() is None and not url:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/config").close()
            url = f"http://127.0.0.1:{port}"
        except OSError:
            time.sleep(0.1)
    return app, url


def visit(client: Client, scans: bool, until: float) -> collections.Counter:
    """Ask until a time; how often which answer came."""
    told = collections.Counter()
    file, name = (SCAN, "/predict_scan") if scans else (SLICE, "/predict")
    while time.monotonic() < until:
        try:
            client.predict(flair=handle_file(file), api_name=name)
            told[f"{name} answered"] += 1
        except Exception as error:
            told[f"{name} {getattr(error, 'title', type(error).__name__)}"] += 1
            time.sleep(1)
    return told


def main() -> int:
    """Print the figures as JSON; 1 where the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--weights", default="weights")
    parser.add_argument("--port", type=int, default=7989)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    app, url = start(given.weights, given.port)
    seen, over = [], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            seen.append(megabytes(app.pid))

    try:
        context = ssl.create_default_context()
        options = {"ssl_verify": context, "verbose": False, "analytics_enabled": False}
        clients = [Client(url, **options) for _ in range(given.clients)]
        clients[0].predict(flair=handle_file(SLICE), api_name="/predict")
        clients[0].predict(flair=handle_file(SCAN), api_name="/predict_scan")
        before = megabytes(app.pid)
        watcher = threading.Thread(target=watch)
        watcher.start()
        until = time.monotonic() + given.seconds
        with ThreadPoolExecutor(given.clients) as pool:
            told = pool.map(lambda n: visit(clients[n], n % 8 == 7, until), range(given.clients))
            told = sum(told, collections.Counter())
        over.set()
        watcher.join()
        time.sleep(REST_SECONDS)
        after = megabytes(app.pid)
    finally:
        app.terminate()
        app.wait()
    figures = {"before_mb": before, "peak_mb": max(seen), "after_mb": after, "told": dict(told)}
    print(json.dumps(figures, indent=2))
    return int(after > TARGET * before)


if __name__ == "__main__":
    sys.exit(main())
