"""The store of shards: what was written is found, and nothing that is not whole."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from apnet_fast.pipeline.plan import Plan
from apnet_fast.pipeline.shards import QUARANTINE, DamagedPart, ShardStore
from apnet_fast.support.attempts import new_attempt
from apnet_fast.support.errors import UsageError
from tests.pipeline.test_plan import FINGERPRINT


def store_in(output: Path, files: tuple[str, ...] = ("a", "b", "c")) -> ShardStore:
    store = ShardStore(output, Plan(files, 2, FINGERPRINT), ["star"])
    store.open()
    return store


def tables(*names: str, reason: str = "no_data") -> dict[str, pa.Table]:
    """Two stars, the second of them without a result."""
    row = ["star", "b", 1, 0, reason, ""]
    failed = {name: [value] for name, value in zip(QUARANTINE_SCHEMA.names, row, strict=True)}
    return {
        "star": pa.table({"obj": pa.array(names)}),
        QUARANTINE: pa.table(failed, schema=QUARANTINE_SCHEMA),
    }


def test_what_was_written_is_found_and_counted(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert store.finished(0) is None
    marker = store.write(0, tables("one", "three"), 1, ["", ""])
    assert store_in(tmp_path).finished(0) == marker
    assert (marker.parts["star"].rows, marker.parts["star"].widths) == (2, {"obj": 5})
    assert (marker.reasons, marker.failures, marker.incomplete_photometry) == ({"no_data": 1}, 1, 1)


def test_rows_come_in_the_order_of_shards(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    second = store.write(1, tables("c"), 0, [""])
    first = store.write(0, tables("a", "b"), 0, ["", ""])
    read = store.tables("star", [first, second])
    assert [name for table in read for name in table["obj"].to_pylist()] == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["bit", "gone", "another"])
def test_a_part_that_changes_under_the_run_is_found_as_it_is_read(damage: str, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    markers = [store.write(0, tables("a", "b"), 0, ["", ""]), store.write(1, tables("c"), 0, [""])]
    path = store.folder / "000001.star.parquet"
    if damage == "gone":
        path.unlink()
    elif damage == "another":
        path.write_bytes((store.folder / "000000.star.parquet").read_bytes())
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(DamagedPart) as found:
        list(store.tables("star", markers))
    assert (found.value.shard, found.value.path) == (1, path)


@pytest.mark.parametrize(("reason", "again"), [("io_error", True), ("being_written", True), ("truncated", False)])
def test_a_passing_failure_is_tried_again(reason: str, again: bool, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b", reason=reason), 0, ["", ""])
    assert (store.finished(0) is None) is again


def test_attempts_of_writers_that_live_are_left_alone(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    alive = new_attempt(store.folder / "000000.star.parquet")
    foreign = store.folder / "my.partial"
    for path in (alive, foreign):
        path.touch()
    store_in(tmp_path)
    assert alive.exists()
    assert foreign.exists()


@pytest.mark.parametrize("name", ["000000.star.parquet", "000000.quarantine.parquet", "000000.json"])
def test_one_flipped_bit_is_seen(name: str, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b"), 0, ["", ""])
    path = store.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert store.finished(0) is None


def test_a_shard_of_another_run_is_not_taken(tmp_path: Path) -> None:
    store_in(tmp_path).write(0, tables("a", "b"), 0, ["", ""])
    from dataclasses import replace

    other = ShardStore(tmp_path, Plan(("a", "b", "c"), 2, replace(FINGERPRINT, seed=9)), ["star"])
    assert other.finished(0) is None
    with pytest.raises(UsageError, match="seed was 0 and is 9"):
        other.open()


def test_a_file_that_was_missing_and_came_back_is_read(tmp_path: Path) -> None:
    came = tmp_path / "b.fits"
    store = store_in(tmp_path, ("a", str(came)))
    store.write(0, tables("a", "b"), 0, ["", ""])
    assert store.finished(0) is not None
    came.touch()
    assert store.finished(0) is None


def test_parts_are_readable_by_others_and_leave_nothing_partial(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b"), 0, ["", ""])
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "000000.json", "000000.quarantine.parquet", "000000.star.parquet", "plan.json",
    ]  # fmt: skip
    assert pq.read_table(store.folder / "000000.star.parquet").num_rows == 2
    assert os.access(store.folder / "000000.star.parquet", os.R_OK)
