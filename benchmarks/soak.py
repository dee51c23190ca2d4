"""Test the app with many visitors at once, some of whom send damaged files or disconnect.

    python -m benchmarks.soak [--minutes 10] [--clients 40] [--weights weights] [--out soak.json]

The visitors send requests to `python app.py`, and every answer is compared with the model's answer
without a crowd. Every few seconds, a process that reads files is killed. At the end, the app is
killed and restarted while visitors continue. Memory (proportional set size), descriptors, threads
and files of the app and its children are counted every two seconds.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from brainai.inference.classifier import Classifier

EXAMPLES = Path("examples")
SHARES = {"slice": 0.62, "bad": 0.15, "scan": 0.03, "many": 0.05, "vanish": 0.15}
DAMAGED = {
    "cut.png": lambda content: content[: len(content) // 2],
    "text.png": lambda _: b"no picture",
    "empty.tif": lambda _: b"",
    "cut.nii.gz": lambda content: content[:1000],
    "no.dcm": lambda content: content[:500],
}
EVERY_SECONDS, KILL_SECONDS = 2.0, 7.0
SETTLE_SECONDS = 45.0


@dataclass
class Crowd:
    """State shared by all visitors: the address, the expected answers, and the outcomes."""

    url: str
    expected: dict[str, float]
    files: dict[str, list[Path]]
    stop: threading.Event = field(default_factory=threading.Event)
    down: threading.Event = field(default_factory=threading.Event)  # set while the app restarts
    outcomes: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str, outcome: str, seconds: float | None = None) -> None:
        with self.lock:
            self.outcomes[f"{kind}: {outcome}"] += 1
            if seconds is not None:
                self.seconds.setdefault(kind, []).append(seconds)

    def note_wrong(self, message: str) -> None:
        with self.lock:
            self.wrong.append(message)


def write_files(folder: Path) -> dict[str, list[Path]]:
    """Write damaged files, and return the files of every kind of request."""
    slices = sorted(EXAMPLES.glob("*.png"))
    scan = EXAMPLES / "tumor_scan_flair.nii.gz"
    packed = folder / "nifti.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("notes.txt", "no scan")
    bad = [packed]
    for name, damage in DAMAGED.items():
        source = scan if name.endswith(".gz") else slices[0]
        bad.append(folder / name)
        bad[-1].write_bytes(damage(source.read_bytes()))
    return {"slice": slices, "scan": [scan], "many": slices, "bad": bad}


def expected_answers(weights: str, files: dict[str, list[Path]]) -> dict[str, float]:
    """Return the model's probability for each good file, without a crowd."""
    classifier = Classifier.load(weights, device="cpu")
    answers = {str(f): round(classifier.predict(f).probability, 6) for f in files["slice"]}
    scans = {str(f): round(classifier.predict_scan(f).probability, 6) for f in files["scan"]}
    return answers | scans


def visit(crowd: Crowd, number: int, seed: int) -> None:
    """Send requests as one visitor until the test stops."""
    draw = random.Random(seed)
    client = None
    while not crowd.stop.is_set():
        kind = draw.choices(list(SHARES), SHARES.values())[0]
        started = time.perf_counter()
        try:
            client = client or connect(crowd.url, number)
            ask(crowd, client, kind, draw)
            crowd.count(kind, "answered", time.perf_counter() - started)
        except AppError as error:
            crowd.count(kind, f"told {error.title}", time.perf_counter() - started)
            if error.title in ("busy", "full", "too_much"):
                crowd.stop.wait(draw.uniform(1, 5))
            elif kind != "bad":
                crowd.note_wrong(f"{kind}: {error.title}: {error.message}")
        except Exception as error:
            away = crowd.down.is_set()
            crowd.count(kind, "app away" if away else f"failed {type(error).__name__}")
            if not away:
                crowd.note_wrong(f"{kind}: {type(error).__name__}: {error}")
            client = None
            crowd.stop.wait(draw.uniform(0.5, 2))


def connect(url: str, number: int) -> Client:
    """Return a client with its own address, as behind a proxy."""
    return Client(
        url,
        ssl_verify=CERTIFICATES,
        verbose=False,
        analytics_enabled=False,
        headers={"X-Forwarded-For": f"10.0.0.{number + 1}"},
    )


