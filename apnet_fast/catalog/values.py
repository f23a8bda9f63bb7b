"""Convert values of foreign tables to our columns: their types, and the survey's marks for "not known"."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apnet_fast.catalog.columns import Column
from apnet_fast.inputs.table_values import as_floats, as_integers, as_text, one_per_row
from apnet_fast.support.errors import UsageError

# -9999, -9999.99 and -999999 stand for missing numbers, 99.99 and the like for missing magnitudes.
_MISSING_BELOW = -9998.0
_MISSING_MAGNITUDE = 98.0
_MISSING_BITS = pa.array([-9999, -999999, -1], pa.int64())
_TRUE, _FALSE = ["T", "t", "1", "True", "true"], ["F", "f", "0", "False", "false"]


def as_column(values: pa.ChunkedArray | pa.Array, column: Column, where: str) -> pa.Array:
    """Return values of a table in the type of our column, null if the table does not know them.

    Missing are: nulls; numbers that are not finite or at most -9999; magnitudes from 98 on; identifiers (form K) and
    counts (form J) below 0, identifiers that are 0 or that their type cannot hold exactly; empty texts. Fields of bits
    keep their bits whatever the sign of the integer that holds them.

    Raises UsageError for values that the column cannot hold; `where`: their file, for the message.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    try:
        return _CONVERT[column.form](values, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
        raise UsageError(
            f"the values for {column.name} cannot be used",
            got=str(error) if isinstance(error, (TypeError, ValueError)) else str(values.type),
            expected=f"{column.arrow_type}, one per row",
            remedy="correct the column or leave it out",
            where=where,
        ) from error


def _text(values: pa.Array, column: Column) -> pa.Array:
    texts = as_text(values)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _bytes(values: pa.Array, column: Column) -> pa.Array:
    if pa.types.is_fixed_size_list(values.type) or pa.types.is_list(values.type):
        bits = pa.types.is_boolean(values.type.value_type)
        return pa.array([_as_bytes(row, bits) for row in values.to_pylist()], pa.binary())
    values = one_per_row(values).cast(pa.binary())
    return pc.if_else(pc.match_substring_regex(values, rb"^\x00*$"), pa.scalar(None, pa.binary()), values)


def _as_bytes(row: list[int] | None, bits: bool) -> bytes | None:
    if row is None or not any(row):
        return None
    return np.packbits(np.array(row, bool)).tobytes() if bits else np.array(row, np.uint8).tobytes()


def _floats(values: pa.Array, column: Column) -> pa.Array:
    numbers = np.asarray(as_floats(values).to_numpy(zero_copy_only=False), np.float64)
    missing = ~np.isfinite(numbers) | (numbers <= _MISSING_BELOW)
    if column.unit == "mag":
        missing |= numbers >= _MISSING_MAGNITUDE
    with np.errstate(over="ignore"):
        return pa.array(numbers.astype(np.float32), mask=missing)


def _integers(values: pa.Array, column: Column) -> pa.Array:
    values = one_per_row(values)
    if column.form == "J" and pa.types.is_boolean(values.type):
        return values.cast(pa.int32())
    whole = as_integers(values)
    if column.bits:
        return _bits(values, whole)
    least = 1 if column.form == "K" else 0
    most = 2**63 - 1 if column.form == "K" else 2**31 - 1
    known = pc.and_(pc.greater_equal(whole, least), pc.less_equal(whole, most))
    return pc.if_else(known, whole, pa.scalar(None, pa.int64())).cast(column.arrow_type)


def _bits(values: pa.Array, whole: pa.Array) -> pa.Array:
    """Return fields of bits: the highest bit of a narrow field makes its integer negative."""
    nothing = pa.scalar(None, pa.int64())
    known = pc.if_else(pc.is_in(whole, _MISSING_BITS), nothing, whole)
    if pa.types.is_signed_integer(values.type) and values.type.bit_width < 64:
        return pc.bit_wise_and(known, (1 << values.type.bit_width) - 1)
    return pc.if_else(pc.less(known, 0), nothing, known)


def _logicals(values: pa.Array, column: Column) -> pa.Array:
    values = one_per_row(values)
    if pa.types.is_boolean(values.type):
        return values
    texts = as_text(values)
    true, false = (pc.is_in(texts, pa.array(words)) for words in (_TRUE, _FALSE))
    return pc.if_else(pc.or_(true, false), true, pa.scalar(None, pa.bool_()))


_CONVERT = {"A": _text, "B": _bytes, "E": _floats, "J": _integers, "K": _integers, "L": _logicals}
