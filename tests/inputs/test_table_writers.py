"""Tables as the programs of the field write them come back equal, column by column: values, nulls, 64 bits."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apnet_fast.inputs.summary_tables import read_table
from apnet_fast.inputs.table_values import as_integers, as_text
from tests.inputs.raw_tables import table_of

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

INTEGERS = ("uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
KINDS = (*INTEGERS, "float32", "float64", "bool", "text")
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


def values_of(kind: str) -> st.SearchStrategy[Any]:
    if kind in INTEGERS:
        limits = np.iinfo(kind)
        return st.integers(int(limits.min), int(limits.max))
    if kind.startswith("float"):
        return st.floats(width=int(kind[5:]), allow_nan=True)  # type: ignore[arg-type]
    return st.booleans() if kind == "bool" else TEXT


@st.composite
def columns(draw: st.DrawFn) -> dict[str, tuple[str, list[Any], list[bool]]]:
    """Columns by name: their kind, values, and which of them are null."""
    rows = draw(st.integers(1, 6))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
    found = {}
    for number, kind in enumerate(kinds):
        values = draw(st.lists(values_of(kind), min_size=rows, max_size=rows))
        missing = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
        found[f"C{number}_{kind}"] = (kind, values, missing)
    return found


@contextmanager
def a_file(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / name


def assert_equal(path: Path, expected: dict[str, list[Any]]) -> None:
    """Read a table and compare: NaN and null in a column of floats are the same, nothing else is."""
    found = read_table(path).to_pydict()
    assert list(found) == [name.lower() for name in expected]
    for name, values in expected.items():
        mine = found[name.lower()]
        assert len(mine) == len(values), name
        for one, other in zip(mine, values, strict=True):
            if isinstance(other, float) or (other is None and "float" in name):
                assert (one is None or math.isnan(one)) if other is None or math.isnan(other) else one == other, name
            else:
                assert (one is None) == (other is None), (name, mine, values)
                assert one == other, (name, mine, values)


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(columns())
def test_masked_tables_of_astropy(drawn: dict[str, tuple[str, list[Any], list[bool]]]) -> None:
    table = Table()
    for name, (kind, values, missing) in drawn.items():
        data = np.array(values, "U12" if kind == "text" else kind)
        table[name] = MaskedColumn(data, mask=missing)
    with a_file("t.fits") as path:
        table.write(path)
        # What astropy itself reads; a value that is the one it has chosen for null is masked too.
        back = Table.read(path)
        expected = {}
        for name, (kind, _, missing) in drawn.items():
            column = np.ma.MaskedArray(back[name])
            expected[name] = [None if value is np.ma.masked else plain(value) for value in column]
            if kind == "text":
                expected[name] = [value or "" for value in expected[name]]
            if kind in INTEGERS:
                assert [value is None for value in expected[name]] >= missing
        assert_equal(path, expected)


@QUICK
@given(columns())
def test_tables_of_fitsio(drawn: dict[str, tuple[str, list[Any], list[bool]]]) -> None:
    names = [name for name, (kind, _, _) in drawn.items()]
    arrays = [np.array(values, "S12" if kind == "text" else kind) for kind, values, _ in drawn.values()]
    with a_file("t.fits") as path:
        fitsio.write(str(path), arrays, names=names)
        assert_equal(path, {name: list(map(plain, values)) for name, (_, values, _) in drawn.items()})


@QUICK
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=6), st.floats(-10, 10), st.floats(-1e4, 1e4))
def test_scaled_columns_of_astropy(stored: list[int], scale: float, zero: float) -> None:
    scale = scale or 1.0
    with a_file("t.fits") as path:
        path.write_bytes(table_of("I", np.array(stored, np.int16), [("TSCAL1", scale), ("TZERO1", zero)]))
        with fits.open(path) as file:
            expected = np.array(file[1].data["X"], np.float64)
        np.testing.assert_allclose(read_table(path)["x"].to_numpy(), expected, rtol=1e-12, atol=1e-9)


PANDAS = {"bool": "boolean", "text": "string"} | {
    name: name.replace("int", "Int").replace("uI", "UI") for name in INTEGERS
}


@QUICK
@given(columns(), st.sampled_from(["none", "named", "own"]))
def test_nullable_frames_of_pandas(drawn: dict[str, tuple[str, list[Any], list[bool]]], index: str) -> None:
    frame = pd.DataFrame()
    for name, (kind, values, missing) in drawn.items():
        series = pd.Series([None if gone else value for value, gone in zip(values, missing, strict=True)], dtype=object)
        frame[name] = series.astype(PANDAS.get(kind, kind))
    expected = {
        name: [None if gone else value for value, gone in zip(values, missing, strict=True)]
        for name, (_, values, missing) in drawn.items()
    }
    rows = len(frame)
    if index == "named":
        frame.index = pd.Index([i + 1 for i in range(rows)], name="STAR")
        expected["STAR"] = [i + 1 for i in range(rows)]
    if index == "own":
        # Rows that were dropped leave an index of its own: __index_level_0__.
        kept = [number for number in range(rows) if number % 2 == 0]
        frame = frame.iloc[kept]
        expected = {name: [values[number] for number in kept] for name, values in expected.items()}
    with a_file("t.parquet") as path:
        frame.to_parquet(path)
        table = read_table(path)
        assert {name.lower() for name in expected} <= set(table.column_names)
        pq.write_table(table.select([name.lower() for name in expected]), path)
        assert_equal(path, expected)


POLARS = {name: getattr(pl, name.replace("int", "Int").replace("uI", "UI")) for name in INTEGERS} | {
    "float32": pl.Float32, "float64": pl.Float64, "bool": pl.Boolean, "text": pl.String,
}  # fmt: skip


@QUICK
@given(columns(), st.booleans())
def test_frames_of_polars(drawn: dict[str, tuple[str, list[Any], list[bool]]], categories: bool) -> None:
    expected, series = {}, {}
    for name, (kind, values, missing) in drawn.items():
        expected[name] = [None if gone else value for value, gone in zip(values, missing, strict=True)]
        column = pl.Series(name, expected[name], POLARS[kind])
        series[name] = column.cast(pl.Categorical) if categories and kind == "text" else column
    with a_file("t.parquet") as path:
        pl.DataFrame(series).write_parquet(path)
        assert_equal(path, expected)


def test_identifiers_survive_every_type_that_holds_them(tmp_path: Path) -> None:
    ids = [5853498713190525696 + 1, 5853498713190525696 + 2, None]
    frame = pl.DataFrame(
        {
            "int": pl.Series(ids, dtype=pl.Int64),
            "unsigned": pl.Series(ids, dtype=pl.UInt64),
            "decimal": pl.Series([None if i is None else Decimal(i) for i in ids], dtype=pl.Decimal(20, 0)),
            "text": pl.Series([None if i is None else str(i) for i in ids]),
            "lists": pl.Series([None if i is None else [i] for i in ids], dtype=pl.List(pl.Int64)),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    for name in ("int", "unsigned", "decimal", "text"):
        assert as_integers(table[name]).to_pylist() == ids, name
        assert as_text(table[name]).to_pylist() == [str(i) if i else "" for i in ids], name
    # Through float64, as pandas makes of integers with nulls, they are not identifiers any more.
    pd.DataFrame({"id": pd.Series(ids, dtype=float)}).to_parquet(tmp_path / "f.parquet")
    assert as_integers(read_table(tmp_path / "f.parquet")["id"]).to_pylist() == [None] * 3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
@pytest.mark.parametrize("form", ["fits-basic", "fits-plus"])
def test_tables_of_stilts(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    kinds = {"TEXT": "text", "SHORT": "int16", "INT": "int32", "LONG": "int64", "REAL": "float32", "DOUBLE": "float64"}
    source, expected = {}, {}
    for name, kind in kinds.items():
        if kind == "text":
            values = np.array([f"2M{i:05d}+{i}" for i in range(20)])
        elif kind.startswith("int"):
            limits = np.iinfo(kind)
            values = rng.integers(limits.min + 1, limits.max, 20, dtype=kind)
        else:
            values = rng.normal(size=20).astype(kind)
        missing = rng.random(20) < 0.3
        source[name] = MaskedColumn(values, mask=missing)
        expected[name] = [None if gone else plain(value) for value, gone in zip(values, missing, strict=True)]
    Table(source).write(tmp_path / "in.fits")
    command = ["stilts", "tpipe", f"in={tmp_path}/in.fits", f"out={tmp_path}/out.fits", f"ofmt={form}"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    table = read_table(tmp_path / "out.fits")
    for name, values in expected.items():
        found = table[name.lower()].to_pylist()
        if name == "TEXT":
            found, values = ([value or "" for value in column] for column in (found, values))
        if name in ("REAL", "DOUBLE"):
            found, values = ([None if v is None or math.isnan(v) else v for v in column] for column in (found, values))
        assert found == values, name
