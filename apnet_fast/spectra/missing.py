"""What counts as missing, and when a spectrum cannot be used at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def usable_spectra(flux: NDArray) -> NDArray[np.bool_]:
    """Which spectra hold data: bool (n,), True where some pixel of flux (n, pixels) is finite and not zero.

    Dead visit rows are all zeros and dead coadds all NaN, whatever their errors say. Missing errors alone do not
    make a spectrum useless: every recipe defines what stands for them.
    """
    return (np.isfinite(flux) & (flux != 0)).any(axis=1)
