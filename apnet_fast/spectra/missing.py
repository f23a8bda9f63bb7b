"""Decide which spectra have no data at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def usable_spectra(flux: NDArray) -> NDArray[np.bool_]:
    """Return bool (n,): whether some pixel of flux (n, pixels) is finite and not zero.

    A dead visit is all zeros and a dead coadd all NaN, whatever its errors are. Missing errors alone do not make a
    spectrum useless: every recipe defines what replaces them.
    """
    return (np.isfinite(flux) & (flux != 0)).any(axis=1)
