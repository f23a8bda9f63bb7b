"""Find equal copies of rows, which are one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def first_of_copies(names: Mapping[str, pa.Array], columns: Iterable[pa.Array], rows: int) -> NDArray[np.int64]:
    """Return the numbers of the rows that are not equal to an earlier one, in order.

    names: columns that tell most rows apart, compared first. columns: the others; null equals null.
    """
    every = np.arange(rows)
    codes = _combined(np.zeros(rows, np.int64), names.values(), every)
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    suspects = every[counts[inverse] > 1]
    if not len(suspects):
        return every
    _, first, group = np.unique(_combined(codes[suspects], columns, suspects), return_index=True, return_inverse=True)
    return np.delete(every, suspects[first[group] < np.arange(len(suspects))])


def _combined(codes: NDArray[np.int64], columns: Iterable[pa.Array], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes that are equal for rows with equal codes before and equal values in every column."""
    for column in columns:
        values = column.take(pa.array(rows)).dictionary_encode()
        indices = values.indices.fill_null(len(values.dictionary)).to_numpy(zero_copy_only=False)
        codes = np.unique(codes * (len(values.dictionary) + 1) + indices, return_inverse=True)[1]
    return codes
