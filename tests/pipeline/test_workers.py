"""Workers change no byte, may die, and finish their shards when the run is asked to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from apnet_fast.inputs.words import Inputs, resolve_inputs
from apnet_fast.pipeline import workers
from apnet_fast.pipeline.run import run
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.pipeline.workers import DeviceWorkers, WorkerOrders
from apnet_fast.support.errors import Stopped, WeightsError
from tests.pipeline.children import NewChildren
from tests.pipeline.runs import arguments, catalogue_bytes, settings, stored_record, stored_shards
from tests.pipeline.test_run import command, wait_for_a_shard


@pytest.fixture(scope="module")
def many(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty-six stars: eight names for each of the tree's."""
    folder = tmp_path_factory.mktemp("many")
    for number, source in enumerate(resolve_inputs([str(tree)]).files * 8):
        os.link(source, folder / f"apStar-dr17-2M{number:08d}+0000000.fits")
    return folder


@pytest.fixture(scope="module")
def undisturbed(many: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("undisturbed")
    run(arguments([many], small_weights, output, shard_size=4))
    return catalogue_bytes(output)


def kill_a_worker_after(shards: int, output: Path, new_children: NewChildren, deaths: int = 1) -> threading.Thread:
    """In a thread: kill -9 of a worker of this process, once so many shards are stored."""

    def kill() -> None:
        for death in range(deaths):
            while len(stored_shards(output)) < shards + death:
                time.sleep(0.005)
            os.kill(new_children()[0], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_two_workers_change_no_byte_and_one_may_be_killed(
    many: Path,
    small_weights: Path,
    undisturbed: bytes,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    new_children: NewChildren,
) -> None:
    killer = kill_a_worker_after(2, tmp_path, new_children)
    run(arguments([many], small_weights, tmp_path, shard_size=4, device="cpu,cpu"))
    killer.join()
    assert "died (exit code -9)" in capfd.readouterr().err
    assert catalogue_bytes(tmp_path) == undisturbed
    record = stored_record(tmp_path)
    assert record["device"] == "cpu,cpu"
    assert record["spectra_this_run"] == 56 * 3
    assert record["stage_seconds"]["engine"]["busy"] > 0
    assert new_children() == []
    # A finished run may be looked at, or gone on with, on one device.
    assert run(arguments([many], small_weights, tmp_path, shard_size=4)).rate is None


@pytest.mark.slow
def test_workers_that_cannot_live_stop_the_run(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_children: NewChildren
) -> None:
    monkeypatch.setattr(workers, "_MOST_DEATHS_OF_A_DEVICE", 1)
    monkeypatch.setattr(workers, "serve_shards", die)
    with pytest.raises(Stopped, match="worker processes of device cpu die"):
        run(arguments([tree], small_weights, tmp_path, device="cpu,cpu"))
    assert new_children() == []


def die(*given: object) -> None:
    os._exit(9)


def finish_all(team: DeviceWorkers, shards: int) -> tuple[list[int], int]:
    """The shards that were finished, in order, and how many spectra were counted."""
    finished: list[int] = []
    spectra: list[int] = []
    team.go(
        [Work(shard, ("file",)) for shard in range(shards)],
        on_batch=lambda done: spectra.append(done.spectra),
        on_shard=lambda shard, marker: finished.append(shard),
        stop=lambda: False,
    )
    return sorted(finished), sum(spectra)


def compute(pipe: Connection, work: Work, *, to_its_end: bool = True) -> None:
    pipe.send(Done(work.shard, 1, 10, 0))
    if to_its_end:
        pipe.send(workers._Finished(work.shard, Marker("", {}, {}, 0)))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.005)


def serve_or_be_killed(pipe: Connection, orders: WorkerOrders) -> None:
    """In place of `serve_shards`: "mortal" is killed when "steady" is at the last shard it has, and comes back once."""
    folder = orders.settings.output
    shards = 0
    if orders.device == "mortal" and (folder / "killed").exists():
        (folder / "reborn").touch()
    while (work := pipe.recv()) is not None:
        if orders.device == "mortal" and not (folder / "killed").exists():
            compute(pipe, work, to_its_end=False)
            wait_for(folder / "one")
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if orders.device == "steady" and shards == 1:
            (folder / "one").touch()
            wait_for(folder / "reborn")
        compute(pipe, work)
        shards += 1
    pipe.send(StageTimes())


@pytest.mark.slow
def test_a_worker_that_dies_at_the_end_loses_no_shard(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_children: NewChildren
) -> None:
    """All shards are given out, and the worker that is left has one of them, when the other is killed."""
    monkeypatch.setattr(workers, "serve_shards", serve_or_be_killed)
    given = replace(settings([tree], small_weights, tmp_path), devices=("steady", "mortal"))
    times = StageTimes()
    team = DeviceWorkers(given, None, times)  # type: ignore[arg-type]
    assert finish_all(team, 4) == ([0, 1, 2, 3], 40)
    assert times.spectra == 40
    assert new_children() == []


def serve_or_leave(pipe: Connection, orders: WorkerOrders) -> None:
    """In place of `serve_shards`: the first worker reports that it is done while it has a shard."""
    work, left = pipe.recv(), orders.settings.output / "left"
    if not left.exists():
        left.touch()
        compute(pipe, work, to_its_end=False)
    else:
        while work is not None:
            compute(pipe, work)
            work = pipe.recv()
    pipe.send(StageTimes())


@pytest.mark.slow
def test_shards_that_a_worker_leaves_are_given_to_another(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "serve_shards", serve_or_leave)
    team = DeviceWorkers(settings([tree], small_weights, tmp_path), None, StageTimes())  # type: ignore[arg-type]
    assert finish_all(team, 3) == ([0, 1, 2], 30)


def test_a_run_with_a_shard_missing_writes_no_catalogue(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(DeviceWorkers, "go", lambda self, work, **how: None)
        with pytest.raises(Stopped, match="got 0 of 4"):
            run(arguments([tree], small_weights, tmp_path, device="cpu,cpu"))
    assert not list(tmp_path.glob("astra*"))


@pytest.mark.slow
def test_what_a_worker_raises_ends_the_run(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    """The worker finds that it was given other weights than the run began with."""
    from apnet_fast.networks.checkpoint import load_checkpoint
    from apnet_fast.pipeline.plan import make_plan

    given = settings([tree], small_weights, tmp_path, device="cpu,cpu")
    files = resolve_inputs([str(tree)]).files
    plan = make_plan(given, Inputs(files), load_checkpoint(small_weights))
    assert plan.fingerprint.device == "cpu"
    team = DeviceWorkers(given, replace(plan.fingerprint, weights="sha256 0"), StageTimes())
    with pytest.raises(WeightsError, match="changed"):
        team.go([Work(0, files)], on_batch=print, on_shard=print, stop=lambda: False)


def test_threads_are_divided(tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_threads", lambda: 9)

    def threads(*devices: str) -> list[int]:
        given = replace(settings([tree], small_weights, tmp_path), devices=devices)
        orders: list[WorkerOrders] = DeviceWorkers(given, None, StageTimes())._orders  # type: ignore[arg-type]
        return [order.threads for order in orders]

    assert threads("cpu", "cpu") == [4, 4]
    assert threads(*["cpu"] * 10) == [1] * 10
    assert threads("cuda:0", "cuda:1") == [4, 4]


@pytest.mark.slow
def test_sigterm_lets_every_worker_finish_its_shard(
    many: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    words = command(many, small_weights, tmp_path, "--device", "cpu,cpu", "--shard-size", "4")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        wait_for_a_shard(tmp_path, process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 4, errors
    assert not list(tmp_path.glob("shards/*.partial"))
    assert not list(tmp_path.glob("astra*"))
    run(arguments([many], small_weights, tmp_path, shard_size=4))
    assert catalogue_bytes(tmp_path) == undisturbed
