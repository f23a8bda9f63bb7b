"""The rate of a run follows from the times of its rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.plots.rate import draw_rate, rates, read_progress

START = datetime(2026, 1, 1, tzinfo=UTC)


def catalogue(path: Path, shards: list[tuple[float, int]]) -> Path:
    """Write a catalogue whose shards were made at these seconds, with these numbers of rows."""
    times = [(START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%f") for second, _ in shards]
    created = [time for time, (_, rows) in zip(times, shards, strict=True) for _ in range(rows)]
    pq.write_table(pa.table({"created": created}), path)
    return path


def test_products_add_up_and_the_rate_is_that_of_the_time(tmp_path: Path) -> None:
    shards = [(10.0 * k, 50) for k in range(1, 11)]
    paths = [catalogue(tmp_path / name, shards) for name in ("a.parquet", "b.parquet")]
    progress = read_progress(paths, START)
    assert progress is not None
    assert (progress.total[-1], progress.seconds[-1]) == (1000, 100)
    edges, rate = rates(progress)
    np.testing.assert_allclose(rate, 10.0)
    assert edges[-1] == 100
    # The twin: without its start the first shard has no duration.
    later = read_progress(paths)
    assert later is not None
    assert (later.total[0], later.seconds[-1]) == (100, 90)


def test_a_pause_shows(tmp_path: Path) -> None:
    shards = [*((10.0 * k, 50) for k in range(1, 6)), *((1000 + 10.0 * k, 50) for k in range(1, 6))]
    progress = read_progress([catalogue(tmp_path / "a.parquet", shards)], START)
    assert progress is not None
    rate = rates(progress)[1]
    assert rate.min() < 0.1 * rate.max()
    axes = draw_rate(progress).axes[0]
    assert axes.get_xlabel().endswith("[minutes]")


@pytest.mark.parametrize("shards", [[(1.0, 5)], [(1.0, 5), (2.0, 5), (3.0, 5)]])
def test_few_shards_are_no_curve(tmp_path: Path, shards: list[tuple[float, int]]) -> None:
    assert read_progress([catalogue(tmp_path / "a.parquet", shards)], START) is None


def test_other_columns_and_texts_are_no_times(tmp_path: Path) -> None:
    pq.write_table(pa.table({"created": ["", "yesterday", "x", "y", "z"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"teff": [1.0]}), tmp_path / "b.parquet")
    assert read_progress([tmp_path / "a.parquet", tmp_path / "b.parquet"]) is None
