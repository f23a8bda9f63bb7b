"""`python -m apnet_fast.cluster.engine FD`: the engine process of a node, driven through a socket by `cluster.node`.

It makes the same choices on its own machine that a run makes on one, says what they were, and then computes the shards
that come. It ends with the node's process, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from apnet_fast._version import __version__
from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.cluster.lease import follow
from apnet_fast.cluster.messages import Kind, Message
from apnet_fast.cluster.orders import Facts, Orders, Stored, Task
from apnet_fast.engines import create_engine
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.compute import Computer
from apnet_fast.pipeline.plan import ANY_INSTRUCTIONS, Plan
from apnet_fast.pipeline.settings import RunSettings, resolve_settings
from apnet_fast.pipeline.shards import Marker, ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.support.errors import ApnetError, UsageError
from apnet_fast.support.files import sha256_of
from apnet_fast.support.limits import as_limit


class _Node:
    """The node's end of the socket: the queue of shards for a `Computer`, and a way to answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.ended = threading.Event()

    def orders(self) -> Orders:
        """Return the first message. Raises EOFError if the node has ended."""
        orders = pickle.loads(Message.decoded(self._connection.recv_bytes()).body)
        assert isinstance(orders, Orders)
        return orders

    def listen(self) -> None:
        """Take in messages. If the node ends, so does this process, at once."""
        while True:
            try:
                message = Message.decoded(self._connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(1)
            if message.kind == Kind.WORK:
                self._tasks.put(pickle.loads(message.body))
            else:
                self.ended.set()
                self._tasks.put(None)

    def first(self) -> Task | None:
        """Wait for a shard without taking it; None if none will come."""
        task = self._tasks.get()
        self._tasks.put(task)
        return task

    def next(self, *, wait: bool) -> Work | None:
        """Return the next shard; None if none is ready (wait=False) or none remains (wait=True)."""
        try:
            task = self._tasks.get(block=wait)
        except queue.Empty:
            return None
        if task is None:
            self._tasks.put(None)  # for whoever asks next
            return None
        return task.work

    def close(self) -> None:
        """End any waiting."""
        self._tasks.put(None)

    def send(self, kind: Kind, shard: int = -1, body: object = None) -> None:
        """Send a message to the node."""
        message = Message(kind, shard, pickle.dumps(body)).encoded()
        with self._sending, contextlib.suppress(OSError):
            self._connection.send_bytes(message)


def main() -> None:
    """Serve the node at the other end of the socket whose descriptor is the first argument."""
    # Batch systems signal every process of a job; the coordinator decides when to stop.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    node = _Node(Connection(int(sys.argv[1])))
    try:
        orders = node.orders()
        threading.Thread(target=node.listen, daemon=True).start()
        _serve(node, orders)
    except EOFError:
        return
    except Exception as error:
        limit = as_limit(error)
        if limit is None and not isinstance(error, ApnetError | OSError):
            raise  # the node says that this process died; its traceback is in the worker's log
        node.send(Kind.FAILED, body=limit or error)


def _serve(node: _Node, orders: Orders) -> None:
    os.chdir(orders.folder)
    if not (orders.arguments.output / orders.token).is_file():
        raise UsageError(
            "this node does not see the output folder of the run",
            got=f"{socket.gethostname()}: no {orders.token} in {orders.arguments.output.absolute()}",
            expected="a file system that all nodes share",
            remedy="give an --output that every node sees",
        )
    follow(orders.arguments.output / orders.token)
    settings = resolve_settings(_on_one_device(orders.arguments))
    if settings.threads is not None:
        import numba
        import torch

        torch.set_num_threads(settings.threads)
        numba.set_num_threads(min(settings.threads, numba.get_num_threads()))
    checkpoint = load_checkpoint(settings.weights)
    recipe = settings.find_recipe()
    engine = create_engine(settings.engine, checkpoint, recipe, device=settings.device, precision=settings.precision)
    sources = None if settings.catalog is None else SourceTable.load(settings.catalog)
    node.send(
        Kind.READY, body=Facts(settings, _compared(settings, checkpoint.sha256), socket.gethostname(), os.getpid())
    )
    first = node.first()
    if first is None:
        return
    times = StageTimes()
    counts: dict[int, Done] = {}

    def on_batch(done: Done) -> None:
        before = counts.get(done.shard, Done(done.shard, 0, 0, 0))
        counts[done.shard] = Done(
            done.shard, before.files + done.files, before.spectra + done.spectra, before.failures + done.failures
        )
        node.send(Kind.BATCH, done.shard)

    def on_shard(shard: int, marker: Marker) -> None:
        node.send(Kind.DONE, shard, Stored(marker, counts.pop(shard), times.taken()))

    Computer(
        settings,
        ApogeeNet(engine),
        ShardStore(
            settings.output,
            Plan((), first.fingerprint.shard_size, first.fingerprint),
            settings.products,
            settings.instructions,
        ),
        times,
        sources=sources,
        work=node,
        on_batch=on_batch,
        on_shard=on_shard,
        stop=lambda: False,
    ).go()


def _on_one_device(arguments: RunArguments) -> RunArguments:
    """Return the arguments for one of the devices that this process sees: one engine process drives one device."""
    if arguments.device is not None or arguments.engine in ("cpu", "null"):
        return arguments
    import torch

    visible = torch.cuda.device_count()
    if not visible:
        return arguments
    # Batch systems number the tasks of a node; without one the first device is as good as any.
    number = int(os.environ.get("SLURM_LOCALID", "0")) % visible
    return replace(arguments, gpus=None, device=f"cuda:{number}")


def _compared(settings: RunSettings, weights: str) -> dict[str, str]:
    """Return what must be equal on all nodes of a run, by name."""
    kind = settings.devices[0].partition(":")[0]
    return {
        "version": __version__,
        "weights": weights,
        "catalog": "" if settings.catalog is None else sha256_of(Path(settings.catalog)),
        "engine": settings.engine,
        "device": kind,
        "precision": settings.precision,
        "tuning": settings.tuning,
        "instruction set": ANY_INSTRUCTIONS if settings.mix_instructions else settings.instructions,
    }


if __name__ == "__main__":
    main()
