"""Parquet tables of every type that programs write."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.summary_tables import open_table, read_table
from apnet_fast.support.errors import UsageError


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_text_of_every_type_is_text_without_blanks(kind: pa.DataType, tmp_path: Path) -> None:
    values = pa.array([" 2M1 ", None, "2M2"]).cast(kind) if not pa.types.is_dictionary(kind) else None
    column = pa.array([" 2M1 ", None, "2M2"]).dictionary_encode() if values is None else values
    pq.write_table(pa.table({"OBJ": column}), tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")["obj"]
    assert (found.type, found.to_pylist()) == (pa.string(), ["2M1", None, "2M2"])


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)], ids=str)
def test_bytes_of_every_type_are_bytes(kind: pa.DataType, tmp_path: Path) -> None:
    column = pa.array([b"abc", None]) if kind == pa.binary() else pa.array([b"abc", None], kind)
    pq.write_table(pa.table({"flags": column}), tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")["flags"]
    assert (found.type, found.to_pylist()) == (pa.binary(), [b"abc", None])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None], pa.uint64()), [1, None]),
        (pa.array([True, None]), [True, None]),
        (pa.array([[1, 2], None], pa.list_(pa.int64())), [[1, 2], None]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), [[1, 2], [3, 4]]),
        (pa.array([datetime.date(2020, 1, 2), None]), [datetime.date(2020, 1, 2), None]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_other_types_come_as_they_are(column: pa.Array, expected: list[object], tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": column}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["x"].to_pylist() == expected


@pytest.mark.parametrize(
    "column",
    [pa.array([{"a": 1}]), pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), pa.array([[[1]]])],
    ids=["struct", "map", "list of lists"],
)
def test_nested_columns_are_left_alone_until_they_are_wanted(column: pa.Array, tmp_path: Path) -> None:
    pq.write_table(pa.table({"X": column, "obj": ["2M1"]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").column_names == ["obj"]
    with pytest.raises(UsageError, match=r"the column X holds .*one per row.*leave the column out"):
        read_table(tmp_path / "t.parquet", ["x"])


def test_tables_without_rows_or_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"OBJ": pa.array([], pa.string())}), tmp_path / "rows.parquet")
    assert read_table(tmp_path / "rows.parquet").to_pydict() == {"obj": []}
    pq.write_table(pa.table({}), tmp_path / "columns.parquet")
    assert read_table(tmp_path / "columns.parquet").column_names == []
    with pytest.raises(UsageError, match="lacks columns: obj"):
        read_table(tmp_path / "columns.parquet", ["obj"])


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"obj": ["2M00000"]}), path, compression="none", use_dictionary=False)
    damaged = path.read_bytes().replace(b"2M00000", b"2M\xb1\xb0000")
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match="cannot read the Parquet file"):
        read_table(path)


def test_names_come_without_outer_blanks(tmp_path: Path) -> None:
    pq.write_table(pa.table({"APOGEE_ID ": ["2M1"], " GAIA  ": [7], "x": [1]}), tmp_path / "t.parquet")
    with open_table(tmp_path / "t.parquet") as table:
        assert table.columns == ("apogee_id", "gaia", "x")
    assert read_table(tmp_path / "t.parquet").to_pydict() == {"apogee_id": ["2M1"], "gaia": [7], "x": [1]}
    assert read_table(tmp_path / "t.parquet", [" Gaia"]).to_pydict() == {"gaia": [7]}
    pq.write_table(pa.table({"obj": ["2M1"], "OBJ ": ["2M2"]}), tmp_path / "twice.parquet")
    with pytest.raises(UsageError, match="several columns of one name"):
        read_table(tmp_path / "twice.parquet", ["obj"])
