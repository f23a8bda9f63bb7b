"""Convert values of foreign tables to our columns: their types, and the survey's marks for "not known"."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.columns import Column
from apnet_fast.support.errors import UsageError

# -9999, -9999.99 and -999999 stand for missing numbers, 99.99 and the like for missing magnitudes.
_MISSING_BELOW = -9998.0
_MISSING_MAGNITUDE = 98.0
_NO_INTEGER = -9999


def as_column(values: pa.ChunkedArray | pa.Array, column: Column, where: str) -> pa.Array:
    """Return values of a table in the type of our column, null if the table does not know them.

    Missing are: nulls; numbers that are not finite or at most -9999; magnitudes from 98 on; identifiers (form K) and
    counts (form J) below 0, identifiers that are 0; empty texts. Fields of bits keep their bits whatever the sign of
    the integer that holds them.

    Raises UsageError for values that the column cannot hold; `where`: their file, for the message.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    try:
        return _CONVERT[column.form](values, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
        raise UsageError(
            f"the values for {column.name} cannot be used",
            got=str(values.type),
            expected=str(column.arrow_type),
            remedy="correct the column or leave it out",
            where=where,
        ) from error


def as_text(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return values as text without outer blanks, "" for nulls. Floats are written as the integers they hold."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_floating(values.type):
        # An integer column with nulls, on its way through a program that has none.
        whole = _whole(values)
        values = pa.array(whole, mask=whole == _NO_INTEGER)
    return pc.utf8_trim_whitespace(values.cast(pa.string())).fill_null("")


def _text(values: pa.Array, column: Column) -> pa.Array:
    texts = as_text(values)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _bytes(values: pa.Array, column: Column) -> pa.Array:
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        flat = np.ascontiguousarray(values.flatten().to_numpy(zero_copy_only=False).astype(np.uint8))
        rows = flat.reshape(-1, width)
        known = rows.any(axis=1)
        taken = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        texts = np.full(len(values), None, object)
        texts[taken[known]] = [row.tobytes() for row in rows[known]]
        return pa.array(texts, pa.binary())
    return values.cast(pa.binary())


def _floats(values: pa.Array, column: Column) -> pa.Array:
    numbers = _numbers(values)
    missing = ~np.isfinite(numbers) | (numbers <= _MISSING_BELOW)
    if column.unit == "mag":
        missing |= numbers >= _MISSING_MAGNITUDE
    return pa.array(numbers.astype(np.float32), mask=missing)


def _integers(values: pa.Array, column: Column) -> pa.Array:
    whole = _whole(values)
    if column.bits:
        width = values.type.bit_width if pa.types.is_integer(values.type) else 64
        missing = _missing_integers(whole)
        if width < 64:
            # The highest bit of a narrow field makes its integer negative.
            return pa.array(whole & ((1 << width) - 1), pa.int64(), mask=missing)
        return pa.array(whole, pa.int64(), mask=missing | (whole < 0))
    least = 1 if column.form == "K" else 0
    return pa.array(whole, pa.int64(), mask=whole < least).cast(column.arrow_type)


def _logicals(values: pa.Array, column: Column) -> pa.Array:
    if pa.types.is_string(values.type):
        values = pc.is_in(values, pa.array(["T", "t", "1", "True", "true"]))
    return values.cast(pa.bool_())


def _numbers(values: pa.Array) -> NDArray[np.float64]:
    """Return numbers as float64, NaN for nulls."""
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _whole(values: pa.Array) -> NDArray[np.int64]:
    """Return integers, also those held as floats or texts; `_NO_INTEGER` for nulls."""
    if pa.types.is_string(values.type):
        texts = as_text(values)
        values = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts).cast(pa.int64())
    elif not pa.types.is_integer(values.type):
        numbers = _numbers(values)
        known = np.isfinite(numbers) & (numbers == np.round(numbers))
        return np.where(known, numbers, _NO_INTEGER).astype(np.int64)
    return values.cast(pa.int64(), safe=False).fill_null(_NO_INTEGER).to_numpy(zero_copy_only=False)


def _missing_integers(whole: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.isin(whole, (_NO_INTEGER, -999999, -1))


_CONVERT = {"A": _text, "B": _bytes, "E": _floats, "J": _integers, "K": _integers, "L": _logicals}
