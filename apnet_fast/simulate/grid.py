"""The apStar wavelength grid and the pixel bits the simulator sets."""

from __future__ import annotations

from enum import IntFlag
from functools import cache

import numpy as np
from numpy.typing import NDArray

N_PIXELS = 8575
LOG_WAVELENGTH_START = 4.179
LOG_WAVELENGTH_STEP = 6e-6

SPEED_OF_LIGHT_KMS = 299_792.458
PIXEL_KMS = SPEED_OF_LIGHT_KMS * np.log(10.0) * LOG_WAVELENGTH_STEP
"""Velocity of one pixel: 4.142 km/s anywhere on the grid."""


class PixelBit(IntFlag):
    """APOGEE_PIXMASK, as DR17 and apogee_drp define it."""

    BADPIX = 1 << 0
    CRPIX = 1 << 1
    SATPIX = 1 << 2
    UNFIXABLE = 1 << 3
    BADDARK = 1 << 4
    BADFLAT = 1 << 5
    BADERR = 1 << 6
    NOSKY = 1 << 7
    LITTROW_GHOST = 1 << 8
    PERSIST_HIGH = 1 << 9
    PERSIST_MED = 1 << 10
    PERSIST_LOW = 1 << 11
    SIG_SKYLINE = 1 << 12
    SIG_TELLURIC = 1 << 13
    NOT_ENOUGH_PSF = 1 << 14


BAD_BITS = 0x40FF
"""Bits 0-7 and 14: the pixels the pipelines call bad (`badval`)."""


@cache
def wavelength() -> NDArray[np.float64]:
    """Vacuum wavelengths of the grid, (8575,) float64, in Angstrom; read-only."""
    grid = np.power(10.0, LOG_WAVELENGTH_START + LOG_WAVELENGTH_STEP * np.arange(N_PIXELS, dtype=np.float64))
    grid.flags.writeable = False
    return grid


def pixel_of(vacuum_wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional pixel of vacuum wavelengths in Angstrom; may fall outside the grid."""
    return (np.log10(vacuum_wavelength) - LOG_WAVELENGTH_START) / LOG_WAVELENGTH_STEP


def add_gaussians(
    into: NDArray[np.float64], centers: NDArray[np.float64], peaks: NDArray[np.float64], sigma: float
) -> None:
    """Add Gaussians of width `sigma` pixels to `into` (8575,), in place; parts off the grid are lost."""
    reach = int(np.ceil(5 * sigma))
    offsets = np.arange(-reach, reach + 1)
    pixels = np.rint(centers).astype(np.int64)[:, None] + offsets
    values = peaks[:, None] * np.exp(-0.5 * ((pixels - centers[:, None]) / sigma) ** 2)
    inside = (pixels >= 0) & (pixels < into.size)
    np.add.at(into, pixels[inside], values[inside])
