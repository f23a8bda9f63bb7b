"""The node's side of an engine process: threads, engines that are not there, tasks that come twice."""

from __future__ import annotations

import os
import queue
import threading

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


class Silent(node.Engine):
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
