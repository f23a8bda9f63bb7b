"""Our own catalogues, as the programs of the field read them: identifiers, flags and nulls come back as written."""

from __future__ import annotations

import csv
import io
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from apnet_fast.catalog.columns import COLUMNS, Column
from apnet_fast.catalog.fits import text_widths
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.rows import catalogue_rows
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.inputs.summary_tables import read_table
from apnet_fast.spectra.batch import Product
from tests.catalog.samples import CREATED, labels, mixed_records, times

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")

GAIA = 5853498713190525696
N = 8


@pytest.fixture
def written(product: Product, tmp_path: Path) -> Path:
    """A product of eight spectra, whose table of sources knows of each source another part; without suffix."""
    records = mixed_records(2 * N)
    sources = pa.table(
        {
            "obj": [record.star.obj for record in records],
            "sdss_id": pa.array([54_000_000 + i if i % 3 else None for i in range(2 * N)], pa.int64()),
            "gaia_dr3_source_id": pa.array([GAIA + i if i % 4 else None for i in range(2 * N)], pa.int64()),
            "tic_v8_id": pa.array([None] * (2 * N), pa.int64()),
            "zgr_quality_flags": pa.array([2**31 + i if i % 5 > 1 else None for i in range(2 * N)], pa.int64()),
            "sdss5_target_flags": pa.array([bytes([0, i]) * 20 if i % 2 else None for i in range(2 * N)]),
            "n_apogee_visits": pa.array([i if i % 7 else None for i in range(2 * N)], pa.int32()),
            "lead": pa.array(["gaia" if i % 2 else None for i in range(2 * N)]),
            "j_mag": pa.array([i / 3 if i % 2 else None for i in range(2 * N)], pa.float32()),
        }
    )
    matches = SourceTable(sources).match(records)
    rows = catalogue_rows(product, records, labels(2 * N), times(2 * N), matches, network="v3")
    write_product(
        tmp_path, "p", product, [rows], text_widths(rows), network="v3", recipe="dr19", cards=[], created=CREATED
    )
    return tmp_path / "p"


def columns_in_fits(path: Path) -> dict[str, list[Any]]:
    """Values as Parquet has them, with the nulls of FITS."""
    table = pq.read_table(path.with_suffix(".parquet"))
    return {name: table[name].to_pylist() for name in table.column_names}


def of_astropy(path: Path) -> dict[str, Any]:
    table = Table.read(path.with_suffix(".fits"), hdu=2, mask_invalid=False, unit_parse_strict="silent")
    return {name: table[name] for name in table.colnames}


def of_fitsio(path: Path) -> dict[str, Any]:
    rows = fitsio.read(str(path.with_suffix(".fits")), ext=2)
    return {name: rows[name] for name in rows.dtype.names}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other) and (one is None) == (other is None)


def as_fits_has_it(value: Any, column: Column) -> Any:
    if value is None:
        value = column.null
    return value.ljust(column.length, b"\0") if column.form == "B" else value


def as_python(value: Any, column: Column) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if column.form == "A" and isinstance(value, bytes):
        return value.decode().rstrip()
    if column.form == "B":
        return (
            np.asarray(value, np.uint8).tobytes() if not isinstance(value, bytes) else value.ljust(column.length, b"\0")
        )
    return value


@pytest.mark.parametrize("read", [of_astropy, of_fitsio])
def test_the_fits_file_holds_what_parquet_holds(
    read: Callable[[Path], dict[str, Any]], written: Path, product: Product
) -> None:
    expected, found = columns_in_fits(written), read(written)
    assert list(found) == list(expected)
    for column in COLUMNS[product]:
        mine = [as_python(value, column) for value in found[column.name]]
        theirs = [as_fits_has_it(value, column) for value in expected[column.name]]
        width = max(map(len, theirs)) if column.form == "B" else 0
        theirs = [value.ljust(width, b"\0") for value in theirs] if width else theirs
        assert all(map(same, mine, theirs)), column.name
    assert GAIA + 1 in expected["gaia_dr3_source_id"] or GAIA + 2 in expected["gaia_dr3_source_id"]