CERTIFICATES = ssl.create_default_context()


def ask(crowd: Crowd, client: Client, kind: str, draw: random.Random) -> None:
    """Send a request, and check the answer."""
    if kind == "vanish":
        vanish(crowd, draw)
    elif kind == "many":
        files = draw.sample(crowd.files["many"], 3)
        sent = [handle_file(str(file)) for file in files]
        answers = client.predict(sent, api_name="/predict_batch")["answers"]
        for file, answer in zip(files, answers, strict=True):
            compare(crowd, file, answer)
    else:
        file = draw.choice(crowd.files[kind])
        scan = kind == "scan" or (kind == "bad" and not file.name.endswith((".png", ".tif")))
        answer = client.predict(
            flair=handle_file(str(file)), api_name="/predict_scan" if scan else "/predict"
        )
        if kind == "bad":
            crowd.note_wrong(f"bad: {file.name} was answered")
        else:
            compare(crowd, file, answer)


def compare(crowd: Crowd, file: Path, answer: dict[str, Any]) -> None:
    if answer["probability"] != crowd.expected[str(file)]:
        probability, expected = answer["probability"], crowd.expected[str(file)]
        crowd.note_wrong(f"{file.name}: expected {expected}, found {probability}")


def vanish(crowd: Crowd, draw: random.Random) -> None:
    """Disconnect during an upload, or between a request and its answer."""
    api = f"{crowd.url}/gradio_api"
    content = draw.choice(crowd.files["slice"]).read_bytes()
    with httpx.Client(timeout=30, headers={"X-Forwarded-For": "10.0.1.1"}) as client:
        if draw.random() < 0.3:
            with contextlib.suppress(httpx.HTTPError, OSError):
                client.post(f"{api}/upload", content=broken_body(content), headers=FORM)
            return
        reply = client.post(f"{api}/upload", files={"files": ("a.png", content)})
        if reply.status_code >= 400:
            return
        file = {"path": reply.json()[0], "meta": {"_type": "gradio.FileData"}}
        data = {"data": [file, None, None, None]}
        event = client.post(f"{api}/call/predict", json=data).json().get("event_id")
        if event and draw.random() < 0.7:
            with client.stream("GET", f"{api}/call/predict/{event}") as stream:
                next(stream.iter_bytes(), None)


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def broken_body(content: bytes) -> Iterator[bytes]:
    """Yield an upload that breaks off."""
    yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    yield content[: len(content) // 2]
    raise OSError("gone")


def tree(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    processes = [pid]
    for parent in processes:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                processes += map(int, (task / "children").read_text().split())
    return processes


def measure(pid: int, folder: Path) -> dict[str, float]:
    """Return memory in MB, descriptors, threads and uploads of the app and its children."""
    total = Counter()
    for process in tree(pid):
        with contextlib.suppress(OSError, ValueError, StopIteration):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total["memory_mb"] += next(int(s.split()[1]) for s in lines if s[:4] == "Pss:") / 1024
            total["descriptors"] += len(os.listdir(f"/proc/{process}/fd"))
            total["threads"] += len(os.listdir(f"/proc/{process}/task"))
            total["processes"] += 1
    sizes = [size for place, _, names in os.walk(folder) for size in _sizes(place, names)]
    total["files"], total["files_mb"] = len(sizes), sum(sizes) / 2**20
    return {key: round(value, 1) for key, value in total.items()}


def _sizes(place: str, names: list[str]) -> Iterator[int]:
    for name in names:
        with contextlib.suppress(OSError):  # the app may delete the file at any time
            yield os.lstat(f"{place}/{name}").st_size


def start(weights: str, port: int, folder: Path, log: Path) -> subprocess.Popen:
    """Start the app, and return it once it answers."""
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "TMPDIR": str(folder),
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
    }
    with log.open("a") as file:
        command = [sys.executable, "app.py", "--weights", weights]
        app = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    while app.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/config").raise_for_status()
            return app
        time.sleep(0.1)
    raise SystemExit(f"the app did not start: {log.read_text()[-500:]}")


def kill_readers(crowd: Crowd, app: subprocess.Popen, killed: Counter) -> None:
    """Kill one of the processes that read files every few seconds."""
    draw = random.Random(0)
    while not crowd.stop.wait(KILL_SECONDS):
        children = tree(app.pid)[1:]
        if children and not crowd.down.is_set():
            with contextlib.suppress(OSError):
                os.kill(draw.choice(children), signal.SIGKILL)
                killed["readers"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--weights", default="weights")
    parser.add_argument("--port", type=int, default=7998)
    parser.add_argument("--out", type=Path, default=Path("soak.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        result = soak(options, Path(name))
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "curve"}, indent=1))


def soak(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the whole test, and return the results as JSON."""
    files = write_files(folder)
    expected = expected_answers(options.weights, files)
    temporary, log = folder / "temporary", folder / "log"
    temporary.mkdir()
    app = start(options.weights, options.port, temporary, log)
    crowd, killed = Crowd(f"http://127.0.0.1:{options.port}", expected, files), Counter()
    curve, started = [], time.monotonic()

    def sample_until(moment: float) -> None:
        while time.monotonic() < moment:
            state = measure(app.pid, temporary)
            curve.append({"seconds": round(time.monotonic() - started, 1)} | state)
            time.sleep(EVERY_SECONDS)

    connect(crowd.url, 0).predict(flair=handle_file(str(files["slice"][0])), api_name="/predict")
    sample_until(started + 10)
    crowded = len(curve)
    threads = [
        threading.Thread(target=visit, args=(crowd, number, number), daemon=True)
        for number in range(options.clients)
    ]
    threads.append(threading.Thread(target=kill_readers, args=(crowd, app, killed), daemon=True))
    for thread in threads:
        thread.start()
    sample_until(started + 10 + options.minutes * 60)
    before = dict(crowd.outcomes)
    crowd.stop.set()
    for thread in threads:
        thread.join(200)
    stuck = sum(thread.is_alive() for thread in threads)
    sample_until(time.monotonic() + SETTLE_SECONDS)
    restarted = restart(options, crowd, app, temporary, log)
    lines = log.read_text().splitlines()
    return {
        "command": f"python -m benchmarks.soak --minutes {options.minutes:g} "
        f"--clients {options.clients}",
        "clients": options.clients,
        "minutes": options.minutes,
        "settle_seconds": SETTLE_SECONDS,
        "outcomes": dict(sorted(before.items())),
        "memory_mb": {
            "before": curve[crowded - 1]["memory_mb"],
            "peak": max(state["memory_mb"] for state in curve),
            "after": curve[-1]["memory_mb"],
        },
        "answers_per_second": round(
            sum(n for key, n in before.items() if "answered" in key) / options.minutes / 60, 2
        ),
        "median_seconds": {k: round(sorted(v)[len(v) // 2], 2) for k, v in crowd.seconds.items()},
        "wrong": crowd.wrong[:50],
        "wrong_count": len(crowd.wrong),
        "readers_killed": killed["readers"],
        "visitors_stuck": stuck,
        "after_restart": restarted,
        "log_lines": len(lines),
        "log_tracebacks": sum("Traceback" in line for line in lines),
        "curve": curve,
    }


def restart(
    options: argparse.Namespace,
    crowd: Crowd,
    app: subprocess.Popen,
    temporary: Path,
    log: Path,
) -> dict[str, int]:
    """Kill the app while visitors send requests, restart it, and return the outcomes after that."""
    crowd.stop.clear()
    threads = [
        threading.Thread(target=visit, args=(crowd, number, 1000 + number), daemon=True)
        for number in range(options.clients // 2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(5)
    crowd.down.set()
    app.kill()
    app.wait()
    again = start(options.weights, options.port, temporary, log)
    time.sleep(3)
    crowd.down.clear()
    before = crowd.outcomes.copy()
    time.sleep(20)
    crowd.stop.set()
    for thread in threads:
        thread.join(100)
    again.terminate()
    again.wait(60)
    return dict(crowd.outcomes - before)


if __name__ == "__main__":
    main()
