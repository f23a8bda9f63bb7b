"""A run on a Dask cluster: the bytes of a run in one process, whatever happens to scheduler, workers and engines."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apnet_fast.cluster.scheduler import Scheduler
from apnet_fast.cluster.team import DaskTeam
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.pipeline.run import run
from apnet_fast.support.errors import Stopped, UsageError
from tests.cluster.processes import DaskCluster, alive, engines_of, wait_until
from tests.conftest import SMALL
from tests.pipeline.runs import arguments, catalogue_bytes, stored_record, stored_shards
from tests.pipeline.team_battery import MakeTeam, TeamBattery, mixed_inputs, undisturbed  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow


def markers(output: Path) -> int:
    """Number of shards that are stored."""
    return len(stored_shards(output))


def after_shards(shards: int, output: Path, act: object) -> threading.Thread:
    """In a thread: do something once so many shards are stored."""

    def watch() -> None:
        wait_until(lambda: markers(output) >= shards, f"{shards} shards")
        act()  # type: ignore[operator]

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


class TestDaskTeam(TeamBattery):
    """Two workers of a Dask cluster."""

    @pytest.fixture
    def team(self, cluster: DaskCluster) -> Iterator[MakeTeam]:
        yield lambda: DaskTeam(cluster.scheduler_file)
        wait_until(lambda: not any(engines_of(worker.pid) for worker in cluster.workers), "engines end with the run")


def test_a_run_on_two_workers_has_the_bytes_of_one_process(
    stars: Path, small_weights: Path, alone: bytes, cluster: DaskCluster, tmp_path: Path
) -> None:
    run(arguments([stars], small_weights, tmp_path), team=DaskTeam(cluster.scheduler_file))
    assert catalogue_bytes(tmp_path) == alone
    record = stored_record(tmp_path)
    assert sum(worker["shards"] for worker in record["workers"]) == 14
    assert sum(worker["spectra"] for worker in record["workers"]) == record["spectra_this_run"] == 28 * 3
    assert record["stage_seconds"]["engine"]["busy"] > 0
    assert not list(tmp_path.glob(".team-*"))
    wait_until(lambda: not any(engines_of(worker.pid) for worker in cluster.workers), "engines end with the run")


def test_the_command_line_takes_an_address(
    stars: Path, small_weights: Path, alone: bytes, cluster: DaskCluster, tmp_path: Path
) -> None:
    words = ["--weights", small_weights, "--output", tmp_path, "--draws", "3", "--shard-size", "2", "--device", "cpu"]
    command = [sys.executable, "-m", "apnet_fast.reprocess", stars, *words, "--cluster", cluster.address]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert catalogue_bytes(tmp_path) == alone
    assert "distributed" not in done.stderr


def test_a_killed_worker_and_a_late_one(
    stars: Path,
    small_weights: Path,
    alone: bytes,
    own_cluster: DaskCluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = own_cluster.start_worker()
    own_cluster.start_worker()
    output = tmp_path / "out"

    def act() -> None:
        os.kill(first.pid, signal.SIGKILL)
        own_cluster.start_worker()

    watcher = after_shards(3, output, act)
    run(arguments([stars], small_weights, output, shard_size=1), team=DaskTeam(own_cluster.scheduler_file))
    watcher.join()
    assert catalogue_bytes(output) == alone
    assert "has left the cluster" in capfd.readouterr().err


def test_a_worker_that_dies_before_its_answer_is_fetched(
    stars: Path,
    small_weights: Path,
    alone: bytes,
    own_cluster: DaskCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shard is stored and the task done, and what it returned is lost with its worker."""
    first = own_cluster.start_worker()
    fetch, killed = Scheduler._fetch, threading.Event()

    async def fetch_late(self: Scheduler, name: Any, future: Any) -> None:
        if name[1] is not None and not killed.is_set():  # a shard
            await self._client.gather(future, asynchronous=True)
            killed.set()
            first.kill()
            first.wait()
            own_cluster.start_worker()
        await fetch(self, name, future)

    monkeypatch.setattr(Scheduler, "_fetch", fetch_late)
    output = tmp_path / "out"
    run(arguments([stars], small_weights, output), team=DaskTeam(own_cluster.scheduler_file))
    assert killed.is_set()
    assert catalogue_bytes(output) == alone


