"""`DaskTeam`: the workers of a Dask cluster compute the shards of a run.

The coordinator keeps a window of shards per worker and places each itself. A worker that leaves takes nothing along:
its shards go to others. Which worker computes a shard changes nothing in it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apnet_fast.cluster import node
from apnet_fast.cluster.lease import Lease
from apnet_fast.cluster.messages import Kind, Message
from apnet_fast.cluster.orders import Facts, Orders, Stored, Task
from apnet_fast.cluster.scheduler import Scheduler, quiet
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.team import Job
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.support.errors import ApnetError, Stopped, UsageError
from apnet_fast.support.progress import say

if TYPE_CHECKING:
    from distributed import Client, Future

# Shards in hand per worker: the one it computes, and one that its readers begin meanwhile.
_SHARDS_AHEAD = 2
_MOST_DEATHS_OF_A_SHARD = 3
_SECONDS_BETWEEN_LOOKS = 1.0
# A scheduler that has not answered for so long is lost.
_SECONDS_WITHOUT_SCHEDULER = 30.0
# Time for other workers to come, once the first ones are refused.
_SECONDS_AFTER_A_REFUSAL = 10.0
_MOST_DEATHS_WHILE_LOADING = 2
# Nothing is asked of a scheduler that has not answered for so long.
_SECONDS_OF_SILENCE = 5.0
_SECONDS_TO_END = 10.0


@dataclass
class _Member:
    """A worker of the cluster: its address and the name of its process, and the shards that it has in hand."""

    address: str
    process: str
    facts: Facts | None = None
    in_hand: dict[int, tuple[Work, Future]] = field(default_factory=dict)
    shards: int = 0
    spectra: int = 0
    share: int = 1
    deaths: int = 0
    joined: float = field(default_factory=time.monotonic)
    left: float | None = None

    def record(self) -> dict[str, Any]:
        """Return what run.json says of this worker."""
        device = "" if self.facts is None else self.facts.settings.device
        host = self.address if self.facts is None else self.facts.host
        seconds = round((self.left or time.monotonic()) - self.joined, 1)
        return {"host": host, "device": device, "shards": self.shards, "spectra": self.spectra, "seconds": seconds}


class DaskTeam:
    """Computes the shards of a run on a Dask cluster.

    Parameters
    ----------
    cluster: a `distributed.Client`, the address of a scheduler, or its scheduler file (.json).
    resources: what a shard takes of a worker, as Dask counts it, such as {"GPU": 1}.
    timeout: seconds to wait until a worker is there.
    silence: seconds after which an engine that has not been heard of is ended.
    security: `distributed.Security`, for a cluster with TLS.

    Raises UsageError if the package `distributed` is missing.
    """

    # What workers call. The benchmark of the scheduler puts functions in its place that compute nothing.
    _node: Any = node

    def __init__(
        self,
        cluster: Client | str | Path,
        *,
        resources: Mapping[str, float] | None = None,
        timeout: float = 600.0,
        silence: float = 1800.0,
        security: Any = None,
    ) -> None:
        check_distributed()
        self._cluster, self._security = cluster, security
        self._resources = dict(resources or {}) or None
        self._timeout, self._silence = timeout, silence
        self._run = uuid.uuid4().hex
        self._members: dict[tuple[str, str], _Member] = {}
        self._gone: list[_Member] = []
        self._refused: dict[tuple[str, str], ApnetError | str] = {}
        self._lease: Lease | None = None
        self._scheduler: Scheduler | None = None
        self._reference: Facts | None = None
        self._looked = float("-inf")
        self._quiet = contextlib.ExitStack()

    def prepare(self, arguments: RunArguments, check: Callable[[], None]) -> RunSettings:
        """Connect, wait for a worker, and return the settings as it makes them on its machine.

        Raises what the workers refuse the run for, Stopped if there is none within the time, and what `check` raises.
        """
        arguments = _absolute(arguments)
        arguments.output.mkdir(parents=True, exist_ok=True)
        self._lease = Lease(arguments.output, self._run)
        self._lease.take()
        self._orders = pickle.dumps(Orders(arguments, os.getcwd(), self._lease.file.name))
        self._quiet.enter_context(quiet())
        self._scheduler = Scheduler(self._connected(check), self._resources, own=not self._is_client())
        waiting_since = time.monotonic()
        while self._reference is None:
            check()
            self._look()
            self._take_in()
            self._check_there_is_a_worker(waiting_since)
        return self._reference.settings

    def go(
        self,
        job: Job,
        work: Sequence[Work],
        *,
        on_batch: Callable[[Done], None],
        on_shard: Callable[[int, Marker], None],
        stop: Callable[[], bool],
    ) -> None:
        """Compute the shards; once `stop` is true, only those that workers have in hand.

        Raises what an engine raised, and Stopped if a shard ends its workers too often, the scheduler is lost or no
        worker is left.
        """
        self._fingerprint, self._times = job.plan.fingerprint, job.times
        self._on_batch, self._on_shard = on_batch, on_shard
        self._waiting, self._deaths = deque(work), Counter[int]()
        since = time.monotonic()
        while self._waiting or any(member.in_hand for member in self._members.values()):
            if stop():
                self._waiting.clear()
            self._look()
            self._give_out()
            self._take_in()
            if any(member.facts for member in self._members.values()):
                since = time.monotonic()
            self._check_there_is_a_worker(since)

    def records(self) -> list[dict[str, Any]]:
        """Return what run.json says of the workers, those that have left too."""
        known = [*self._gone, *self._members.values()]
        return [member.record() for member in known if member.shards or member.facts]

    def close(self) -> None:
        """End the engines of this run and the connection."""
        if self._lease is not None:
            self._lease.release()
        with self._quiet, contextlib.suppress(Exception):  # the run has its result; engines end with their nodes too
            if self._scheduler is not None:
                ready = [member.address for member in self._members.values() if member.facts]
                self._scheduler.let_all_finish(self._node.end, self._run, at=ready, seconds=_SECONDS_TO_END)
                self._scheduler.close()

    def _is_client(self) -> bool:
        return not isinstance(self._cluster, str | Path)

    def _connected(self, check: Callable[[], None]) -> Client:
        from distributed import Client

        if isinstance(self._cluster, Client):
            return self._cluster
        word = str(self._cluster)
        where = {"scheduler_file": word} if word.endswith(".json") else {"address": word}
        if word.endswith(".json"):
            self._wait_for_file(Path(word), check)
        try:
            return Client(**where, security=self._security, timeout=min(self._timeout, 60), set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(
                "cannot reach the Dask scheduler",
                got=f"{word}: {error or type(error).__name__}",
                expected="the address of a scheduler that runs (tcp://host:port), or its scheduler file (.json)",
                remedy="start one: dask scheduler --scheduler-file F.json",
            ) from error

    def _wait_for_file(self, file: Path, check: Callable[[], None]) -> None:
        """Wait for a scheduler file: it may be started at the same time. The client would wait for ever."""
        deadline = time.monotonic() + self._timeout
        while not file.is_file():
            check()
            if time.monotonic() > deadline:
                raise UsageError(
                    "there is no such scheduler file",
                    got=str(file),
                    expected=f"the file that a scheduler writes, within {self._timeout:.0f} s (--cluster-timeout)",
                    remedy=f"start one: dask scheduler --scheduler-file {file}",
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS / 5)

    def _ask(self, member: _Member, shard: int | None, function: Callable[..., Any], *given: object) -> Future:
        assert self._scheduler is not None
        return self._scheduler.ask((member, shard), function, *given, at=member.address, takes=shard is not None)

    def _look(self) -> None:
        """Find out, now and then, which workers there are; shards of those that have left wait again."""
        assert self._scheduler is not None
        now = time.monotonic()
        if now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        known = self._scheduler.workers()
        if known is None:
            if self._scheduler.unanswered * _SECONDS_BETWEEN_LOOKS > _SECONDS_WITHOUT_SCHEDULER:
                raise Stopped(
                    "the Dask scheduler is lost",
                    got=self._scheduler.trouble or f"no answer for {_SECONDS_WITHOUT_SCHEDULER:.0f} s",
                    remedy="start one, then give the same command again to go on",
                )
            return
        there = {(address, str(worker.get("id", ""))): worker for address, worker in known.items()}
        for key in [key for key in self._members if key not in there]:
            self._lose(key, "has left the cluster")
        hosts = Counter(worker.get("host", "") for worker in there.values())
        for key, worker in there.items():
            if key in self._members or key in self._refused:
                continue
            if self._lacks_resources(worker):
                self._refuse(key, f"it does not have {self._resources} (--cluster-resources)")
                continue
            member = self._members[key] = _Member(*key, share=max(1, hosts[worker.get("host", "")]))
            self._load(member)

    def _lacks_resources(self, worker: Mapping[str, Any]) -> bool:
        """Return whether Dask would let a shard wait for ever for this worker."""
        has = worker.get("resources") or {}
        return any(has.get(name, 0) < amount for name, amount in (self._resources or {}).items())

    def _load(self, member: _Member) -> None:
        """Have a worker start its engine."""
        self._ask(member, None, self._node.prepare, self._run, self._orders, member.share, self._silence)

    def _lose(self, key: tuple[str, str], why: str) -> None:
        member = self._leave(key)
        if member.in_hand:
            name = member.record()["host"]
            say(f"the worker on {name} {why}; others take its {len(member.in_hand)} shards")
        self._drop(member, why)

    def _leave(self, key: tuple[str, str]) -> _Member:
        member = self._members.pop(key)
        member.left = time.monotonic()
        self._gone.append(member)
        return member

    def _drop(self, member: _Member, why: str) -> None:
        """Let the shards of a member wait again. Raises Stopped for one that has ended too many workers."""
        for shard, (work, future) in list(member.in_hand.items()):
            with contextlib.suppress(Exception):
                future.cancel()
            self._deaths[shard] += 1
            if self._deaths[shard] > _MOST_DEATHS_OF_A_SHARD:
                raise Stopped(
                    "a shard ends every worker that computes it",
                    got=f"shard {shard} ({work.files[0]} ...): {self._deaths[shard]} workers, the last {why}",
                    remedy="look at its files; then give the same command again to go on",
                )
            self._waiting.appendleft(work)
        member.in_hand.clear()

    def _give_out(self) -> None:
        assert self._scheduler is not None
        if self._scheduler.unanswered * _SECONDS_BETWEEN_LOOKS > _SECONDS_OF_SILENCE:
            return
        for ahead in range(_SHARDS_AHEAD):
            for member in self._members.values():
                if member.facts is None or len(member.in_hand) > ahead or not self._waiting:
                    continue
                # A shard that has ended a worker goes alone, so that no other is counted with it.
                suspect = self._deaths[self._waiting[0].shard] > 0
                alone = any(self._deaths[shard] for shard in member.in_hand)
                if (suspect and member.in_hand) or alone:
                    continue
                self._assign(member, self._waiting.popleft())

    def _assign(self, member: _Member, work: Work) -> None:
        body = pickle.dumps(Task(work, self._fingerprint))
        future = self._ask(member, work.shard, self._node.compute, self._run, work.shard, body, self._silence)
        member.in_hand[work.shard] = (work, future)

    def _take_in(self) -> None:
        """Wait a little for answers and act on all that have come."""
        assert self._scheduler is not None
        answers = self._scheduler.answers
        with contextlib.suppress(queue.Empty):
            name, future, answer = answers.get(timeout=_SECONDS_BETWEEN_LOOKS / 5)
            while True:
                if name is not None:
                    member, shard = name
                    self._answer(member, shard, future, answer)
                name, future, answer = answers.get_nowait()

    def _answer(self, member: _Member, shard: int | None, future: Future, answer: object) -> None:
        key = (member.address, member.process)
        if key not in self._members or (shard is not None and member.in_hand.get(shard, (None, None))[1] is not future):
            return  # of a worker that was given up
        if isinstance(answer, CancelledError):
            self._ask_again(key, member, shard)
            return
        if not isinstance(answer, bytes):
            self._refuse(key, f"{answer}")
            return
        message = Message.decoded(answer)
        if shard is None:
            self._welcome(key, member, message)
        elif message.kind == Kind.DONE:
            self._stored(member, shard, pickle.loads(message.body))
        elif message.kind == Kind.FAILED:
            raise pickle.loads(message.body)
        else:
            self._restart(key, member, message.body.decode("utf-8", "replace"))

    def _ask_again(self, key: tuple[str, str], member: _Member, shard: int | None) -> None:
        """Ask again: the scheduler forgot a question, because the connection was lost for a while."""
        if shard is None:
            del self._members[key]  # `_look` finds it again, if it is still there
        else:
            self._waiting.appendleft(member.in_hand.pop(shard)[0])

    def _welcome(self, key: tuple[str, str], member: _Member, message: Message) -> None:
        """Take a worker in whose engine is ready, if it is like the first."""
        if message.kind == Kind.FAILED:
            self._refuse(key, pickle.loads(message.body))
            return
        if message.kind != Kind.READY:
            why = message.body.decode("utf-8", "replace")
            member.deaths += 1
            if member.deaths > _MOST_DEATHS_WHILE_LOADING:
                self._refuse(key, f"its engine dies while it loads: {why}")
            else:
                say(f"the engine of worker {key[0]} died while it loaded ({why}); it is started again")
                self._load(member)
            return
        facts: Facts = pickle.loads(message.body)
        reference = self._reference or facts
        unlike = [
            f"{name} is {facts.compared[name]!r}, the run has {value!r}"
            for name, value in reference.compared.items()
            if facts.compared.get(name) != value
        ]
        if unlike:
            self._refuse(key, "; ".join(unlike))
            return
        self._reference, member.facts, member.deaths = reference, facts, 0

    def _refuse(self, key: tuple[str, str], why: ApnetError | str) -> None:
        assert self._scheduler is not None
        self._refused[key] = why
        say(f"worker {key[0]} is refused: {why}")
        if key in self._members:
            self._scheduler.ask(None, self._node.end, self._run, at=key[0])
            self._drop(self._leave(key), "was refused")

    def _restart(self, key: tuple[str, str], member: _Member, why: str) -> None:
        """Start the engine of a worker again after it has died, and let its shards wait."""
        say(f"the engine on {member.record()['host']} died ({why}); its shards are done again")
        member.facts = None
        self._drop(member, why)
        self._load(member)

    def _stored(self, member: _Member, shard: int, stored: Stored) -> None:
        del member.in_hand[shard]
        member.shards += 1
        member.spectra += stored.done.spectra
        self._times.add(replace(stored.times, spectra=stored.done.spectra))
        self._on_batch(stored.done)
        self._on_shard(shard, stored.marker)

    def _check_there_is_a_worker(self, since: float) -> None:
        if any(member.facts for member in self._members.values()):
            return
        waited = time.monotonic() - since
        asked = len(self._members)
        if self._reference is None and self._refused and not asked and waited > _SECONDS_AFTER_A_REFUSAL:
            for why in self._refused.values():
                if isinstance(why, ApnetError):
                    raise why  # every worker finds fault with the command itself
        if waited > self._timeout:
            refused = "; ".join(f"{address}: {why}" for (address, _), why in list(self._refused.items())[:3])
            raise Stopped(
                "no worker can compute this run",
                got=f"{asked} workers that are not ready, {len(self._refused)} refused"
                + (f" ({refused})" if refused else ""),
                expected=f"a worker within {self._timeout:.0f} s (--cluster-timeout)",
                remedy="start workers, or mend what they are refused for; then give the same command again",
            )


def check_distributed() -> None:
    """Raise UsageError if the package `distributed` cannot be imported."""
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            "runs on a cluster need Dask",
            got=str(error),
            expected="the package distributed",
            remedy="pip install 'apnet_fast[cluster]'",
        ) from error


def _absolute(arguments: RunArguments) -> RunArguments:
    """Return the arguments with paths that mean the same on every node. Words of INPUT stay: nodes see files only."""
    changes: dict[str, Any] = {"output": arguments.output.absolute()}
    if str(arguments.weights) != "demo":
        changes["weights"] = Path(arguments.weights).absolute()
    if arguments.catalog is not None:
        changes["catalog"] = arguments.catalog.absolute()
    return replace(arguments, **changes)
