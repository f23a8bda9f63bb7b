"""Real Dask processes for the tests: a scheduler and workers on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_SECONDS = 120.0


def wait_until(condition: Callable[[], object], what: str, seconds: float = _SECONDS) -> None:
    """Wait for something that another process does; fail with its name if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, children first."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(word) for word in task.read_text().split()]
            except OSError:
                continue
            found += children
            todo += children
    return found


def engines_of(pid: int) -> list[int]:
    """Return the engine processes below a worker."""

    def is_engine(child: int) -> bool:
        try:
            return b"apnet_fast.cluster.engine" in Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            return False

    return [child for child in descendants(pid) if is_engine(child)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class DaskCluster:
    """A `dask scheduler` and `dask worker` processes, each in a session of its own."""

    def __init__(self, folder: Path, *, worker_ttl: str = "5 minutes") -> None:
        self.folder = folder
        self.scheduler_file = folder / "scheduler.json"
        self._environment = {
            **os.environ,
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": worker_ttl,
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
            "OMP_NUM_THREADS": "1",
        }
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return str(json.loads(self.scheduler_file.read_text())["address"])

    def _start(self, module: str, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{module}.log").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(self.scheduler_file), *words],
            env={**self._environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def start_scheduler(self) -> None:
        """Start a scheduler and wait until it listens."""
        self.scheduler_file.unlink(missing_ok=True)
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        wait_until(self.scheduler_file.exists, "scheduler")

    def start_worker(self, *words: str, nanny: bool = False, **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker; it joins when it can."""
        words = ("--nthreads", "2", "--no-dashboard", "--memory-limit", "0", *words)
        if not nanny:
            words = ("--no-nanny", *words)
        worker = self._start(
            "dask_worker", "--host", "127.0.0.1", "--local-directory", str(self.folder), *words, **variables
        )
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End every process, and what they started."""
        for process in [*self.workers, self.scheduler]:
            for pid in [*descendants(process.pid), process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.wait()