def test_a_killed_engine_is_started_again(
    stars: Path,
    small_weights: Path,
    alone: bytes,
    own_cluster: DaskCluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    worker = own_cluster.start_worker()
    output = tmp_path / "out"
    watcher = after_shards(3, output, lambda: [os.kill(pid, signal.SIGKILL) for pid in engines_of(worker.pid)])
    run(arguments([stars], small_weights, output, shard_size=1), team=DaskTeam(own_cluster.scheduler_file))
    watcher.join()
    assert catalogue_bytes(output) == alone
    assert "died (exit code -9); its shards are done again" in capfd.readouterr().err


def test_a_killed_scheduler_stops_the_run_and_a_new_one_goes_on(
    stars: Path,
    small_weights: Path,
    alone: bytes,
    own_cluster: DaskCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    worker = own_cluster.start_worker()
    output = tmp_path / "out"
    engines: list[int] = []

    def act() -> None:
        engines.extend(engines_of(worker.pid))
        os.kill(own_cluster.scheduler.pid, signal.SIGKILL)

    watcher = after_shards(2, output, act)
    with monkeypatch.context() as patch:
        patch.setattr("apnet_fast.cluster.team._SECONDS_WITHOUT_SCHEDULER", 5.0)
        with pytest.raises(Stopped, match="the Dask scheduler is lost"):
            run(arguments([stars], small_weights, output, shard_size=1), team=DaskTeam(own_cluster.scheduler_file))
    watcher.join()
    assert "Traceback" not in capfd.readouterr().err
    worker.kill()
    wait_until(lambda: not any(map(alive, engines)), "engines end with their worker")
    own_cluster.start_scheduler()
    own_cluster.start_worker()
    run(arguments([stars], small_weights, output, shard_size=1), team=DaskTeam(own_cluster.scheduler_file))
    assert "going on" in capfd.readouterr().err
    assert catalogue_bytes(output) == alone


def test_a_worker_that_sleeps_and_wakes_up_changes_nothing(
    stars: Path,
    small_weights: Path,
    alone: bytes,
    own_cluster: DaskCluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sleeper = own_cluster.start_worker()
    own_cluster.start_worker()
    output = tmp_path / "out"
    stopped: list[int] = []

    def act() -> None:
        stopped.extend([sleeper.pid, *engines_of(sleeper.pid)])
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(14)  # the scheduler gives a worker up after 8 s
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    watcher = after_shards(2, output, act)
    run(arguments([stars], small_weights, output, shard_size=1), team=DaskTeam(own_cluster.scheduler_file))
    watcher.join()
    assert "has left the cluster; others take its" in capfd.readouterr().err
    assert catalogue_bytes(output) == alone


def test_under_the_nanny_with_readers(
    stars: Path, small_weights: Path, alone: bytes, own_cluster: DaskCluster, tmp_path: Path
) -> None:
    own_cluster.start_worker(nanny=True)
    output = tmp_path / "out"
    run(arguments([stars], small_weights, output, readers=1), team=DaskTeam(own_cluster.scheduler_file))
    assert catalogue_bytes(output) == alone


def test_two_coordinators_on_one_folder(
    stars: Path, small_weights: Path, alone: bytes, cluster: DaskCluster, tmp_path: Path
) -> None:
    words = ["--weights", small_weights, "--output", tmp_path, "--draws", "3", "--shard-size", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "apnet_fast.reprocess", stars, *words, "--cluster", cluster.address]
    first = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
    wait_until(lambda: markers(tmp_path) >= 1, "a shard")
    os.kill(first.pid, signal.SIGSTOP)  # it is there, however long the second one takes to begin
    with pytest.raises(UsageError, match="another run is writing"):
        run(arguments([stars], small_weights, tmp_path, shard_size=1), team=DaskTeam(cluster.scheduler_file))
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(300) == 0
    assert catalogue_bytes(tmp_path) == alone


DEADLY = "2M00000002"
# Python imports this in every process of the worker; whoever opens the deadly file is gone.
DIE_ON_OPEN = f"""
import os, sys
def watch(event, arguments):
    if event == "open" and {DEADLY!r} in str(arguments[0]):
        os._exit(9)
sys.addaudithook(watch)
"""


def test_a_shard_that_always_ends_its_engine(
    stars: Path, small_weights: Path, own_cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run names it, and stops."""
    monkeypatch.setattr("apnet_fast.cluster.team._MOST_DEATHS_OF_A_SHARD", 1)
    (tmp_path / "sitecustomize.py").write_text(DIE_ON_OPEN)
    own_cluster.start_worker(PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    files = [str(file) for file in sorted(stars.iterdir())[:4]]
    output = tmp_path / "out"
    with pytest.raises(Stopped, match=rf"ends every worker.*shard 2 .*{DEADLY}.*2 workers.*exit code 9"):
        run(arguments([*files], small_weights, output, shard_size=1), team=DaskTeam(own_cluster.scheduler_file))
    assert "000002" not in [shard.name for shard in stored_shards(output)]


def test_two_runs_on_one_cluster_at_the_same_time(
    stars: Path, small_weights: Path, alone: bytes, cluster: DaskCluster, tmp_path: Path
) -> None:
    """Each has its own engines, and ends no other's."""
    outputs = [tmp_path / name for name in ("a", "b")]
    words = ["--weights", small_weights, "--draws", "3", "--shard-size", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "apnet_fast.reprocess", stars, *words, "--cluster", cluster.address, "--output"]
    runs = [
        subprocess.Popen([*map(str, command), str(output)], stderr=subprocess.PIPE, text=True) for output in outputs
    ]
    errors = [each.communicate(timeout=300)[1] for each in runs]
    assert [each.returncode for each in runs] == [0, 0], errors
    assert [catalogue_bytes(output) for output in outputs] == [alone, alone]
    assert not any("died" in error for error in errors), errors


def test_workers_without_the_resources_are_refused(
    stars: Path, small_weights: Path, alone: bytes, own_cluster: DaskCluster, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Dask would let a shard wait for ever for such a worker."""
    own_cluster.start_worker()
    own_cluster.start_worker("--resources", "GPU=1")
    team = OnceOneIsRefused(own_cluster.scheduler_file, resources={"GPU": 1})
    run(arguments([stars], small_weights, tmp_path / "out"), team=team)
    assert catalogue_bytes(tmp_path / "out") == alone
    assert "is refused: it does not have {'GPU': 1}" in capfd.readouterr().err


class OnceOneIsRefused(DaskTeam):
    """Gives out the first shard when one worker was refused."""

    def go(self, *given: Any, **callbacks: Any) -> None:
        def is_refused() -> bool:
            self._look()
            self._take_in()
            return bool(self._refused)

        wait_until(is_refused, "a worker that is refused")
        super().go(*given, **callbacks)


def test_what_every_worker_finds_wrong_is_an_error_of_the_command(
    stars: Path, small_weights: Path, cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apnet_fast.cluster.team._SECONDS_AFTER_A_REFUSAL", 1.0)
    with pytest.raises(UsageError, match="unknown recipe"):
        run(arguments([stars], small_weights, tmp_path, recipe="no such recipe"), team=DaskTeam(cluster.scheduler_file))


@pytest.fixture
def late_worker(
    stars: Path, small_checkpoint: Checkpoint, own_cluster: DaskCluster, tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """What a team says of a worker that joins when the first is at work already."""
    weights = tmp_path / "w.safetensors"
    small_checkpoint.save(weights)
    own_cluster.start_worker()
    team = DaskTeam(own_cluster.scheduler_file)

    def join(
        before: Callable[[Path], object] = lambda weights: None, *, mix_instructions: bool = False, **variables: str
    ) -> str:
        team.prepare(arguments([stars], weights, tmp_path / "out", mix_instructions=mix_instructions), lambda: None)
        before(weights)
        own_cluster.start_worker(**variables)

        def is_judged() -> bool:
            team._look()
            team._take_in()
            return bool(team._refused) or sum(member.facts is not None for member in team._members.values()) == 2

        wait_until(is_judged, "a verdict on the second worker")
        return "".join(map(str, team._refused.values()))

    yield join
    team.close()


OTHER_SET = {"ATEN_CPU_CAPABILITY": "default", "NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse2"}


def test_a_worker_like_the_first_is_taken(late_worker: Callable[..., str]) -> None:
    assert late_worker() == ""


def test_a_worker_of_another_instruction_set_is_refused_by_name(late_worker: Callable[..., str]) -> None:
    refused = late_worker(**OTHER_SET)
    assert "instruction set is 'torch DEFAULT" in refused
    assert "the run has 'torch " in refused


def test_a_worker_of_another_instruction_set_is_taken_where_they_may_mix(late_worker: Callable[..., str]) -> None:
    assert late_worker(mix_instructions=True, **OTHER_SET) == ""


def test_a_worker_that_reads_other_weights_is_refused_by_name(late_worker: Callable[..., str]) -> None:
    other = random_checkpoint(seed=2, architecture=SMALL)
    assert "weights is '" in late_worker(other.save)


def test_a_worker_that_cannot_read_the_weights_is_refused_by_name(late_worker: Callable[..., str]) -> None:
    assert "w.safetensors" in late_worker(lambda weights: weights.write_bytes(b"no weights any more"))


class OnceBothAreThere(DaskTeam):
    """Gives out the first shard when two workers are ready, so that each computes some."""

    def go(self, *given: Any, **callbacks: Any) -> None:
        def are_there() -> bool:
            self._look()
            self._take_in()
            return sum(member.facts is not None for member in self._members.values()) == 2

        wait_until(are_there, "two workers")
        super().go(*given, **callbacks)


def test_a_run_on_mixed_processors_says_which_shard_came_from_which(
    stars: Path, small_weights: Path, own_cluster: DaskCluster, tmp_path: Path
) -> None:
    own_cluster.start_worker()
    own_cluster.start_worker(**OTHER_SET)
    given = arguments([stars], small_weights, tmp_path / "out", shard_size=1, mix_instructions=True)
    run(given, team=OnceBothAreThere(own_cluster.scheduler_file))
    record = stored_record(tmp_path / "out")
    assert record["fingerprint"]["instructions"] == "any"
    sets = record["shards_by_instruction_set"]
    assert any("torch DEFAULT" in name for name in sets)
    assert len(sets) == 2
    ranges = [part.partition("-") for part in ", ".join(sets.values()).split(", ")]
    shards = [range(int(first), int(last or first) + 1) for first, _, last in ranges]
    assert sorted(itertools.chain.from_iterable(shards)) == list(range(28))


def test_no_scheduler_and_no_worker(stars: Path, small_weights: Path, own_cluster: DaskCluster, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"no worker can compute this run.*0 workers"):
        run(arguments([stars], small_weights, tmp_path / "a"), team=DaskTeam(own_cluster.scheduler_file, timeout=2))
    with pytest.raises(UsageError, match="cannot reach the Dask scheduler"):
        run(arguments([stars], small_weights, tmp_path / "b"), team=DaskTeam("tcp://127.0.0.1:1", timeout=2))
    with pytest.raises(UsageError, match=r"no such scheduler file.*typo\.json"):
        run(arguments([stars], small_weights, tmp_path / "c"), team=DaskTeam(tmp_path / "typo.json", timeout=1))
