"""The pixel grid of apStar spectra: 8575 pixels, evenly spaced in log wavelength, and the gaps between chips."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

PIXELS = 8575
"""Pixels of an apStar spectrum."""

LOG_WAVELENGTH_START = 4.179
LOG_WAVELENGTH_STEP = 6e-6
"""log10 of the vacuum wavelength [Angstrom] of pixel 0, and its step per pixel (cards CRVAL1 and CDELT1)."""

SPEED_OF_LIGHT_KMS = 299_792.458
PIXEL_KMS = SPEED_OF_LIGHT_KMS * np.log(10.0) * LOG_WAVELENGTH_STEP
"""Velocity of one pixel: 4.142 km/s anywhere on the grid."""

CHIP_GAPS = ((0, 220), (3317, 3558), (6125, 6315), (8378, PIXELS))
"""Pixels that no chip covers, for a star at rest: 0-based, half-open ranges, measured on real files."""


@cache
def wavelength() -> NDArray[np.float64]:
    """Return the vacuum wavelengths of the grid, (8575,) float64, in Angstrom; read-only."""
    grid = np.power(10.0, LOG_WAVELENGTH_START + LOG_WAVELENGTH_STEP * np.arange(PIXELS, dtype=np.float64))
    grid.flags.writeable = False
    return grid


def pixel_of(vacuum_wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fractional pixels of vacuum wavelengths in Angstrom; they may fall outside the grid."""
    return (np.log10(vacuum_wavelength) - LOG_WAVELENGTH_START) / LOG_WAVELENGTH_STEP
