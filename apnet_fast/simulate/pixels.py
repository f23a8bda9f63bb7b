"""Pixel bits the simulator sets, and Gaussians on the pixel grid."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray


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