def test_the_comparison_notices_identifiers_of_the_next_row(written: Path) -> None:
    expected, found = columns_in_fits(written)["gaia_dr3_source_id"], of_fitsio(written)["gaia_dr3_source_id"]
    assert not all(map(same, np.roll(found, 1).tolist(), expected))
    assert not all(map(same, found.astype(float).tolist(), expected))


def test_bits_that_nobody_knows_are_null_in_parquet_and_no_bit_in_fits(written: Path) -> None:
    parquet, fits = columns_in_fits(written), of_fitsio(written)
    known = [value is not None for value in parquet["zgr_quality_flags"]]
    assert set(known) == {True, False}
    assert [bool(value) for value in fits["zgr_quality_flags"]] == known
    assert set(parquet["w1uflags"]) == {None}
    # What is always known, and what has a null of its own, is never null.
    for name in ("result_flags", "flag_bad", "gaia_dr3_source_id", "n_apogee_visits", "lead", "j_mag"):
        assert None not in parquet[name]


def of_pandas(path: Path) -> dict[str, list[Any]]:
    frame = pd.read_parquet(path.with_suffix(".parquet"), dtype_backend="numpy_nullable")
    return {name: [None if value is pd.NA else value for value in frame[name]] for name in frame}


def of_polars(path: Path) -> dict[str, list[Any]]:
    return pl.read_parquet(path.with_suffix(".parquet")).to_dict(as_series=False)


def of_duckdb(path: Path) -> dict[str, list[Any]]:
    found = duckdb.sql(f"SELECT * FROM '{path.with_suffix('.parquet')}'").fetchnumpy()
    return {name: [None if value is np.ma.masked else value for value in values] for name, values in found.items()}


@pytest.mark.parametrize("read", [of_pandas, of_polars, of_duckdb])
def test_the_parquet_file_is_read_alike_by_others(
    read: Callable[[Path], dict[str, list[Any]]], written: Path, product: Product
) -> None:
    expected, found = columns_in_fits(written), read(written)
    assert list(found) == list(expected)
    for column in COLUMNS[product]:
        mine = [value.item() if isinstance(value, np.generic) else value for value in found[column.name]]
        if column.form == "B":
            mine = [bytes(value) if value is not None else None for value in mine]
        if column.form == "E":  # nullable floats of pandas take NaN for null
            mine = [math.nan if value is None else value for value in mine]
        assert all(map(same, mine, expected[column.name])), column.name


def test_identifiers_stay_integers_in_plain_pandas(written: Path) -> None:
    frame = pd.read_parquet(written.with_suffix(".parquet"))
    for name in ("sdss_id", "gaia_dr3_source_id", "tic_v8_id", "result_flags"):
        assert frame[name].dtype == np.int64
    assert (frame["gaia_dr3_source_id"] == columns_in_fits(written)["gaia_dr3_source_id"]).all()


@pytest.mark.parametrize("suffix", [".fits", ".parquet"])
def test_our_own_catalogue_is_a_table_like_any_other(suffix: str, written: Path, product: Product) -> None:
    expected, found = columns_in_fits(written), read_table(written.with_suffix(suffix))
    for column in COLUMNS[product]:
        values = found[column.name].to_pylist()
        if suffix == ".parquet":
            assert all(map(same, values, expected[column.name])), column.name
        elif column.form != "B":
            assert all(map(same, values, [as_fits_has_it(v, column) for v in expected[column.name]])), column.name


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
def test_stilts_reads_identifiers_and_flags(written: Path, product: Product) -> None:
    names = ["obj", "sdss_id", "gaia_dr3_source_id", "zgr_quality_flags", "result_flags", "n_apogee_visits", "flag_bad"]
    command = ["stilts", "tpipe", f"in={written}.fits#2", "ofmt=csv", f"cmd=keepcols '{' '.join(names)}'"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = columns_in_fits(written)
    columns = {column.name: column for column in COLUMNS[product]}
    for name in names:
        values = [as_fits_has_it(value, columns[name]) for value in expected[name]]
        theirs = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        assert [row[name] for row in rows] == theirs, name
