"""Drive several devices: one worker process each, all fed from one queue of shards."""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing import connection
from multiprocessing.connection import Connection

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.engines import create_engine
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.pipeline.compute import Computer
from apnet_fast.pipeline.plan import Fingerprint, Plan
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import Marker, ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.readers.children import SPAWN, follow_parent, start_child
from apnet_fast.support.errors import ApnetError, Stopped, WeightsError
from apnet_fast.support.limits import as_limit
from apnet_fast.support.notices import mute_warnings, say

# Shards that a worker has: the one it computes, and one that its readers begin meanwhile.
_SHARDS_AHEAD = 2
# Deaths of workers on one device that a run bears.
_MOST_DEATHS_OF_A_DEVICE = 3
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class WorkerOrders:
    """What a worker needs to know: the run, its device, the threads that it may use, and whether it writes warnings."""

    settings: RunSettings
    fingerprint: Fingerprint
    device: str
    threads: int
    warns: bool = False


@dataclass(frozen=True)
class _Finished:
    """The message that a shard is stored."""

    shard: int
    marker: Marker


class DeviceWorkers:
    """One worker process per device. Which of them computes a shard changes nothing in it.

    A worker that dies is replaced, up to three times per device, and its shards are done again.
    """

    def __init__(self, settings: RunSettings, fingerprint: Fingerprint, times: StageTimes) -> None:
        threads = max(1, _threads() // len(settings.devices))
        self._orders = [
            WorkerOrders(settings, fingerprint, device, threads, warns=number == 0)
            for number, device in enumerate(settings.devices)
        ]
        self._times = times

    def go(
        self,
        work: Sequence[Work],
        *,
        on_batch: Callable[[Done], None],
        on_shard: Callable[[int, Marker], None],
        stop: Callable[[], bool],
    ) -> None:
        """Compute the shards; once `stop` is true, only those that workers have begun.

        Raises what a worker raised, and Stopped if workers die too often.
        """
        self._waiting = deque(work)
        self._on_batch, self._on_shard = on_batch, on_shard
        self._deaths: Counter[int] = Counter()
        self._workers: dict[int, _Worker] = {}
        try:
            for number, orders in enumerate(self._orders):
                self._workers[number] = _Worker(orders)
            stopping = False
            while self._workers:
                if stop() and not stopping:
                    stopping = True
                    self._waiting.clear()
                    for worker in self._workers.values():
                        worker.send("stop")
                if not stopping:
                    self._give_out()
                self._receive(stopping)
        finally:
            for worker in self._workers.values():
                worker.kill()

    def _give_out(self) -> None:
        for ahead in range(_SHARDS_AHEAD):
            for worker in self._workers.values():
                if self._waiting and len(worker.shards) <= ahead:
                    work = self._waiting.popleft()
                    worker.assign(work)
        # Until the last shard is stored, a worker may die and leave its shards to the others.
        if not self._waiting and not any(worker.shards for worker in self._workers.values()):
            for worker in self._workers.values():
                worker.finish()

    def _receive(self, stopping: bool) -> None:
        pipes = {worker.pipe: number for number, worker in self._workers.items()}
        for pipe in connection.wait(list(pipes), _SECONDS_BETWEEN_LOOKS):
            number = pipes[pipe]  # type: ignore[index]
            worker = self._workers[number]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                self._replace(number, stopping)
                continue
            if isinstance(message, BaseException):
                raise message
            if isinstance(message, StageTimes):
                self._times.add(message)
                if worker.shards and not stopping:
                    self._replace(number, stopping)
                    continue
                worker.process.join(_SECONDS_TO_END)
                del self._workers[number]
            elif isinstance(message, _Finished):
                del worker.shards[message.shard]
                worker.batches.pop(message.shard, None)
                self._on_shard(message.shard, message.marker)
            else:
                worker.batches.setdefault(message.shard, []).append(message)
                self._times.spectra += message.spectra
                self._on_batch(message)

    def _replace(self, number: int, stopping: bool) -> None:
        dead = self._workers.pop(number)
        dead.kill()
        for done in chain.from_iterable(dead.batches.values()):  # it will be counted again
            self._times.spectra -= done.spectra
            self._on_batch(Done(done.shard, -done.files, -done.spectra, -done.failures))
        if stopping or dead.finishing:
            return
        self._waiting.extendleft(reversed(dead.shards.values()))
        self._deaths[number] += 1
        orders = self._orders[number]
        if self._deaths[number] > _MOST_DEATHS_OF_A_DEVICE:
            raise Stopped(
                f"worker processes of device {orders.device} die",
                got=f"{self._deaths[number]} deaths, the last with exit code {dead.process.exitcode}",
                remedy="if memory was short, use fewer devices or --readers; then give the same command again",
            )
        say(f"the worker of {orders.device} died (exit code {dead.process.exitcode}); another one takes its shards")
        self._workers[number] = _Worker(orders)


class _Worker:
    """The parent's side of a worker: its process, and the shards that it has not finished.

    batches: what has gone through its engine of each of these shards. finishing: it knows that no more shards come.
    """

    def __init__(self, orders: WorkerOrders) -> None:
        self.shards: dict[int, Work] = {}
        self.batches: dict[int, list[Done]] = {}
        self.finishing = False
        self.pipe, other = SPAWN.Pipe()
        # No daemon: it has readers, and follows its parent by itself.
        self.process = SPAWN.Process(target=serve_shards, args=(other, orders))
        start_child(self.process)
        other.close()

    def assign(self, work: Work) -> None:
        self.shards[work.shard] = work
        self.send(work)

    def finish(self) -> None:
        """Tell the worker that no more shards come."""
        if not self.finishing:
            self.finishing = True
            self.send(None)

    def send(self, message: Work | str | None) -> None:
        try:
            self.pipe.send(message)
        except OSError:
            return  # it has died, which `_receive` will find

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def serve_shards(connection: Connection, orders: WorkerOrders) -> None:
    """Run a worker: compute and store the shards that come through the pipe, until None or "stop" comes."""
    follow_parent()
    mute_warnings(not orders.warns)
    pipe = _WorkerPipe(connection)
    try:
        threading.Thread(target=pipe.listen, daemon=True).start()
        pipe.send(_compute(orders, pipe))
    except Exception as error:
        if pipe.is_cut():
            return  # the parent has died, and this process dies with it
        limit = as_limit(error)
        if limit is None and not isinstance(error, ApnetError | OSError):
            raise
        pipe.send(limit or error)


def _compute(orders: WorkerOrders, pipe: _WorkerPipe) -> StageTimes:
    import numba
    import torch

    torch.set_num_threads(orders.threads)
    numba.set_num_threads(min(orders.threads, numba.get_num_threads()))
    settings, times = orders.settings, StageTimes()
    with times.measure("loading"):
        checkpoint = load_checkpoint(settings.weights)
        if orders.fingerprint.weights != f"sha256 {checkpoint.sha256}":
            raise WeightsError("the weights have changed since the run began", where=str(settings.weights))
        engine = create_engine(
            settings.engine,
            checkpoint,
            settings.find_recipe(),
            device=orders.device,
            precision=settings.precision,
        )
        sources = None if settings.catalog is None else SourceTable.load(settings.catalog)
    plan = Plan((), orders.fingerprint.shard_size, orders.fingerprint)
    store = ShardStore(settings.output, plan, settings.products, settings.instructions)
    Computer(
        settings,
        ApogeeNet(engine),
        store,
        times,
        sources=sources,
        work=pipe,
        on_batch=pipe.send,
        on_shard=lambda shard, marker: pipe.send(_Finished(shard, marker)),
        stop=pipe.stopped.is_set,
    ).go()
    times.spectra = 0  # the parent has counted them
    return times


class _WorkerPipe:
    """The worker's end of the pipe, for the threads of its stages: a `WorkQueue`, and a way to answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self._cut = threading.Event()

    def listen(self) -> None:
        """Take in messages until "stop", or until the parent ends."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                self._cut.set()
                self.stopped.set()
                message = "stop"
            if message == "stop":
                self.stopped.set()
            self._work.put(message if isinstance(message, Work) else None)
            if message == "stop":
                return

    def next(self, *, wait: bool) -> Work | None:
        """Return the next shard; None if none is ready (wait=False) or none remains (wait=True)."""
        try:
            work = self._work.get(block=wait)
        except queue.Empty:
            return None
        if work is None:
            self._work.put(None)  # for whoever asks next
        return work

    def close(self) -> None:
        """End any waiting."""
        self._work.put(None)

    def send(self, message: object) -> None:
        """Send a message to the parent."""
        with self._sending:
            try:
                self._connection.send(message)
            except (BrokenPipeError, ConnectionResetError):
                self._cut.set()
                raise

    def is_cut(self) -> bool:
        """Return whether the parent has gone."""
        return self._cut.is_set()


def _threads() -> int:
    import torch

    return torch.get_num_threads()
