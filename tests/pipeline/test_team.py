"""A run hands its shards to whoever keeps the protocol, and closes the team whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.run import run
from apnet_fast.pipeline.settings import RunSettings, resolve_settings
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.team import Job, LocalTeam
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.support.errors import Stopped
from tests.pipeline.children import NewChildren
from tests.pipeline.runs import arguments, catalogue_bytes, stored_record
from tests.pipeline.team_battery import MakeTeam, TeamBattery, mixed_inputs, undisturbed  # noqa: F401 - fixtures


class Backwards(LocalTeam):
    """Computes the shards from the last to the first, one at a time."""

    def __init__(self, most: int = 1000) -> None:
        self.most, self.closed, self.done = most, 0, 0

    def prepare(self, arguments: RunArguments, check: Callable[[], None]) -> RunSettings:
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
        for each in reversed(work):
            if self.done == self.most:
                raise Stopped("this team is tired")
            super().go(job, [each], on_batch=on_batch, on_shard=on_shard, stop=stop)
            self.done += 1

    def records(self) -> list[dict[str, Any]]:
        return [{"host": "backwards", "shards": self.done}]

    def close(self) -> None:
        self.closed += 1


class TestThisProcess(TeamBattery):
    """The run's own process."""

    @pytest.fixture
    def team(self) -> MakeTeam:
        return LocalTeam


@pytest.mark.slow
class TestDevicesOfThisMachine(TeamBattery):
    """A worker process for each of two devices."""

    options: ClassVar[Mapping[str, Any]] = {"device": "cpu,cpu"}

    @pytest.fixture
    def team(self, new_children: NewChildren) -> Iterator[MakeTeam]:
        yield LocalTeam
        assert new_children() == []


def test_a_team_changes_nothing(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path / "alone"))
    team = Backwards()
    run(arguments([tree], small_weights, tmp_path / "team"), team=team)
    assert catalogue_bytes(tmp_path / "team") == catalogue_bytes(tmp_path / "alone")
    assert (team.done, team.closed) == (4, 1)
    assert stored_record(tmp_path / "team")["workers"] == [{"host": "backwards", "shards": 4}]
    assert stored_record(tmp_path / "alone")["workers"] == []


def test_a_team_that_gives_up_is_closed_and_another_goes_on(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    tired = Backwards(most=1)
    with pytest.raises(Stopped, match="tired"):
        run(arguments([tree], small_weights, tmp_path), team=tired)
    assert tired.closed == 1
    fresh = Backwards()
    run(arguments([tree], small_weights, tmp_path), team=fresh)
    assert fresh.done == 3


class OnOtherMachines(LocalTeam):
    """Computes on GPUs that the machine of the run does not have; here they only say so."""

    def prepare(self, arguments: RunArguments, check: Callable[[], None]) -> RunSettings:
        self.mine = resolve_settings(arguments)
        return replace(self.mine, engine="triton", devices=("cuda:0",), precision="fp16", tuning="theirs")

    def go(self, job: Job, work: Sequence[Work], **callbacks: Any) -> None:
        super().go(replace(job, settings=self.mine), work, **callbacks)


def test_a_machine_without_a_gpu_may_begin_a_run_on_gpus(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    """As a login node does: nothing about devices is asked of it."""
    run(arguments([tree], small_weights, tmp_path), team=OnOtherMachines())
    fingerprint = stored_record(tmp_path)["fingerprint"]
    assert (fingerprint["engine"], fingerprint["device"], fingerprint["tuning"]) == ("triton", "cuda", "theirs")
