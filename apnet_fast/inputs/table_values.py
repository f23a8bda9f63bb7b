"""Columns of tables as text, as exact integers or as floats, whatever type the program that wrote them chose."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apnet_fast.support.errors import UsageError

# What programs write into text for "no value".
_NO_VALUE = ["", "nan", "null", "none", "n/a", "na", "--", "masked", "<na>"]
_MOST = 2**63 - 1
_MOST_UNSIGNED = pa.scalar(_MOST, pa.uint64())
# Text of a float: with a point or an exponent.
_OF_A_FLOAT = frozenset(".eE")
# Text of numbers that may be too large to be exact.
_LONG = r"^[+-]?(\d{16,}\.?\d*|(\d+\.?\d*|\.\d+)[eE][+-]?\d+)$"
# Floats hold every integer up to this power of two; larger ones may stand for a neighbour.
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
_FIRST_INEXACT = 2**53


def one_per_row(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array of plain values; lists of one value each are unwrapped.

    Raises TypeError for other lists and for nested values.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    if pa.types.is_dictionary(kind):
        return one_per_row(values.cast(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = pc.list_value_length(values)
        if len(values) and pc.any(pc.not_equal(lengths, 1)).as_py():
            raise TypeError("vectors, not one value per row")
        return one_per_row(pc.list_element(values, 0)) if len(values) else pa.array([], kind.value_type)
    if pa.types.is_nested(kind):
        raise TypeError(f"{kind}, not one value per row")
    # A column of nulls alone may have no other type.
    return values.cast(pa.string()) if pa.types.is_null(kind) else values


def as_text(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return values as text without outer blanks; floats and decimals as the integers they hold.

    "" stands for nulls, and for what programs write for them: nan, --, N/A and the like. Times are written as FITS
    does, 2017-09-03T05:12:00. Raises TypeError or pa.ArrowInvalid for what is not text: vectors, bytes that are not
    UTF-8.
    """
    values = one_per_row(values)
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        # An integer column with nulls, on its way through a program that has none.
        values = as_integers(values)
    elif pa.types.is_timestamp(kind):
        values = pc.strftime(values, format="%Y-%m-%dT%H:%M:%S")
    texts = pc.utf8_trim_whitespace(values.cast(pa.string())).fill_null("")
    return pc.if_else(pc.is_in(pc.utf8_lower(texts), pa.array(_NO_VALUE)), "", texts)


def column_as_text(table: pa.Table, name: str, where: str) -> pa.Array:
    """Return a column of a table as text. Raises UsageError for one that is none; `where`: the table's file."""
    try:
        return as_text(table[name])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
        raise _of_no_use(name, "text", error, where) from error


def column_as_digits(table: pa.Table, name: str, where: str) -> pa.Array:
    """Return a column of integers as text, "" for values that are no exact integers.

    Raises UsageError for text that is no number; `where`: the table's file.
    """
    texts = column_as_text(table, name, where)
    try:
        return _of_texts(texts).cast(pa.string()).fill_null("")
    except ValueError as error:
        raise _of_no_use(name, "integers", error, where) from error


def _of_no_use(name: str, what: str, error: Exception, where: str) -> UsageError:
    return UsageError(
        f"the column {name} cannot be used as {what}",
        got=str(error),
        expected="text or integers, one per row",
        remedy="correct the column or leave it out",
        where=where,
    )


def as_integers(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return values as int64: exact, or null.

    Null are: nulls, NaN and infinities, numbers with a fraction, floats so large (2**53 and more in float64) that they
    may stand for a neighbouring integer, and what int64 cannot hold. Text may write integers; with a point or an
    exponent it is that of a float64. Raises TypeError or ValueError for anything else, logicals included.
    """
    values = one_per_row(values)
    kind = values.type
    if pa.types.is_integer(kind):
        too_large = pc.greater(values, _MOST_UNSIGNED) if pa.types.is_uint64(kind) else pa.scalar(False)
        return pc.if_else(too_large, pa.scalar(None, kind), values).cast(pa.int64())
    if pa.types.is_floating(kind):
        return _of_floats(values)
    if pa.types.is_decimal(kind):
        return _of_decimals(values)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _of_texts(as_text(values))
    raise TypeError(str(kind))


def as_floats(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return values as float64, null for nulls; text may hold numbers. Raises TypeError or ArrowInvalid otherwise."""
    values = one_per_row(values)
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        values = _known(as_text(values))
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise TypeError(str(kind))
    return values.cast(pa.float64(), safe=False)


def count_inexact(values: pa.ChunkedArray | pa.Array) -> int:
    """Return how many values stand for integers that their type, or int64, cannot hold exactly."""
    values = one_per_row(values)
    kind = values.type
    if pa.types.is_floating(kind):
        numbers = values.cast(pa.float64(), safe=False)
        return _count(pc.and_(pc.is_finite(numbers), pc.greater_equal(pc.abs(numbers), _first_inexact(kind))))
    if pa.types.is_uint64(kind):
        return _count(pc.greater(values, _MOST_UNSIGNED))
    if pa.types.is_decimal(kind):
        return sum(_is_inexact(value) for value in _of_no_integer(values))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        texts = as_text(values)
        return sum(_is_inexact(text) for text in _of_no_integer(texts.filter(pc.match_substring_regex(texts, _LONG))))
    return 0


def _of_no_integer(values: pa.Array) -> list[Any]:
    """Return those of the values that are not null and that `as_integers` makes null."""
    return values.filter(pc.and_(values.is_valid(), pc.is_null(as_integers(values)))).to_pylist()


def _count(flags: pa.Array) -> int:
    return pc.sum(flags).as_py() or 0


def _first_inexact(kind: pa.DataType) -> float:
    return 2.0 ** _EXACT_BITS[kind.bit_width]


def _of_floats(values: pa.Array) -> pa.Array:
    numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    with np.errstate(invalid="ignore"):
        exact = np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < _first_inexact(values.type))
    return pa.array(np.where(exact, numbers, 0).astype(np.int64), mask=~exact)


def _of_decimals(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:  # a fraction somewhere, or a number beyond int64
        return pa.array(map(_whole, values.to_pylist()), pa.int64())


def _of_texts(texts: pa.Array) -> pa.Array:
    known = _known(texts)
    try:
        return known.cast(pa.int64())
    except pa.ArrowInvalid:
        return pa.array(map(_whole, known.to_pylist()), pa.int64())


def _known(texts: pa.Array) -> pa.Array:
    """Replace "" by null."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _whole(number: decimal.Decimal | str | None) -> int | None:
    """Return a number as an integer; None if it is none. Raises ValueError for text that is not a number."""
    try:
        value = decimal.Decimal("NaN" if number is None else number)
    except decimal.InvalidOperation as error:
        raise ValueError(f"the text {str(number)[:40]!r}") from error
    if not value.is_finite() or abs(value) > _MOST or value != value.to_integral_value():
        return None
    if isinstance(number, str) and _OF_A_FLOAT & set(number) and abs(value) >= _FIRST_INEXACT:
        return None
    return int(value)


def _is_inexact(number: decimal.Decimal | str) -> bool:
    """Return whether a number that is no exact integer is so because of its size."""
    value = decimal.Decimal(number)
    return value.is_finite() and abs(value) >= _FIRST_INEXACT
