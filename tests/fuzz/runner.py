"""Try many cases in processes that may be killed, and count what became of them."""

from __future__ import annotations

import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.case import FAILURES, Outcome

MOST_SECONDS = 10.0
SECONDS_TO_PREPARE, SECONDS_TO_END = 300.0, 30.0
SAMPLES, MOST_PATIENCE = 10, 20.0
"""On a machine that others use, a case may take longer if it wants to run but may not; yet not without end."""
CASES_PER_PROCESS = 500
"""A process is replaced after so many cases, so that what it gathered does not count for later ones."""


@dataclass
class Counts:
    """What became of the cases of a kind."""

    tried: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.tried += 1
        self.slowest, self.largest = max(self.slowest, outcome.seconds), max(self.largest, outcome.megabytes)
        if outcome.failure:
            self.failures[outcome.failure] += 1
        else:
            self.verdicts[outcome.verdict] += 1

    @property
    def handled(self) -> int:
        """Return the number of cases without a failure."""
        return self.tried - self.failures.total()


class Process:
    """A worker process; `ask` starts it if there is none, and lets it prepare each kind before its first case."""

    def __init__(self, most_seconds: float) -> None:
        self.most_seconds = most_seconds
        self._prepared: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._asked = 0

    def ask(self, kind: str, seed: int, number: int) -> Outcome:
        """Try a case; a process that takes too long or ends is a failure of the case."""
        if self._asked >= CASES_PER_PROCESS:
            self.close()
        process = self._started()
        if kind not in self._prepared:
            if not self._answer(process, {"kind": kind}, SECONDS_TO_PREPARE):
                self.close()
                raise RuntimeError(f"the worker cannot prepare the kind {kind}: {' '.join(map(str, process.args))}")
            self._prepared.add(kind)
        self._asked += 1
        line = self._answer(process, {"kind": kind, "seed": seed, "number": number}, self.most_seconds)
        if line:
            return Outcome(**json.loads(line))
        if line is None:
            self.close()
            return Outcome(kind, number, failure="hang", text=f"no answer in {self.most_seconds:g} s")
        # The end of its answers is seen a little before the end of the process.
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        self.close()
        return Outcome(kind, number, failure="died", text=f"exit code {process.returncode}")

    def close(self) -> None:
        """End the process and remove its folder."""
        if self._process is not None:
            if self._process.poll() is None:
                # It may have children: a run's workers and readers.
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
        if self._folder is not None:
            self._folder.cleanup()
        self._process = self._folder = None
        self._prepared.clear()
        self._asked = 0

    def command(self, folder: str) -> list[str]:
        """Return the command of a worker that works in a folder."""
        return [sys.executable, "-m", "tests.fuzz.worker", folder]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)
            self._process = subprocess.Popen(
                self.command(self._folder.name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
            )
        return self._process

    @staticmethod
    def _answer(process: subprocess.Popen[bytes], question: dict[str, object], seconds: float) -> bytes | None:
        """Return the line with which a process answers, b"" if it ends instead, None if no answer comes in time."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        began, used_before = time.monotonic(), _processor_seconds(process.pid)
        wanted_to_run = deque([True], maxlen=SAMPLES)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not selector.select(seconds / SAMPLES):
                elapsed, used = time.monotonic() - began, _processor_seconds(process.pid) - used_before
                wanted_to_run.append(_wants_to_run(process.pid))
                if used >= seconds or elapsed > MOST_PATIENCE * seconds:
                    return None
                if elapsed >= seconds and not any(wanted_to_run):  # it waits for something that does not come
                    return None
            return process.stdout.readline()


def try_cases(
    cases: Sequence[tuple[str, int]],
    seed: int,
    *,
    workers: int = 1,
    most_seconds: float = MOST_SECONDS,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Try cases (kind, number) in processes; return their outcomes in the order of the cases.

    A case that takes too long is tried once more: another program may have had the machine.
    """
    waiting: queue.SimpleQueue[tuple[int, str, int]] = queue.SimpleQueue()
    for place, (kind, number) in enumerate(cases):
        waiting.put((place, kind, number))
    outcomes: dict[int, Outcome] = {}
    errors: list[Exception] = []

    def work() -> None:
        process = Process(most_seconds)
        try:
            while not errors:
                try:
                    place, kind, number = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = process.ask(kind, seed, number)
                if outcome.failure == "hang":
                    outcome = process.ask(kind, seed, number)
                outcomes[place] = outcome
                tell(outcome)
        except Exception as error:  # noqa: BLE001 (raised again by the caller's thread)
            errors.append(error)
        finally:
            process.close()

    threads = [threading.Thread(target=work) for _ in range(min(workers, len(cases)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [outcomes[place] for place in range(len(cases))]


def _processor_seconds(pid: int) -> float:
    """Return the seconds that a process has computed; 0 if it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _wants_to_run(pid: int) -> bool:
    """Return whether a thread of a process runs, could run, or waits for a disk."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    return False


def counted(outcomes: Sequence[Outcome]) -> dict[str, Counts]:
    """Count outcomes by kind."""
    counts: dict[str, Counts] = {}
    for outcome in outcomes:
        counts.setdefault(outcome.kind, Counts()).add(outcome)
    return counts


def table(counts: dict[str, Counts]) -> str:
    """Return the counts as a table in Markdown, with a row for all kinds together."""
    heads = ["kind", "tried", "handled", *FAILURES, "slowest [s]", "largest [MB]"]
    rows = [
        [kind, each.tried, each.handled, *(each.failures[name] for name in FAILURES), each.slowest, each.largest]
        for kind, each in counts.items()
    ]
    sums = [sum(row[column] for row in rows) for column in range(1, 3 + len(FAILURES))]  # type: ignore[misc]
    rows.append(["all", *sums, max(row[-2] for row in rows), max(row[-1] for row in rows)])  # type: ignore[type-var]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def verdicts(counts: dict[str, Counts], most: int = 12) -> str:
    """Return the most frequent verdicts of each kind, one line each."""
    lines = []
    for kind, each in counts.items():
        lines += [f"{kind:9} {number:6}  {verdict}" for verdict, number in each.verdicts.most_common(most)]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
