"""What travels between coordinator and engine comes back as it was."""

from __future__ import annotations

import pickle
from pathlib import Path

from apnet_fast.cluster.orders import Orders, Stored
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done
from tests.pipeline.runs import arguments


def test_orders_and_answers_are_pickled(tmp_path: Path) -> None:
    orders = Orders(arguments(["a.fits"], Path("demo"), tmp_path), str(tmp_path), ".team-x")
    assert pickle.loads(pickle.dumps(orders)) == orders
    times = StageTimes()
    times.busy["engine"] = 2.5
    stored = Stored(Marker("run", {}, {}, 0), Done(1, 2, 6, 0), times)
    again = pickle.loads(pickle.dumps(stored))
    assert (again.marker, again.done, again.times.busy) == (stored.marker, stored.done, stored.times.busy)


def test_times_are_taken_once() -> None:
    times = StageTimes()
    times.busy["engine"], times.spectra = 2.0, 5
    taken = times.taken()
    assert (taken.busy["engine"], taken.spectra) == (2.0, 5)
    assert (times.busy["engine"], times.spectra) == (0.0, 0)
    assert times.taken().busy["engine"] == 0.0
