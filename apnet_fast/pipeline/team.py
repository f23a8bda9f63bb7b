"""Who computes the shards of a run: this machine, or another team that keeps the same protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.engines import create_engine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.compute import Computer
from apnet_fast.pipeline.plan import Plan
from apnet_fast.pipeline.settings import RunSettings, resolve_settings
from apnet_fast.pipeline.shards import Marker, ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work, WorkList
from apnet_fast.pipeline.workers import DeviceWorkers


@dataclass(frozen=True)
class Job:
    """A run that is planned and whose folder is open: what its team needs to know. times: to be added to."""

    settings: RunSettings
    plan: Plan
    checkpoint: Checkpoint
    store: ShardStore
    times: StageTimes


class Team(Protocol):
    """Computes shards. Which member computes which changes no byte of them.

    The battery of tests/pipeline/team_battery.py is what every team must pass.
    """

    def prepare(self, arguments: RunArguments, check: Callable[[], None]) -> RunSettings:
        """Return the settings that the team's machines make of the arguments. Raises UsageError and Stopped.

        check: to be called while it waits for others; it raises Stopped if the run is to stop.
        """

    def go(
        self,
        job: Job,
        work: Sequence[Work],
        *,
        on_batch: Callable[[Done], None],
        on_shard: Callable[[int, Marker], None],
        stop: Callable[[], bool],
    ) -> None:
        """Compute and store the shards; once `stop` is true, only those that members have begun.

        on_batch may raise, which ends the work. Raises what a member raised, and Stopped if members die too often.
        """

    def records(self) -> list[dict[str, Any]]:
        """Return what run.json says of the members; nothing if the run's own process is the only one."""

    def close(self) -> None:
        """End whatever the team has started. Called once, also after errors."""


class LocalTeam:
    """This machine: the run's own process if there is one device, else a worker process per device."""

    def prepare(self, arguments: RunArguments, check: Callable[[], None]) -> RunSettings:
        """Return the settings of a run on this machine."""
        return resolve_settings(arguments)

    def go(
        self,
        job: Job,
        work: Sequence[Work],
        *,
        on_batch: Callable[[Done], None],
        on_shard: Callable[[int, Marker], None],
        stop: Callable[[], bool],
    ) -> None:
        """Compute and store the shards, see `Team.go`."""
        if len(job.settings.devices) > 1:
            workers = DeviceWorkers(job.settings, job.plan.fingerprint, job.times)
            workers.go(work, on_batch=on_batch, on_shard=on_shard, stop=stop)
            return
        settings = job.settings
        with job.times.measure("loading"):
            engine = create_engine(
                settings.engine,
                job.checkpoint,
                settings.find_recipe(),
                device=settings.device,
                precision=settings.precision,
            )
            sources = None if settings.catalog is None else SourceTable.load(settings.catalog)
        Computer(
            settings,
            ApogeeNet(engine),
            job.store,
            job.times,
            sources=sources,
            work=WorkList(work),
            on_batch=on_batch,
            on_shard=on_shard,
            stop=stop,
        ).go()

    def records(self) -> list[dict[str, Any]]:
        """Return nothing: the machine of run.json is the one that computed."""
        return []

    def close(self) -> None:
        """Do nothing: workers end with `go`."""
