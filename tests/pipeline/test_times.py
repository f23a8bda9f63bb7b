"""Stage times: busy and waiting, of several processes, and the stage that bounds a run."""

from __future__ import annotations

from apnet_fast.pipeline.times import StageTimes


def test_busy_and_waiting_are_apart() -> None:
    times = StageTimes()
    with times.measure("engine") as timer:
        sum(range(10_000))
    assert list(times.awaited("engine", [1, 2])) == [1, 2]
    assert timer.seconds == times.busy["engine"] > 0
    assert times.waiting["engine"] > 0
    assert set(times.as_dict()) == {"engine"}


def test_the_busiest_stage_bounds_the_run() -> None:
    times = StageTimes(spectra=1)
    for stage, busy, waiting in (("reading", 1, 9), ("engine", 9, 1), ("writing", 2, 8)):
        times.busy[stage], times.waiting[stage] = busy, waiting
    assert times.bound() == "engine bounded this run: reading busy 10%, engine busy 90%, writing busy 20%"
    times.busy["reading"], times.waiting["reading"] = 10, 0
    assert (times.bound() or "").startswith("reading")
    assert StageTimes().bound() is None


def test_other_processes_are_added() -> None:
    times, other = StageTimes(), StageTimes(spectra=3)
    for each in (times, other):
        each.busy["engine"] += 2
    times.add(other)
    assert (times.busy["engine"], times.spectra) == (4, 3)
