"""The store of shards: what was written is found, and nothing that is not whole."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from apnet_fast.pipeline.plan import ANY_INSTRUCTIONS, Plan
from apnet_fast.pipeline.shards import QUARANTINE, DamagedPart, Marker, ShardStore
from apnet_fast.pipeline.stored import checksum_of
from apnet_fast.support.attempts import new_attempt
from apnet_fast.support.errors import Stopped, UsageError
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
    assert 0 not in store.finished()
    marker = store.write(0, tables("one", "three"), 1, ["", ""])
    assert store_in(tmp_path).finished() == {0: marker}
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
    path = store.folder / "000001" / "star.parquet"
    if damage == "gone":
        path.unlink()
    elif damage == "another":
        path.write_bytes((store.folder / "000000" / "star.parquet").read_bytes())
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
    assert (0 not in store.finished()) is again


def test_attempts_of_writers_that_live_are_left_alone(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    alive = new_attempt(store.folder / "000000")
    foreign = store.folder / "my.partial"
    for path in (alive, foreign):
        path.mkdir()
        (path / "star.parquet").touch()
    store_in(tmp_path)
    assert (alive / "star.parquet").exists()
    assert (foreign / "star.parquet").exists()


def test_of_two_writers_the_first_counts(tmp_path: Path) -> None:
    first = store_in(tmp_path).write(0, tables("a", "b"), 0, ["", ""])
    before = (tmp_path / "shards/000000/star.parquet").read_bytes()
    late = store_in(tmp_path)
    assert late.write(0, tables("x", "y"), 1, ["", ""]) == first
    assert (tmp_path / "shards/000000/star.parquet").read_bytes() == before
    assert sorted(path.name for path in late.folder.iterdir()) == ["000000", "plan.json"]


def test_many_writers_at_once_leave_one_whole_shard(tmp_path: Path) -> None:
    """Every writer learns the marker that vouches for the parts that are there."""
    store, together = store_in(tmp_path), threading.Barrier(6)

    def write(number: int) -> list[Marker]:
        markers = []
        for shard in (0, 1):
            together.wait()
            markers.append(store.write(shard, tables(f"{number}", "b"), number, ["", ""][: 2 - shard]))
        return markers

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(write, range(6)))
    assert all(markers == found[0] for markers in found)
    assert store.finished() == dict(enumerate(found[0]))
    assert len(list(store.tables("star", found[0]))) == 1


def test_what_is_no_shard_gives_way_to_one_and_foreign_files_do_not(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b"), 0, ["", ""])
    (store.folder / "000000" / "marker.json").write_text("{}")
    (store.folder / "000001").write_text("a file")
    markers = [store.write(0, tables("c", "d"), 0, ["", ""]), store.write(1, tables("e"), 0, [""])]
    assert store.finished() == dict(enumerate(markers))
    (store.folder / "000000" / "notes.txt").write_text("mine")
    (store.folder / "000000" / "marker.json").write_text("{}")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        store.write(0, tables("c", "d"), 0, ["", ""])
    assert (store.folder / "000000" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("change", ["bit of the marker", "shorter", "gone"])
def test_a_shard_that_is_not_whole_is_not_taken(change: str, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b"), 0, ["", ""])
    path = store.folder / "000000" / ("marker.json" if "marker" in change else "star.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content[:-1] if change == "shorter" else content)
    if change == "gone":
        path.unlink()
    assert 0 not in store.finished()


def test_a_shard_of_another_instruction_set_is_taken_only_where_they_may_mix(tmp_path: Path) -> None:
    def store_of(instructions: str) -> ShardStore:
        plan = Plan(("a", "b", "c"), 2, replace(FINGERPRINT, instructions=instructions))
        return ShardStore(tmp_path, plan, ["star"], "AVX512" if instructions == ANY_INSTRUCTIONS else instructions)

    store = store_of("AVX2")
    store.open()
    marker = store.write(0, tables("a", "b"), 0, ["", ""])
    assert marker.instructions == "AVX2"
    with pytest.raises(UsageError, match="instructions was 'AVX2' and is 'AVX512'"):
        store_of("AVX512").open()
    assert store_of("AVX512").finished() == {}
    mixed = store_of(ANY_INSTRUCTIONS)
    mixed.open()
    assert mixed.finished() == {0: marker}
    assert mixed.write(1, tables("c"), 0, [""]).instructions == "AVX512"
    # Gone on with as it was begun, only the shards of that kind count.
    assert list(store_of("AVX2").finished()) == [0]


def test_a_late_writer_of_an_earlier_run_changes_nothing(tmp_path: Path) -> None:
    """Its coordinator was killed, and the folder is another run's now."""
    late = store_in(tmp_path)
    late.folder.joinpath("plan.json").unlink()
    other = ShardStore(tmp_path, Plan(("a", "b", "c"), 2, replace(FINGERPRINT, seed=9)), ["star"])
    other.open()
    marker = other.write(0, tables("a", "b"), 0, ["", ""])
    with pytest.raises(UsageError, match="another run"):
        late.write(0, tables("x", "y"), 0, ["", ""])
    assert other.finished() == {0: marker}


