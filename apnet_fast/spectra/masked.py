"""Turn numbers of any library into numpy arrays, and masked or missing values into NaN.

Other libraries are recognised by what their objects have, and none is imported: torch's tensors by `detach`, columns of
Arrow, pandas and polars by `__array__`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from apnet_fast.support.errors import UsageError
from apnet_fast.support.forks import in_a_sound_thread


def without_mask(values: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.floating]:
    """Return values of any shape as an array of this float type, with NaN for masked and missing values.

    Masks are those of numpy's masked arrays (astropy's and fitsio's columns are such), of astropy's `Masked`, and of
    lists of either. Missing are None and pandas's NA, as one value or as a row. Tensors may have a gradient, be on a
    GPU or hold bfloat16. Columns of Arrow, pandas and polars may hold numbers, or one array per row. An array of that
    type without a mask comes back uncopied. Raises UsageError if the values are not an array of real numbers, and for
    rows of different lengths.
    """
    numbers = _numpy(values)
    if _has_rows(numbers):
        return _stacked(list(numbers), dtype)
    mask = _mask(numbers)
    # Masked values may be anything, also out of range.
    with np.errstate(over="ignore", invalid="ignore"):
        if mask is None or not mask.any():
            return _real(_without_none(numbers), dtype)
        out = np.array(_real(numbers, dtype))
    out[np.broadcast_to(mask, out.shape)] = np.nan
    return out


def _real(values: Any, dtype: DTypeLike) -> NDArray[np.floating]:
    """Return values as an array of this float type; raise UsageError if that is not what they are."""
    problem: object
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "cmM":  # complex numbers and times, of which numpy would make numbers
            return np.asarray(array, dtype=dtype)
        problem = array.dtype
    # numpy's words for text, times, objects and lists of different lengths.
    except (ValueError, TypeError) as error:
        problem = error
    raise UsageError(
        "the values are not an array of real numbers",
        got=problem,
        expected="numbers, None or NaN where they are missing, in rows of equal length",
        remedy="for files, use `python -m apnet_fast.predict FILE...`" if isinstance(values, str) else None,
    )


def listed(values: Any) -> Any:
    """Return rows that are objects of their own (a Series or array of objects, an iterator) as a list, others as given.

    So that what such an object knows, its unit and its errors, is asked of each row.
    """
    if isinstance(values, Iterator):
        return list(values)
    of_objects = str(getattr(values, "dtype", "")).lower() == "object"
    return list(values) if of_objects and len(np.shape(values)) == 1 else values


def _numpy(values: Any) -> Any:
    """Return values as an array, a list, a tuple or a number; arrays of numpy and its subclasses as they are."""
    if hasattr(values, "detach"):
        tensor = values.detach().cpu().resolve_conj().resolve_neg()
        tensor = tensor.to_dense() if "sparse" in str(tensor.layout) else tensor
        try:
            return tensor.numpy()
        except TypeError:  # bfloat16, which numpy does not know, and which float32 holds exactly
            return in_a_sound_thread(lambda: tensor.float().numpy())
    if isinstance(values, np.ndarray | list | tuple) or np.isscalar(values):
        return values
    if hasattr(values, "as_py"):  # one value of an Arrow column: a number, or a row
        return np.asarray(values.values if hasattr(values, "values") else values.as_py())
    return np.asarray(values)


def _has_rows(values: Any) -> bool:
    """Return whether each value is a row for itself: a list of arrays, a column of a table with an array per row."""
    if isinstance(values, list | tuple):
        return any(not issubclass(kind, float | int | np.generic | str) for kind in set(map(type, values)))
    return isinstance(values, np.ndarray) and values.dtype == object and any(np.ndim(each) for each in values.flat)


def _stacked(rows: list[Any], dtype: DTypeLike) -> NDArray[np.floating]:
    if all(is_missing(row) or np.isscalar(row) for row in rows):
        return _real([np.nan if is_missing(row) else row for row in rows], dtype)
    arrays = [None if is_missing(row) else without_mask(row, dtype) for row in rows]
    shapes = {array.shape for array in arrays if array is not None}
    if len(shapes) > 1:
        raise UsageError("rows of different lengths", got=sorted(shapes), expected="one length")
    missing = np.full(shapes.pop(), np.nan, dtype=dtype)
    return np.array([missing if array is None else array for array in arrays], dtype=dtype)


def _without_none(values: Any) -> Any:
    """Return the values with NaN in place of None and NA, which only arrays of objects can hold."""
    if not isinstance(values, np.ndarray) or values.dtype != object:
        return values
    return np.array([np.nan if is_missing(each) else each for each in values.flat], dtype=object).reshape(values.shape)


def is_missing(value: object) -> bool:
    """Return whether a value stands for a missing one: None, pandas's NA."""
    return value is None or type(value).__name__ == "NAType"


def _mask(values: object) -> NDArray[np.bool_] | None:
    """Return the mask of an array, or None."""
    mask = getattr(values, "mask", None)
    return np.asarray(mask) if isinstance(mask, np.ndarray | np.bool_ | bool) else None
