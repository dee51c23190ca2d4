"""Run cases in a child process with limits: whatever it does, every case gets a result."""

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.fuzz.cases import Case
from tests.fuzz.child import MEGABYTES, ONE_THREAD, pack, unpack
from tests.fuzz.groups import make_case

ROOT = Path(__file__).parents[2]
SECONDS = 10  # for one case
START_SECONDS = 120
NO_ANSWER = "no answer"
LOOK_EVERY = 0.05  # seconds; most cases end before the first look
CASES_PER_CHILD = 4000
GROUP_OF_KIND = {"slice": "answers", "scan": "answers", "request": "requests"}


def group_of(case: Case) -> str:
    """Which child runs a case."""
    return GROUP_OF_KIND.get(case.kind, "readers")


def case_of(request: dict[str, Any]) -> Case:
    """The case that a request asks for."""
    if "case" in request:
        return unpack(request["case"])
    return make_case(request["group"], request["seed"], request["index"])


def fastest_folder() -> str | None:
    """The folder in memory if there is one, else the default for temporary files."""
    shared = "/dev/shm"
    return shared if os.access(shared, os.W_OK) else None


class Runner:
    """A child for one group of cases: "readers", "answers" or "requests".

    After a crash, a case that takes too long, or too much memory, the next case gets a new child.
    """

    def __init__(self, group: str, seconds: float = SECONDS, megabytes: int = MEGABYTES):
        self.group, self.seconds, self.megabytes = group, seconds, megabytes
        self._child: subprocess.Popen | None = None
        self._served = 0

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, request: dict[str, Any] | Case) -> dict[str, Any]:
        """The result of a case; see `reading.run_case`, with `peak_mb` of all its processes."""
        if self._child is None or self._served >= CASES_PER_CHILD:
            self.stop()
            self._start()
        self._served += 1
        if isinstance(request, Case):
            request = {"case": pack(request)}
        with contextlib.suppress(BrokenPipeError):  # it ended; `_wait` finds out how
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
        found = self._wait(self.seconds, self.megabytes)
        if "kind" not in found:  # the child was lost
            case = case_of(request)
            found |= {"kind": case.kind, "digest": case.digest, "recognized": True}
        return found

    def stop(self) -> None:
        """End the child and what it started."""
        if self._child is None:
            return
        for process in [*self._descendants(), self._child]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._child.wait()
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.stdout.close()
        self._child = None
        self._folder.cleanup()

    def _start(self) -> None:
        self._served = 0
        self._folder = tempfile.TemporaryDirectory(
            prefix="fuzz-", dir=fastest_folder(), ignore_cleanup_errors=True
        )
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child", self.group, self._folder.name],
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        ready = self._wait(START_SECONDS, math.inf)
        if "ready" not in ready:
            raise RuntimeError(f"the child for {self.group} did not start: {ready['code']}")

    def _wait(self, seconds: float, megabytes: float) -> dict[str, Any]:
        """The child's answer, or what became of the child."""
        started, peak = time.monotonic(), 0
        while True:
            if select.select([self._child.stdout], [], [], LOOK_EVERY)[0]:
                line = self._child.stdout.readline()
                if line:
                    found = json.loads(line)
                    return found | {"peak_mb": max(peak, found.get("peak_mb", 0))}
                code = self._child.wait()
                return self._lost(
                    f"ended by signal {-code}" if code < 0 else "ended", started, peak
                )
            peak = max(peak, self._megabytes())
            if peak > megabytes:
                return self._lost(f"more than {megabytes} MB", started, peak)
            if time.monotonic() - started > seconds:
                return self._lost(f"{NO_ANSWER} within {seconds:g} s", started, peak)

    def _lost(self, code: str, started: float, peak: int) -> dict[str, Any]:
        self.stop()
        seconds = round(time.monotonic() - started, 3)
        return {"result": "failed", "code": code, "where": "", "seconds": seconds, "peak_mb": peak}

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._child.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _megabytes(self) -> int:
        """Memory of the child and of what it started; pages that they share count once."""
        total = 0
        try:
            total = psutil.Process(self._child.pid).memory_info().rss
            total += sum(process.memory_full_info().uss for process in self._descendants())
        except psutil.Error:  # one ended meanwhile
            pass
        return total // 2**20
