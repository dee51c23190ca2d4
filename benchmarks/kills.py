"""What a training loses when it is killed, runs out of disk, or reads a damaged file.

    python -m benchmarks.kills --out OUT.json [--data DATASET] [--moments 30]

Runs the smoke preset once undisturbed, then once for every moment: `train.py` is ended with
SIGKILL at that moment and started again with `--resume`, and what it then wrote is compared with
the undisturbed run. Without --data, twelve simulated studies are prepared first (some minutes).
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.flips import OPTIONS, flip_rows
from benchmarks.moments import Moment, lines, moments

ROOT = Path(__file__).parents[1]
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
WEIGHTS = (
    "checkpoints/best.safetensors", "model/model.safetensors", "model/decoder.safetensors",
    "model/scope.safetensors",
)  # fmt: skip
LIMIT = 900  # seconds for one run


def start(data: Path, out: Path, *options: str, two: bool = False, limit: int | None = None):
    """`train.py` in a process of its own; `limit` is the largest file in bytes it may write."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    launch = LAUNCH if two else []
    call = [sys.executable, *launch, "train.py", "--data", str(data), "--out", str(out), *OPTIONS]

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [*call, *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restrict if limit else None,
    )


def finish(process: subprocess.Popen) -> str:
    """Wait for the end; the line that train.py ended with, or "" where all went well."""
    said = process.communicate(timeout=LIMIT)[1]
    own = [line for line in said.splitlines() if line.startswith("train.py:")]
    if process.returncode and not own:
        return f"exit status {process.returncode}: {said[-300:]}"
    if "Traceback" in said and not own:
        return f"traceback: {said[-300:]}"
    return own[0] if process.returncode else ""


def unfinished(*folders: Path) -> list[str]:
    """Names of the files and folders that a run has not finished writing."""
    paths = [p for folder in folders if folder.exists() for p in folder.rglob("*")]
    return sorted({p.name for p in paths if p.name.endswith((".partial", ".old"))})


def same(whole: Path, out: Path) -> bool:
    """Whether weights, log and report are those of the undisturbed run."""
    for name in WEIGHTS:
        one, two = load_file(whole / name), load_file(out / name)
        if one.keys() != two.keys() or not all(torch.equal(one[k], two[k]) for k in one):
            return False
    logs, reports = [], []
    for folder in (whole, out):
        log = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        logs.append([{k: v for k, v in epoch.items() if k != "images_per_second"} for epoch in log])
        report = json.loads((folder / "report.json").read_text())
        del report["about"], report["checksum"]  # the command names the folder
        reports.append(report)
    return logs[0] == logs[1] and reports[0] == reports[1]


def resumed(data: Path, out: Path, whole: Path, **how) -> dict:
    """Resume a disturbed run to its end; what came of it."""
    store = data / ".store"
    found = {"unfinished_after": unfinished(out, store), "epochs_logged": lines(out)}
    began = time.monotonic()
    message = finish(start(data, out, "--resume", **how))
    found |= {"resume_says": message, "equal": not message and same(whole, out)}
    found |= {"left_over": unfinished(out, store), "seconds": round(time.monotonic() - began, 1)}
    return found


def kill_rows(data: Path, work: Path, whole: Path, chosen: list[Moment]) -> Iterator[dict]:
    """Kill at every moment and resume."""
    for moment in chosen:
        out, store = work / "killed", data / ".store"
        shutil.rmtree(out, ignore_errors=True)
        if moment.new_store:
            shutil.rmtree(store, ignore_errors=True)
        process, end = start(data, out), time.monotonic() + LIMIT
        while not moment.reached(out, store) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(moment.delay)
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        row = {"moment": moment.name, "phase": moment.phase, "killed": alive}
        yield row | resumed(data, out, whole)


