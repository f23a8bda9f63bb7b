"""What runs in a Dask worker: thin tasks that talk to one long-lived engine process. Standard library only.

The engine lives in a process of its own because Dask's nanny allows its workers no multiprocessing children, and
because library calls that hold the GIL would cost the worker its heartbeats.
"""

from __future__ import annotations

import atexit
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import Connection

from apnet_fast.cluster.messages import Kind, Message

# How often a task looks whether its engine is still heard of.
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 10.0
# Dask's nanny sets these to 1 for its worker; the engine process has threads of its own.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

_ENGINE = [sys.executable, "-m", "apnet_fast.cluster.engine"]

_engines: dict[str, EngineProcess] = {}
_starting = threading.Lock()


class EngineProcess:
    """An engine process of this node, and the shards it has in hand."""

    def __init__(self, orders: bytes, threads: int) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
        command = [*_ENGINE, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()], cwd=os.getcwd()
        )
        theirs.close()
        self._pipe = Connection(ours.detach())
        self._sending = threading.Lock()
        self._waiting: dict[int, list[queue.SimpleQueue[Message]]] = {}
        self._changed = threading.Lock()
        self._heard = time.monotonic()
        self._ready: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._facts: Message | None = None
        self._last: Message | None = None
        threading.Thread(target=self._listen, daemon=True).start()
        self.send(Message(Kind.ORDERS, body=orders))

    @property
    def alive(self) -> bool:
        """Return whether the process runs and has not reported a failure."""
        return self._last is None and self._process.poll() is None

    def send(self, message: Message) -> None:
        """Send a message. If the process has died, that is found where its answers are awaited."""
        with self._sending, suppress(OSError):
            self._pipe.send_bytes(message.encoded())

    def ready(self, silence: float) -> Message:
        """Return READY once the engine is loaded, or why it is not."""
        if self._facts is None:
            message = self._await(self._ready, silence)
            self._ready.put(message)  # for another task that waits for it
            return message
        return self._facts

    def compute(self, shard: int, work: bytes, silence: float) -> Message:
        """Give the engine a shard and return what became of it."""
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._changed:
            if self._last is not None:
                return self._last
            # Dask cannot stop a task that runs: one that was given up and comes again waits for the same answer.
            others = self._waiting.setdefault(shard, [])
            others.append(answers)
            self._heard = time.monotonic()
        if len(others) == 1:
            self.send(Message(Kind.WORK, shard, work))
        return self._await(answers, silence)

    def _await(self, answers: queue.SimpleQueue[Message], silence: float) -> Message:
        while True:
            with suppress(queue.Empty):
                return answers.get(timeout=_SECONDS_BETWEEN_LOOKS)
            if time.monotonic() - self._heard > silence:
                self._end(Message(Kind.DIED, body=f"silent for more than {silence:.0f} s, and ended".encode()))

    def _listen(self) -> None:
        """Take in messages until the process ends, then answer everybody who still waits."""
        with suppress(EOFError, OSError, ValueError):
            while True:
                message = Message.decoded(self._pipe.recv_bytes())
                self._heard = time.monotonic()
                if message.kind == Kind.READY:
                    self._facts = message
                    self._ready.put(message)
                elif message.kind == Kind.DONE:
                    with self._changed:
                        waiting = self._waiting.pop(message.shard, [])
                    for answers in waiting:
                        answers.put(message)
                elif message.kind == Kind.FAILED:
                    self._end(message)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        self._end(Message(Kind.DIED, body=f"exit code {self._process.poll()}".encode()))

    def _end(self, why: Message) -> None:
        """End the process and answer everybody who waits; the first reason counts."""
        with self._changed:
            self._last = self._last or why
            waiting = [*chain.from_iterable(self._waiting.values()), self._ready]
            self._waiting.clear()
        for answers in waiting:
            answers.put(self._last)
        if self._last.kind == Kind.DIED:
            self._process.kill()

    def close(self) -> None:
        """End the process: politely, then not."""
        self.send(Message(Kind.END))
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def prepare(run: str, orders: bytes, share: int, silence: float) -> bytes:
    """Start the engine of a run on this node, unless it runs already; return READY with its facts, or why not.

    run: a name of the run's own. share: workers on this machine, which share its cores. Engines of other runs end by
    themselves, see `cluster.lease`.
    """
    with _starting:
        for other in [name for name, engine in _engines.items() if not engine.alive]:
            _engines.pop(other).close()
        engine = _engines.get(run)
        if engine is None or not engine.alive:
            engine = _engines[run] = EngineProcess(orders, _threads(share))
            atexit.register(engine.close)
    return engine.ready(silence).encoded()


def _threads(share: int) -> int:
    """Return the threads for an engine: what the batch system gives a task, else a share of the usable cores."""
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if given.isdigit():
        return int(given)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // share)


def compute(run: str, shard: int, work: bytes, silence: float) -> bytes:
    """Compute a shard with the engine of a run; return DONE, FAILED or DIED."""
    engine = _engines.get(run)
    if engine is None:
        return Message(Kind.DIED, shard, b"the engine of this run is not here").encoded()
    return engine.compute(shard, work, silence).encoded()


def end(run: str) -> None:
    """End the engine of a run."""
    with _starting:
        engine = _engines.pop(run, None)
    if engine is not None:
        engine.close()
