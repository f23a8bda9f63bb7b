"""Share normals, rounding and calibration spectra between the makers of random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.support.grid import CHIP_GAPS, PIXELS

CALIBRATION_SPECTRA = 32
_SIGNIFICANT_DIGITS = 3

_GAP_MARGIN = 150


def normal(generator: np.random.Generator, shape: Sequence[int], scale: float) -> Tensor:
    """Return normals of numpy's PCG64, which are the same on every machine."""
    return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32) * np.float32(scale))


def rounded(values: Tensor) -> Tensor:
    """Round to 3 digits, which keeps the platform's rounding out of calibrated values."""
    return torch.tensor([float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values.tolist()])


def covered_positions(positions: int) -> Tensor:
    """Tell which of a spectrum's `positions` equal stretches lie well inside a chip: bool (positions,)."""
    centre = (torch.arange(positions) + 0.5) * PIXELS / positions
    covered = torch.ones(positions, dtype=torch.bool)
    for start, stop in CHIP_GAPS:
        covered &= (centre < start - _GAP_MARGIN) | (centre > stop + _GAP_MARGIN)
    return covered


def typical_log_flux(generator: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Return the log flux (n, 1, 8575) of n spectra with roughly the levels, lines, noise and gaps of apStar files."""
    pixels = PIXELS
    depth = 0.3 * generator.random((n, pixels)) ** 8 * generator.random((n, 1))
    noise = generator.standard_normal((n, pixels)) * 10 ** generator.uniform(-2.5, -0.7, (n, 1))
    log_flux = np.log(10 ** generator.uniform(1.0, 4.3, (n, 1)) * np.maximum(1 - depth + noise, 1e-3))
    for start, stop in CHIP_GAPS:
        # In a noise draw half of a gap's pixels are at the floor, the other half far above it.
        at_floor = generator.random((n, stop - start)) < 0.5
        log_flux[:, start:stop][at_floor] = np.log(1e-6)
    return log_flux[:, None, :].astype(np.float32)
