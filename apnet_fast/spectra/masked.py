"""Arrays as readers give them: what is masked is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def without_mask(values: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.floating]:
    """Values of any shape as an array of this float type, NaN where they are masked.

    Masks are those of numpy's masked arrays (astropy's columns and fitsio's are such), of astropy's `Masked`, and of
    lists of either. Without a mask an array of that type comes back as it is, uncopied. Raises what numpy raises for
    what is no array of numbers.
    """
    if isinstance(values, list | tuple) and any(_mask(each) is not None for each in values):
        return np.array([without_mask(each, dtype) for each in values], dtype=dtype)
    mask = _mask(values)
    # Under a mask, and out of range, there may be anything.
    with np.errstate(over="ignore", invalid="ignore"):
        if mask is None or not mask.any():
            return np.asarray(values, dtype=dtype)
        out = np.array(values, dtype=dtype, subok=False)
    out[np.broadcast_to(mask, out.shape)] = np.nan
    return out


def _mask(values: object) -> NDArray[np.bool_] | None:
    """The mask of an array that has one; of a pandas column `mask` is a method."""
    mask = getattr(values, "mask", None)
    return np.asarray(mask) if isinstance(mask, np.ndarray | np.bool_ | bool) else None
