"""What counts as missing, and when a spectrum cannot be used at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def filled(values: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Values of any shape as floats, masked ones (numpy.ma, columns and Masked arrays of astropy) as NaN."""
    array: Any = np.ma.asarray(values) if isinstance(values, list | tuple) else values
    with np.errstate(over="ignore"):  # beyond float32: infinite, and so missing
        if hasattr(array, "mask") and hasattr(array, "filled"):
            array = array.astype(dtype).filled(np.nan)
        return np.asarray(array).astype(dtype, copy=False)


def usable_spectra(flux: NDArray) -> NDArray[np.bool_]:
    """Which spectra hold data: bool (n,), True where some pixel of flux (n, pixels) is finite and not zero.

    Dead visit rows are all zeros and dead coadds all NaN, whatever their errors say. Missing errors alone do not
    make a spectrum useless: every recipe defines what stands for them.
    """
    return (np.isfinite(flux) & (flux != 0)).any(axis=1)