def rank_rows(data: Path, work: Path) -> Iterator[dict]:
    """One of two processes is killed in the third epoch."""
    whole, out = work / "two", work / "one of two"
    assert not finish(start(data, whole, two=True))
    for rank in (0, 1):
        shutil.rmtree(out, ignore_errors=True)
        process, end = start(data, out, two=True), time.monotonic() + LIMIT
        while lines(out) < 2 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process_of(process.pid, rank), signal.SIGKILL)
        began = time.monotonic()
        process.communicate(timeout=LIMIT)
        row = {"moment": f"process {rank} of two in epoch 3", "phase": "two processes"}
        row |= {"killed": True, "others_ended_after": round(time.monotonic() - began, 1)}
        yield row | resumed(data, out, whole, two=True)


def process_of(launcher: int, rank: int) -> int:
    """The process that a launcher started for a rank."""
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and f"RANK={rank}" in (entry / "environ").read_text().split("\0"):
                return int(entry.name)
        except (OSError, ValueError, IndexError):
            continue
    raise RuntimeError(f"no process of rank {rank}")


def full_rows(data: Path, work: Path, whole: Path) -> Iterator[dict]:
    """No room for a file that is larger than so many bytes."""
    for name, limit in (("config.json", 100), ("best.safetensors", 10**5), ("last.pt", 6 * 10**6)):
        out = work / "full"
        shutil.rmtree(out, ignore_errors=True)
        message = finish(start(data, out, limit=limit)).replace(str(out), "RUN")
        row = {"moment": f"no room for {name}", "phase": "disk full", "says": message}
        yield row | resumed(data, out, whole)


def kill_table(results: dict) -> str:
    """The rows as Markdown tables: kills, then damaged files."""
    rows = ["| moment | phase | unfinished on disk | after --resume | seconds |", "|" + "---|" * 5]
    for row in results["kills"]:
        files = ", ".join(f"`{name}`" for name in row["unfinished_after"]) or "nothing"
        outcome = f"“{row['says']}” Then: " if "says" in row else ""
        outcome += "equal" if row["equal"] else f"**differs** {row['resume_says']}"
        outcome += f", left over: {', '.join(row['left_over'])}" if row["left_over"] else ""
        rows.append(
            f"| {row['moment']} | {row['phase']} | {files} | {outcome} | {row['seconds']} |"
        )
    rows += ["", "| file with a flipped byte | read by | outcome |", "|---|---|---|"]
    rows += [f"| `{row['file']}` | {row['by']} | {row['outcome']} |" for row in results["flips"]]
    equal = sum(row["equal"] for row in results["kills"])
    title = f"{equal} of {len(results['kills'])} disturbed runs ended equal, bit for bit."
    return "\n".join([title, f"Command: `{results['command']}`", "", *rows])


def prepare(work: Path) -> tuple[Path, list[str]]:
    """Twelve simulated studies as a data set, and the options that prepared it."""
    options = ["--source", "phantom", "--root", str(work / "studies"), "--phantoms", "12"]
    options += ["--out", str(work / "data")]
    subprocess.run([sys.executable, "-m", "brainai.data.prepare", *options], cwd=ROOT, check=True)
    return work / "data", options


def main() -> int:
    """Write the rows as JSON; 1 where a run did not end equal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--data", type=Path, help="dataset folder; a copy of it is used")
    parser.add_argument("--moments", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if given.data is None:
            data, _ = prepare(work)
        else:
            data = shutil.copytree(given.data, work / "data")
        whole = work / "whole"
        assert not finish(start(data, whole))
        every = moments()
        chosen = [every[i * len(every) // given.moments] for i in range(given.moments)]
        results = {"command": "python -m benchmarks.kills --out OUT.json", "kills": [], "flips": []}
        results["flips"] = list(flip_rows(data, whole, work / "flipped"))
        for rows in (
            kill_rows(data, work, whole, chosen),
            full_rows(data, work, whole),
            rank_rows(data, work),
        ):
            for row in rows:
                print(json.dumps(row), flush=True)
                results["kills"].append(row)
                given.out.write_text(json.dumps(results, indent=2) + "\n")
    return int(not all(row["equal"] for row in results["kills"]))


if __name__ == "__main__":
    sys.exit(main())
