"""Test whether training recovers from a kill, a full disk, or a damaged file.

    python -m benchmarks.kills --out OUT.json [--data DATASET] [--moments 30]

The smoke preset runs once without interruption, then once for every moment: `train.py` is ended
with SIGKILL at that moment and restarted with `--resume`, and its output is compared with that of
the uninterrupted run. Without --data, twelve simulated studies are prepared first (some minutes).
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
LIMIT = 900  # seconds per run


def start(data: Path, out: Path, *options: str, two: bool = False, limit: int | None = None):
    """Start `train.py` in its own process; it may write files of up to `limit` bytes."""
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
    """Wait for the end, and return the error message of train.py, or "" if it succeeded."""
    output = process.communicate(timeout=LIMIT)[1]
    messages = [line for line in output.splitlines() if line.startswith("train.py:")]
    if process.returncode and not messages:
        return f"exit status {process.returncode}: {output[-300:]}"
    if "Traceback" in output and not messages:
        return f"traceback: {output[-300:]}"
    return messages[0] if process.returncode else ""


def unfinished(*folders: Path) -> list[str]:
    """Return the names of the files and folders that a run has not finished writing."""
    paths = [p for folder in folders if folder.exists() for p in folder.rglob("*")]
    return sorted({p.name for p in paths if p.name.endswith((".partial", ".old"))})


def same(whole: Path, out: Path) -> bool:
    """Return whether weights, log and report equal those of the uninterrupted run."""
    for name in WEIGHTS:
        one, two = load_file(whole / name), load_file(out / name)
        if one.keys() != two.keys() or not all(torch.equal(one[k], two[k]) for k in one):
            return False
    logs, reports = [], []
    for folder in (whole, out):
        log = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        logs.append([{k: v for k, v in epoch.items() if k != "images_per_second"} for epoch in log])
        report = json.loads((folder / "report.json").read_text())
        del report["about"], report["checksum"]  # they depend on the name of the run folder
        reports.append(report)
    return logs[0] == logs[1] and reports[0] == reports[1]


def resumed(data: Path, out: Path, whole: Path, **options) -> dict:
    """Resume an interrupted run to its end, and return the outcome."""
    store = data / ".store"
    row = {"unfinished_after": unfinished(out, store), "epochs_logged": lines(out)}
    started = time.monotonic()
    message = finish(start(data, out, "--resume", **options))
    row |= {"resume_says": message, "equal": not message and same(whole, out)}
    row |= {"left_over": unfinished(out, store), "seconds": round(time.monotonic() - started, 1)}
    return row


def kill_rows(data: Path, work: Path, whole: Path, chosen: list[Moment]) -> Iterator[dict]:
    """Kill a run at each moment and resume it."""
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
    """Kill one of two processes in the third epoch, and resume."""
    whole, out = work / "two", work / "one of two"
    assert not finish(start(data, whole, two=True))
    for rank in (0, 1):
        shutil.rmtree(out, ignore_errors=True)
        process, end = start(data, out, two=True), time.monotonic() + LIMIT
        while lines(out) < 2 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process_of(process.pid, rank), signal.SIGKILL)
        killed = time.monotonic()
        process.communicate(timeout=LIMIT)
        row = {"moment": f"process {rank} of two in epoch 3", "phase": "two processes"}
        row |= {"killed": True, "others_ended_after": round(time.monotonic() - killed, 1)}
        yield row | resumed(data, out, whole, two=True)


def process_of(launcher: int, rank: int) -> int:
    """Return the id of the process that a launcher started for a rank."""
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and f"RANK={rank}" in (entry / "environ").read_text().split("\0"):
                return int(entry.name)
        except (OSError, ValueError, IndexError):
            continue
    raise RuntimeError(f"no process of rank {rank}")


def full_rows(data: Path, work: Path, whole: Path) -> Iterator[dict]:
    """Run with a limit on the size of files, which fails as on a full disk, and resume."""
    for name, limit in (("config.json", 100), ("best.safetensors", 10**5), ("last.pt", 6 * 10**6)):
        out = work / "full"
        shutil.rmtree(out, ignore_errors=True)
        message = finish(start(data, out, limit=limit)).replace(str(out), "RUN")
        row = {"moment": f"no room for {name}", "phase": "disk full", "says": message}
        yield row | resumed(data, out, whole)


def kill_table(results: dict) -> str:
    """Return the rows as Markdown tables: kills, then damaged files."""
    rows = ["| moment | phase | unfinished files | after `--resume` | seconds |", "|" + "---|" * 5]
    for row in results["kills"]:
        files = ", ".join(f"`{name}`" for name in row["unfinished_after"]) or "none"
        outcome = f"“{row['says']}” After resuming: " if "says" in row else ""
        outcome += "equal" if row["equal"] else f"**differs** {row['resume_says']}"
        outcome += f", left over: {', '.join(row['left_over'])}" if row["left_over"] else ""
        rows.append(
            f"| {row['moment']} | {row['phase']} | {files} | {outcome} | {row['seconds']} |"
        )
    rows += ["", "The next table shows what happens if one byte of a file is changed:", ""]
    rows += ["| file with a changed byte | read by | outcome |", "|---|---|---|"]
    rows += [f"| `{row['file']}` | {row['by']} | {row['outcome']} |" for row in results["flips"]]
    equal = sum(row["equal"] for row in results["kills"])
    title = (
        f"After an interruption, {equal} of {len(results['kills'])} runs ended with the same "
        "result, bit for bit, as the run without an interruption. The table shows the moment of "
        "each interruption, the files that were unfinished, and the outcome. The command was"
    )
    return "\n".join([title, "", f"`{results['command']}`", "", *rows])


def prepare(work: Path) -> tuple[Path, list[str]]:
    """Prepare twelve simulated studies, and return the data set and the options used."""
    options = ["--source", "phantom", "--root", str(work / "studies"), "--phantoms", "12"]
    options += ["--out", str(work / "data")]
    subprocess.run([sys.executable, "-m", "brainai.data.prepare", *options], cwd=ROOT, check=True)
    return work / "data", options


def main() -> int:
    """Write the rows as JSON; return 1 if the result of a run differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--data", type=Path, help="dataset folder, which is copied")
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