def test_a_search_may_be_stopped(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b"), 0, ["", ""])

    def stop() -> None:
        raise Stopped("by a signal")

    with pytest.raises(Stopped):
        store.finished(stop)


def test_a_shard_of_another_run_is_not_taken(tmp_path: Path) -> None:
    store_in(tmp_path).write(0, tables("a", "b"), 0, ["", ""])
    other = ShardStore(tmp_path, Plan(("a", "b", "c"), 2, replace(FINGERPRINT, seed=9)), ["star"])
    assert 0 not in other.finished()
    with pytest.raises(UsageError, match="seed was 0 and is 9"):
        other.open()


def test_a_file_that_was_missing_and_came_back_is_read(tmp_path: Path) -> None:
    came = tmp_path / "b.fits"
    store = store_in(tmp_path, ("a", str(came)))
    store.write(0, tables("a", "b"), 0, ["", ""])
    assert 0 in store.finished()
    came.touch()
    assert 0 not in store.finished()


def test_parts_are_readable_by_others_and_leave_nothing_partial(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("a", "b"), 0, ["", ""])
    assert sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*")) == [
        "000000", "000000/marker.json", "000000/quarantine.parquet", "000000/star.parquet", "plan.json",
    ]  # fmt: skip
    assert pq.read_table(store.folder / "000000/star.parquet").num_rows == 2
    assert os.access(store.folder / "000000/star.parquet", os.R_OK)


@pytest.mark.timeout(60)
def test_a_part_that_is_no_file_any_more_is_damaged(put_no_file: Callable[[Path], None], tmp_path: Path) -> None:
    store = store_in(tmp_path)
    marker = store.write(0, tables("a", "b"), 0, ["", ""])
    put_no_file(store.folder / "000000" / "star.parquet")
    assert store.finished() == {}
    with pytest.raises(DamagedPart):
        list(store.tables("star", [marker]))


def changed_marker(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a marker and give it the checksum of its new content."""
    content = json.loads((folder / "marker.json").read_text())
    del content["checksum"]
    change(content)
    (folder / "marker.json").write_text(json.dumps({**content, "checksum": checksum_of(content)}))


MARKERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "rows": lambda marker: marker["parts"]["star"].update(rows=10**12),
    "no rows": lambda marker: marker["parts"]["star"].update(rows=0),
    "rows of the quarantine": lambda marker: marker["parts"]["quarantine"].update(rows=2),
    "no widths": lambda marker: marker["parts"]["star"].update(widths={}),
    "short width": lambda marker: marker["parts"]["star"].update(widths={"obj": 4}),
    "long width": lambda marker: marker["parts"]["star"].update(widths={"obj": 10**6}),
    "width of nothing": lambda marker: marker["parts"]["star"]["widths"].update(none=3),
    "width in the quarantine": lambda marker: marker["parts"]["quarantine"].update(widths={"text": 3}),
    "reason": lambda marker: marker.update(reasons={"nonsense": 5}),
    "count of a reason": lambda marker: marker.update(reasons={"no_data": 2}),
    "no reason": lambda marker: marker.update(reasons={}),
}


@pytest.mark.parametrize("what", MARKERS)
def test_a_marker_that_its_parts_contradict_vouches_for_none(what: str, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.write(0, tables("three", "b"), 0, ["", ""])
    changed_marker(store.folder / "000000", MARKERS[what])
    markers = list(store.finished().values())
    assert len(markers) == 1
    with pytest.raises(DamagedPart) as found:
        [list(store.tables(name, markers)) for name in ("star", QUARANTINE)]
    assert found.value.shard == 0


def test_a_marker_of_parts_without_rows_is_believed(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    empty = {name: table.slice(0, 0) for name, table in tables("a", "b").items()}
    store.write(0, empty, 0, ["", ""])
    markers = list(store.finished().values())
    assert [sum(map(len, store.tables(name, markers))) for name in ("star", QUARANTINE)] == [0, 0]
