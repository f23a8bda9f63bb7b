"""Turn masked values into missing ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def without_mask(values: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.floating]:
    """Return values of any shape as an array of this float type, with NaN for masked values.

    Masks are those of numpy's masked arrays (astropy's and fitsio's columns are such), of astropy's `Masked`, and of
    lists of either. An array of that type without a mask comes back uncopied. Raises numpy's error if the values are
    no array of numbers.
    """
    if isinstance(values, list | tuple) and any(_mask(each) is not None for each in values):
        return np.array([without_mask(each, dtype) for each in values], dtype=dtype)
    mask = _mask(values)
    # Masked values may be anything, also out of range.
    with np.errstate(over="ignore", invalid="ignore"):
        if mask is None or not mask.any():
            return np.asarray(values, dtype=dtype)
        out = np.array(values, dtype=dtype, subok=False)
    out[np.broadcast_to(mask, out.shape)] = np.nan
    return out


def _mask(values: object) -> NDArray[np.bool_] | None:
    """Return the mask of an array, or None. (A pandas column's `mask` is a method.)"""
    mask = getattr(values, "mask", None)
    return np.asarray(mask) if isinstance(mask, np.ndarray | np.bool_ | bool) else None
