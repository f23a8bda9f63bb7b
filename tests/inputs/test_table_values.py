"""Columns of any type as text, exact integers and floats."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.inputs.table_values import (
    as_floats,
    as_integers,
    as_text,
    column_as_digits,
    column_as_text,
    count_inexact,
    one_per_row,
)
from apnet_fast.support.errors import UsageError

GAIA = 5853498713190525696 + 5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([GAIA, -1, None]), [GAIA, -1, None]),
        (pa.array([2**63, 2**64 - 1, 7], pa.uint64()), [None, None, 7]),
        (pa.array([2**63 - 1, 7], pa.uint64()), [2**63 - 1, 7]),
        (pa.array([str(GAIA), " 7 ", "7.0", "", "--", "nan", None]), [GAIA, 7, 7, None, None, None, None]),
        (pa.array(["9" * 25, "7"]), [None, 7]),
        (pa.array(["5.4e7", "54.0", "+5", "9007199254740991.0"]), [54_000_000, 54, 5, 2**53 - 1]),
        (pa.array([str(float(GAIA)), f"{float(GAIA):.1f}", f"-{GAIA}.", "4.E18", "1e400"]), [None] * 5),
        (pa.array([f"{GAIA}e0".encode(), b"7"]), [None, 7]),
        (pa.array([b"12", None]), [12, None]),
        (pa.array([decimal.Decimal(GAIA), None], pa.decimal128(20, 0)), [GAIA, None]),
        (pa.array([decimal.Decimal("7.00"), decimal.Decimal("7.5")], pa.decimal128(20, 2)), [7, None]),
        (pa.array([decimal.Decimal(2**63), decimal.Decimal(GAIA)], pa.decimal256(40, 0)), [None, GAIA]),
        (pa.array([7.0, 7.5, math.nan, math.inf, None]), [7, None, None, None, None]),
        (pa.array([2.0**53 - 1, 2.0**53, -(2.0**53), float(GAIA)]), [2**53 - 1, None, None, None]),
        (pa.array([2.0**24 - 1, 2.0**24], pa.float32()), [2**24 - 1, None]),
        (pa.array([2.0**11 - 1, 2.0**11], pa.float16()), [2**11 - 1, None]),
        (pa.array([[5], [6]], pa.list_(pa.int32())), [5, 6]),
        (pa.array([[5], [6]], pa.list_(pa.int32(), 1)), [5, 6]),
        (pa.array(["5", "6", None]).dictionary_encode(), [5, 6, None]),
        (pa.chunked_array([[5], [6]]), [5, 6]),
        (pa.array([], pa.list_(pa.int64())), []),
    ],
)
def test_integers_are_exact_or_null(values: pa.Array, expected: list[int | None]) -> None:
    found = as_integers(values)
    assert found.type == pa.int64()
    assert found.to_pylist() == expected


def test_two_numbers_never_become_one() -> None:
    ids = np.array([GAIA, GAIA + 1, GAIA + 2])
    for values in (pa.array(ids), pa.array(ids.astype(str)), pa.array(map(decimal.Decimal, ids.tolist()))):
        assert as_integers(values).to_pylist() == ids.tolist()
    assert as_integers(pa.array(ids.astype(float))).to_pylist() == [None] * 3


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["north"]),
        pa.array([True]),
        pa.array([[1, 2]]),
        pa.array([{"a": 1}]),
        pa.array([datetime.datetime(2020, 1, 1)]),
    ],
)
def test_what_holds_no_integers_is_refused(values: pa.Array) -> None:
    with pytest.raises((TypeError, ValueError)):
        as_integers(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([" ab ", None, ""]), ["ab", "", ""]),
        (pa.array([b" ab", None]), ["ab", ""]),
        (pa.array([" ab ", None]).dictionary_encode(), ["ab", ""]),
        (pa.array(["ab"], pa.large_string()), ["ab"]),
        (pa.array(["ab"], pa.string_view()), ["ab"]),
        (pa.array([5583, None]), ["5583", ""]),
        (pa.array([5583.0, math.nan, None, 5583.5]), ["5583", "", "", ""]),
        (pa.array([GAIA, 2**63], pa.uint64()), [str(GAIA), str(2**63)]),
        (pa.array([decimal.Decimal(GAIA)], pa.decimal128(20, 0)), [str(GAIA)]),
        (pa.array([datetime.datetime(2017, 9, 3, 5, 12)], pa.timestamp("s")), ["2017-09-03T05:12:00"]),
        (pa.array([["ab"], [None]]), ["ab", ""]),
        (pa.nulls(2, pa.string()), ["", ""]),
        (pa.array(["nan", "NaN", "--", " N/A ", "None", "<NA>", "null", "masked"]), [""] * 8),
        (pa.array(["NaN4", "N1333", "NGC188", "nonesuch", "-"]), ["NaN4", "N1333", "NGC188", "nonesuch", "-"]),
    ],
)
def test_text_of_any_type(values: pa.Array, expected: list[str]) -> None:
    assert as_text(values).to_pylist() == expected


def test_what_is_no_text_is_refused_by_the_name_of_its_column() -> None:
    table = pa.table({"obj": [[1, 2], [3, 4]], "field": [b"\xff\xfe", b"ok"]})
    with pytest.raises(UsageError, match=r"column obj cannot be used as text.*vectors.*\[t\.parquet\]"):
        column_as_text(table, "obj", "t.parquet")
    with pytest.raises(UsageError, match="column field cannot be used as text"):
        column_as_text(table, "field", "t.parquet")


def test_integers_of_names_are_digits_whatever_their_type() -> None:
    for values in (["58000", "7.0", ""], [58000.0, 7.0, math.nan], [58000, 7, None], ["58000", "7", "n/a"]):
        table = pa.table({"mjd": values})
        assert column_as_digits(table, "mjd", "t.parquet").to_pylist() == ["58000", "7", ""]
    with pytest.raises(UsageError, match=r"column mjd cannot be used as integers.*'x'.*\[t\.parquet\]"):
        column_as_digits(pa.table({"mjd": ["x"]}), "mjd", "t.parquet")


def test_floats_come_from_numbers_and_text_alone() -> None:
    assert as_floats(pa.array(["1.5", "--", "2", None])).to_pylist() == [1.5, None, 2.0, None]
    assert as_floats(pa.array([decimal.Decimal("1.25")])).to_pylist() == [1.25]
    assert as_floats(pa.array([1, None], pa.int16())).to_pylist() == [1.0, None]
    for values in (
        pa.array([True]),
        pa.array([datetime.date(2020, 1, 1)]),
        pa.array(["north"]),
        pa.array([[1.0, 2.0]]),
    ):
        with pytest.raises((TypeError, pa.ArrowInvalid)):
            as_floats(values)


@pytest.mark.parametrize(
    ("values", "number"),
    [
        (pa.array([GAIA, None]), 0),
        (pa.array([float(GAIA), 2.0**53 - 1, math.nan, math.inf, None]), 1),
        (pa.array([2.0**24], pa.float32()), 1),
        (pa.array([2**63, 5], pa.uint64()), 1),
        (pa.array(["9" * 25, str(GAIA), "", None]), 1),
        (pa.array(["-9999", "0.5", "9007199254740991.0", "5.4e7"]), 0),
        (pa.array([str(float(GAIA)), f" {float(GAIA):.1f} ", "-4.E18", f"{GAIA}.", "inf", "", None]), 4),
        (pa.array([str(float(GAIA)).encode(), b"7"]), 1),
        (pa.array([decimal.Decimal(GAIA), decimal.Decimal(2**63), decimal.Decimal("7.5"), None]), 1),
    ],
)
def test_identifiers_that_cannot_be_exact_are_counted(values: pa.Array, number: int) -> None:
    assert count_inexact(values) == number


def test_lists_of_one_are_values_and_others_are_not() -> None:
    assert one_per_row(pa.array([[1], [2]])).to_pylist() == [1, 2]
    with pytest.raises(TypeError, match="vectors"):
        one_per_row(pa.array([[1], [2, 3]]))
    with pytest.raises(TypeError, match="vectors"):
        one_per_row(pa.array([[1], []]))


def test_a_column_of_nulls_alone_is_null_as_anything() -> None:
    nothing = pa.nulls(2)
    assert as_integers(nothing).to_pylist() == as_floats(nothing).to_pylist() == [None, None]
    assert as_text(nothing).to_pylist() == ["", ""]
    assert count_inexact(nothing) == 0
