"""Values of foreign tables as values of our columns."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.catalog.columns import COLUMNS, Column
from apnet_fast.catalog.values import as_column
from apnet_fast.inputs.table_values import as_text
from apnet_fast.support.errors import UsageError

OURS = {column.name: column for columns in COLUMNS.values() for column in columns}


def converted(name: str, values: pa.Array) -> list[object]:
    result = as_column(values, OURS[name], "table.fits")
    assert result.type == OURS[name].arrow_type
    return result.to_pylist()


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf, -9999.0, -9999.99, -999999.0, None])
@pytest.mark.parametrize("name", ["ra", "plx", "v_rad", "j_mag", "doppler_teff"])
def test_missing_numbers_become_null(name: str, missing: float | None) -> None:
    assert converted(name, pa.array([missing, 12.5], pa.float64())) == [None, 12.5]


@pytest.mark.parametrize(("name", "value"), [("j_mag", None), ("g_mag", None), ("v_rad", 99.5), ("pmra", 99.5)])
def test_magnitudes_from_98_on_are_missing_but_no_other_numbers(name: str, value: float | None) -> None:
    assert converted(name, pa.array([99.5, 97.5])) == [value, 97.5]


@pytest.mark.parametrize("value", [-9998.0 + 1, -845.5, -84.75, 0.0])
def test_negative_numbers_are_no_nulls(value: float) -> None:
    assert converted("plx", pa.array([value])) == [value]


def test_identifiers_that_are_zero_or_negative_are_missing() -> None:
    ids = pa.array([0, -1, -9999, 5853498713190525696, None], pa.int64())
    assert converted("gaia_dr3_source_id", ids) == [None, None, None, 5853498713190525696, None]


def test_counts_may_be_zero() -> None:
    assert converted("n_visits", pa.array([0, 3, -1, -9999], pa.int16())) == [0, 3, None, None]


def test_integers_that_went_through_floats_come_back() -> None:
    assert converted("mjd", pa.array([58000.0, math.nan, 58000.5])) == [58000, None, None]
    assert converted("fiber", pa.array(["7", " 300", ""])) == [7, 300, None]


@pytest.mark.parametrize("kind", [pa.int16(), pa.int32(), pa.int64()])
def test_highest_bit_of_a_narrow_field_is_a_bit(kind: pa.DataType) -> None:
    values = pa.array([-(2 ** (kind.bit_width - 1)), 6, -9999, -1], kind)
    highest = None if kind == pa.int64() else 2 ** (kind.bit_width - 1)
    assert converted("spectrum_flags", values) == [highest, 6, None, None]


def test_texts_lose_blanks_and_empty_ones_are_missing() -> None:
    assert converted("ph_qual", pa.array([" AAA ", "", "  ", None])) == ["AAA", None, None, None]
    assert as_text(pa.array([b" x", None])).to_pylist() == ["x", ""]
    assert as_text(pa.array([5583, None])).to_pylist() == ["5583", ""]
    assert as_text(pa.array([5583.0, math.nan])).to_pylist() == ["5583", ""]


def test_vectors_of_bytes_keep_their_bytes() -> None:
    flags = np.zeros((3, 57), np.uint8)
    flags[1, 56] = 128
    values = pa.FixedSizeListArray.from_arrays(pa.array(flags.reshape(-1)), 57)
    assert converted("sdss5_target_flags", values) == [None, flags[1].tobytes(), None]


@pytest.mark.parametrize(
    "values", [pa.array([True, False, None]), pa.array([1, 0, None], pa.int8()), pa.array(["T", "F", None])]
)
def test_logicals(values: pa.Array) -> None:
    assert [bool(value) for value in converted("fps", values)] == [True, False, False]


@pytest.mark.parametrize(("name", "values"), [("ra", pa.array(["north"])), ("mjd", pa.array([[1, 2]]))])
def test_values_of_another_kind_are_refused_by_name(name: str, values: pa.Array) -> None:
    with pytest.raises(UsageError, match=rf"values for {name} cannot be used.*table\.fits"):
        as_column(values, OURS[name], "table.fits")


def test_text_column_takes_numbers() -> None:
    assert as_column(pa.array([5583]), Column("plate", "A", "", ""), "").to_pylist() == ["5583"]
