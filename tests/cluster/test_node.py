"""The node's side of an engine process: threads, engines that are not there, tasks that come twice."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apnet_fast.cluster import node
from apnet_fast.cluster.messages import Kind, Message


def test_a_run_that_is_not_here() -> None:
    answer = Message.decoded(node.compute("no such run", 7, b"", 1.0))
    assert (answer.kind, answer.shard) == (Kind.DIED, 7)
    assert b"not here" in answer.body
    node.end("no such run")


def test_threads_are_those_of_the_task_or_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert [node._threads(share) for share in (1, 2, 3, 100)] == [8, 4, 2, 1]
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert node._threads(2) == 6


class Silent(node.EngineProcess):
    """An engine whose process does nothing but keep what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self._waiting: dict[int, list[queue.SimpleQueue[Message]]] = {}
        self._changed = threading.Lock()
        self._heard = 0.0
        self._last = None

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def _await(self, answers: queue.SimpleQueue[Message], silence: float) -> Message:
        return Message(Kind.DONE, len(self._waiting[3]))


def test_a_shard_that_comes_twice_is_computed_once() -> None:
    """Dask cannot stop a task that runs; a shard may be given again to the worker that still computes it."""
    engine = Silent()
    assert engine.compute(3, b"work", 1.0).shard == 1
    assert engine.compute(3, b"work", 1.0).shard == 2
    assert [message.kind for message in engine.sent] == [Kind.WORK]


QUIET_ENGINE = """
import sys, time
from multiprocessing.connection import Connection
from apnet_fast.cluster.messages import Kind, Message
node = Connection(int(sys.argv[1]))
node.recv_bytes()
time.sleep(0.3)
node.send_bytes(Message(Kind.READY, body=b"facts").encoded())
while True:
    node.recv_bytes()
"""


@pytest.fixture
def quiet_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[node.EngineProcess]:
    """An engine process that says that it is ready, and then nothing more."""
    program = tmp_path / "quiet_engine.py"
    program.write_text(QUIET_ENGINE)
    monkeypatch.setattr(node, "_ENGINE", [sys.executable, str(program)])
    engine = node.EngineProcess(b"orders", 1)
    yield engine
    engine.close()


def test_an_engine_that_is_silent_for_too_long_is_ended(quiet_engine: node.EngineProcess) -> None:
    assert quiet_engine.ready(60.0).body == b"facts"
    answer = quiet_engine.compute(3, b"work", 0.5)
    assert answer.kind == Kind.DIED
    assert b"silent for more than" in answer.body
    assert not quiet_engine.alive
    assert quiet_engine.compute(4, b"work", 60.0) == answer


def test_several_tasks_may_wait_for_one_engine(quiet_engine: node.EngineProcess) -> None:
    """As after a connection that was lost while the engine loaded: it is asked for again."""
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(quiet_engine.ready, [60.0] * 3))
    assert [answer.kind for answer in answers] == [Kind.READY] * 3
    assert quiet_engine.alive
