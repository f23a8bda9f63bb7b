"""Columns of the tables in mwmStar and mwmVisit files, value by value: exact, or null."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apnet_fast.spectra.bit_fields import as_flags
from apnet_fast.spectra.fits_columns import FitsColumn, decode

_NOT_NEGATIVE = range(2**63)
# Floats hold every integer below this power of two; larger ones may stand for a neighbour.
_EXACT = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
_WHOLE = re.compile(r"[+-]?\d{1,20}")


class MwmColumns:
    """Hold columns of a table with some rows. A column that the table lacks, or a vector, is null in every row."""

    def __init__(self, columns: Mapping[str, FitsColumn], names: Collection[str], rows: NDArray[np.uint8]) -> None:
        """Decode those of the columns named that have one value per row, from rows, uint8 (n, NAXIS1).

        Raises ValueError for text that is not ASCII; its message names the column.
        """
        self._rows = len(rows)
        self._arrays: dict[str, pa.Array] = {}
        for name in names:
            column = columns.get(name)
            if column is None or column.unreadable or (column.is_vector and column.form != "A") or column.form == "X":
                continue
            try:
                array = decode(column, rows)
            except (ValueError, pa.ArrowInvalid) as error:
                raise ValueError(f"column {name} holds {error}") from error
            if not pa.types.is_fixed_size_list(array.type):
                self._arrays[name] = array

    def __len__(self) -> int:
        return self._rows

    def words(self, name: str) -> list[str]:
        """Return text without outer blanks, "" where it is null; whole numbers without a point."""
        array = self._arrays.get(name)
        if array is None:
            return [""] * self._rows
        return [_word(value) for value in array.to_pylist()]

    def floats(self, name: str) -> list[float]:
        """Return numbers as float64; NaN where they are null, and for text and logicals."""
        array = self._arrays.get(name)
        if array is None or not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
            return [math.nan] * self._rows
        return [math.nan if value is None else float(value) for value in array.to_pylist()]

    def integers(self, name: str, among: range = _NOT_NEGATIVE) -> list[int | None]:
        """Return integers, exactly; None for those that are not among the values given.

        Logicals count as 0 and 1. Text may write an integer. Floats may hold one, as long as they hold it exactly.
        """
        found = [_whole(value, limit) for value, limit in self._values(name)]
        return [value if value is not None and value in among else None for value in found]

    def flags(self, name: str) -> list[int | None]:
        """Return fields of bits, see `as_flags`."""
        array, bits = self._arrays.get(name), 64
        if array is not None and pa.types.is_signed_integer(array.type):
            bits = array.type.bit_width
        return [as_flags(_whole(value, limit), bits) for value, limit in self._values(name)]

    def _values(self, name: str) -> list[tuple[object, float]]:
        """Return the values and, for floats, from where on they are not exact."""
        array = self._arrays.get(name)
        if array is None:
            return [(None, 0.0)] * self._rows
        limit = _EXACT[array.type.bit_width] if pa.types.is_floating(array.type) else 0.0
        return [(value, limit) for value in array.to_pylist()]


def _whole(value: object, limit: float) -> int | None:
    if isinstance(value, float):
        return int(value) if abs(value) < limit and value.is_integer() else None
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    return int(value) if isinstance(value, int) else None


def _word(value: object) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
