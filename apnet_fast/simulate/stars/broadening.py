"""Apply rotation, macroturbulence and the instrument as one kernel, from the fine grid to the pixels."""

from __future__ import annotations

import math

import numpy as np

from apnet_fast.support.compiled import compiled
from apnet_fast.support.grid import PIXEL_KMS, SPEED_OF_LIGHT_KMS

OVERSAMPLING = 3
STEP_KMS = PIXEL_KMS / OVERSAMPLING
RESOLVING_POWER = 22_500.0
"""Of instrument and pixels together: the FWHM of the line spread function is 13.3 km/s or 3.2 pixels."""
LINE_SPREAD_SIGMA_KMS = SPEED_OF_LIGHT_KMS / RESOLVING_POWER / math.sqrt(8.0 * math.log(2.0))
LIMB_DARKENING = 0.3
"""Linear coefficient in the H band (Claret & Bloemen 2011 give 0.2 to 0.4)."""
SLOWEST_SAMPLED_KMS = 4.0
"""Slower rotation enters only by the variance of its profile, because the grid cannot sample it."""
FASTEST_KMS = 400.0
LARGEST_REACH = int((FASTEST_KMS + 120.0) / STEP_KMS)
PAD_PIXELS = LARGEST_REACH // OVERSAMPLING + 2
GAUSSIAN_REACH = 4.5

_ROTATION_VARIANCE = (1.0 / 4.0 - LIMB_DARKENING / 4.0 + LIMB_DARKENING * 2.0 / 15.0) / (1.0 - LIMB_DARKENING / 3.0)


@compiled
def _rotation_profile(v, vsini):  # type: ignore[no-untyped-def]
    """Return the profile of Gray (3rd ed.), equation 18.14, without its normalisation."""
    y = 1.0 - (v / vsini) ** 2
    if y <= 0.0:
        return 0.0
    return 2.0 * (1.0 - LIMB_DARKENING) * math.sqrt(y) + 0.5 * math.pi * LIMB_DARKENING * y


@compiled
def kernel(vsini, vmacro):  # type: ignore[no-untyped-def]
    """Return the kernel on the fine grid, (2 reach + 1,) float32 of sum 1.

    vsini, vmacro (1/e half-width): km/s.
    """
    variance = LINE_SPREAD_SIGMA_KMS**2 + 0.5 * vmacro * vmacro
    if vsini < SLOWEST_SAMPLED_KMS:
        variance += _ROTATION_VARIANCE * vsini * vsini
    sigma = math.sqrt(variance)
    gaussian_reach = math.ceil(GAUSSIAN_REACH * sigma / STEP_KMS)
    rotation_reach = math.ceil(vsini / STEP_KMS) if vsini >= SLOWEST_SAMPLED_KMS else 0
    reach = min(gaussian_reach + rotation_reach, LARGEST_REACH)
    out = np.zeros(2 * reach + 1)
    for shift in range(-rotation_reach, rotation_reach + 1):
        weight = 1.0
        if rotation_reach:
            # Averaged over the step, so that the kernel changes smoothly with vsini.
            weight = 0.0
            for part in range(-4, 5):
                weight += _rotation_profile((shift + part / 9.0) * STEP_KMS, vsini)
        for i in range(max(-reach, shift - gaussian_reach), min(reach, shift + gaussian_reach) + 1):
            z = (i - shift) * STEP_KMS / sigma
            out[reach + i] += weight * math.exp(-0.5 * z * z)
    return (out / out.sum()).astype(np.float32)


@compiled(fastmath=True)
def to_pixels(fine, profile, out):  # type: ignore[no-untyped-def]
    """Convolve the fine grid with `profile` and keep each pixel's centre. `fine` begins PAD_PIXELS before `out`."""
    reach = profile.size // 2
    for pixel in range(out.size):
        first = (pixel + PAD_PIXELS) * OVERSAMPLING + OVERSAMPLING // 2 - reach
        total = np.float32(0.0)
        for i in range(profile.size):
            total += fine[first + i] * profile[i]
        out[pixel] = total
