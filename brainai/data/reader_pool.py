"""Read files from untrusted sources in child processes with limits on time and memory.

A few child processes are kept running. One that crashes, hangs or uses too much memory is replaced,
and the caller gets a `DataError`. The child processes run `reader_process`.

    arguments = {"path": "/tmp/slice.png", "most_pixels": 10**6}
    fields, pixels = ask("picture", SLICE, "The picture", arguments)
"""

import atexit
import contextlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np

import brainai
from brainai.data import reader_process
from brainai.errors import DataError, OutOfScope

MAX_CHILDREN = 4
KEPT_TASKS = 500  # a child is replaced after so many tasks
KEPT_BYTES = 400_000_000  # a child with a higher peak is replaced, which frees its memory
MAX_LINE_BYTES = 2**16  # of a reply without its array
MAX_ARRAY_BYTES = 2**30
KINDS = "iufb"  # kinds of numbers that a reply may hold
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT")
MODULE = reader_process.__name__


class Budget(NamedTuple):
    """The limits of one task.

    cpu_seconds: CPU time.
    seconds: time until the task is ended, even if it only waits.
    memory_bytes: memory beyond what the process has at its start.
    """

    cpu_seconds: float
    seconds: float
    memory_bytes: int


SLICE = Budget(5, 30, 800_000_000)
SCAN = Budget(30, 120, 900_000_000)  # 100 million voxels take 400 MB


class _Ended(Exception):
    """A child process ended before it answered.

    what: words that follow "a file that" in the error message.
    code: the code of the error.
    by_other: whether something other than the task may have ended it, such as a lack of memory on
        the machine.
    """

    def __init__(self, what: str, code: str = "unreadable", by_other: bool = False):
        super().__init__(what)
        self.what, self.code, self.by_other = what, code, by_other


class Child:
    """One child process that reads files."""

    def __init__(self) -> None:
        root = Path(brainai.__file__).parents[1]
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # glibc then overwrites freed memory, so that a decoder which forgets to fill a picture
        # shows nothing of an earlier file.
        environment |= {"MALLOC_PERTURB_": "165"}
        self.tasks, self.peak_bytes, self._is_late = 0, 0, False
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {MODULE} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print file names and headers there
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only the parent, which ends its children
        )
        # Both are pipes, as asked for; `Popen` promises neither.
        self._requests = cast(IO[bytes], self._process.stdin)
        self._replies = cast(BufferedReader, self._process.stdout)

    def ask(
        self, request: dict[str, Any], seconds: float
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        """Send one request to `reader_process` and return its reply, with the array if any.

        Raises:
            _Ended: the process ended.
        """
        self.tasks += 1
        timer = threading.Timer(seconds, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
            reply = json.loads(self._replies.readline(MAX_LINE_BYTES))
            array = self._read_array(*reply["array"]) if "array" in reply else None
        except (OSError, ValueError, EOFError):
            raise self._death() from None
        finally:
            timer.cancel()
        self.peak_bytes = reply.get("peak_bytes", 0)
        return reply, array

    def is_worn(self) -> bool:
        """Return whether a new process should replace this one."""
        return (
            self.tasks >= KEPT_TASKS
            or self.peak_bytes > KEPT_BYTES
            or self._process.poll() is not None
        )

    def end(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with contextlib.suppress(OSError):
                pipe.close()

    def _end_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _death(self) -> _Ended:
        """Return why the process ended."""
        self._process.kill()
        status = self._process.wait()
        if self._is_late or status == -getattr(signal, "SIGXCPU", 0):
            return _Ended("takes too long", "too_large")
        is_killed = status == -getattr(signal, "SIGKILL", 0)
        return _Ended("ends the program that reads it", by_other=is_killed)

    def _read_array(self, shape: list[int], dtype: str) -> np.ndarray:
        """Receive an array. Nothing is unpickled, because a file may have taken over the child."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if kind.kind not in KINDS or min(shape) < 1 or size > MAX_ARRAY_BYTES:
            raise ValueError("not an array of pixels")
        array = np.empty(shape, dtype)
        rest = array.reshape(-1).view(np.uint8).data
        while rest:
            read = self._replies.readinto(rest)
            if not read:
                raise EOFError
            rest = rest[read:]
        return array


class ReaderPool:
    """Child processes that wait for work: at most `size`, started when they are needed."""

    def __init__(self, size: int = MAX_CHILDREN) -> None:
        self._size = size
        self._places = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Child] = []

    def warm(self) -> None:
        """Start a child process, so that the first file does not have to wait for it."""
        with self._lock:
            if not self._idle:
                self._idle.append(Child())

    def ask(
        self, task: str, budget: Budget, called: str, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        """Run a task in a child process.

        Args:
            task: a name in `reader_process.TASKS`.
            budget: the limits of the task.
            called: the name of the file in error messages.
            arguments: the arguments of the task, as JSON can hold them.
        Raises:
            DataError: the task raised it, or the file crashed the child or exceeded the budget.
        """
        request: dict[str, Any] = {"task": task, "arguments": arguments}
        request |= {"cpu_seconds": budget.cpu_seconds, "memory_bytes": budget.memory_bytes}
        with self._places:
            try:
                reply, array = self._ask_child(request, budget.seconds)
            except _Ended as ended:
                if not ended.by_other:
                    raise _failed(called, ended.what, ended.code) from None
                reply, array = self._ask_again(request, budget.seconds, called)
        if "result" not in reply:
            raise _error(reply, called) from None
        return reply["result"], array

    def ask_array(
        self, task: str, budget: Budget, called: str, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Run a task that always answers with an array, as `ask` does."""
        reply, array = self.ask(task, budget, called, arguments)
        if array is None:
            raise _failed(called, "cannot be read")
        return reply, array

    def close(self) -> None:
        """End all children."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def forget(self) -> None:
        """Start with no children in a forked process, because they belong to its parent."""
        self._foreign = self._idle  # kept, because a deleted object would close its process
        self._places, self._lock, self._idle = (
            threading.BoundedSemaphore(self._size), threading.Lock(), [],
        )  # fmt: skip

    def _ask_again(
        self, request: dict[str, Any], seconds: float, called: str
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        try:
            return self._ask_child(request, seconds)
        except _Ended as ended:
            raise _failed(called, ended.what, ended.code) from None

    def _ask_child(
        self, request: dict[str, Any], seconds: float
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        child = self._take()
        try:
            return child.ask(request, seconds)
        except BaseException:
            child.end()  # else a late reply would be taken for that of the next request
            raise
        finally:
            if child.is_worn():
                child.end()
                child = Child()
            with self._lock:
                self._idle.append(child)

    def _take(self) -> Child:
        """Return a running child. Children that were killed while they waited are dropped."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if not child.is_worn():
                    return child
                child.end()
        return Child()


def _error(reply: dict[str, Any], called: str) -> DataError:
    """Return the error that a reply reports."""
    if "out_of_scope" in reply:
        return OutOfScope(*reply["out_of_scope"])
    if "refused" in reply:
        return DataError(*reply["refused"])
    if reply.get("failed") == "memory":
        return _failed(called, "needs too much memory", "too_large")
    logging.getLogger(__name__).error("%s", reply.get("places"))
    return _failed(called, "cannot be read")


def _failed(called: str, what: str, code: str = "unreadable") -> DataError:
    advice = "Save a smaller version." if code == "too_large" else "Save or export it again."
    return DataError(
        f"{called}: expected a file that can be opened, found one that {what}. {advice}", code
    )


POOL = ReaderPool()
ask, ask_array = POOL.ask, POOL.ask_array
atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.forget)
