"""Add hydrogen's Brackett lines with Stark wings, and dissolve the high ones into the continuum.

Profiles are quasi-static: S(x) = c / (1 + (x / w)^2.5) with the asymptote of the Holtsmark
profile doubled for the electrons, F0 = 1.25e-9 n_e^(2/3) and the Stark constants of Griem
(1960, ApJ 132, 883). The Doppler core is mixed in by its share of the width. Levels dissolve
above the limit of Inglis & Teller (1939). Compare Gray (3rd ed.), section 11.9. Wings agree
with tabulated profiles within about 20 %.
"""

from __future__ import annotations

import math

import numpy as np

from apnet_fast.simulate.stars.atmosphere import (
    ATOMIC_MASS,
    ELECTRONS,
    N_NODES,
    TEMPERATURE,
)
from apnet_fast.simulate.stars.ionisation import BOLTZMANN
from apnet_fast.support.compiled import compiled
from apnet_fast.support.grid import SPEED_OF_LIGHT_KMS

RYDBERG = 1.0967758e-3  # per Angstrom
LOWER = 4
UPPER_LEVELS = np.arange(10, 31)
"""Br10, at 17,367 Angstrom, is beyond the red end but its wing is not. Above Br30 lines blend with the continuum."""
CENTERS = 1.0 / (RYDBERG * (1.0 / LOWER**2 - 1.0 / UPPER_LEVELS.astype(np.float64) ** 2))

_N = UPPER_LEVELS.astype(np.float64)
_GAUNT = 1.0 - 0.1 / (1.0 / LOWER**2 - 1.0 / _N**2) / _N**2
OSCILLATOR = 32.0 / (3.0 * math.pi * math.sqrt(3.0)) / LOWER**5 / _N**3 / (1.0 / LOWER**2 - 1.0 / _N**2) ** 3 * _GAUNT
"""Kramers' oscillator strengths for absorption with approximate Gaunt factors, good to 10 %."""
STARK_CONSTANT = 5.5e-5 * (LOWER * _N) ** 4 / (_N**2 - LOWER**2)
"""Griem's K in Angstrom for a field of one cgs unit."""
FIELD_CONSTANT = 1.25e-9

PROFILE_INTEGRAL = 2.0 * (math.pi / 2.5) / math.sin(math.pi / 2.5)
"""Integral of 1 / (1 + |x|^2.5) over all x."""
HOLTSMARK_WIDTH = (2.0 * 1.496 / 2.0 * PROFILE_INTEGRAL) ** (2.0 / 3.0)
"""w in units of F0 K: gives unit area and twice the asymptote of Holtsmark's profile, 1.496 / 2 per side."""

ABSORPTION = 0.026540  # pi e^2 / m c, cm^2/s
LOWER_ENERGY = 147_961.0  # K, of n = 4
INGLIS_TELLER = 23.26
NEGLIGIBLE = 3e-4
"""Line extinction over that of the continuum below which a wing is cut."""
NARROWEST_KMS = 9.0


@compiled
def add_brackett(opacity, wavelength, nodes, neutral, turbulence):  # type: ignore[no-untyped-def]
    """Add the Brackett series to `opacity`.

    opacity: (N_NODES, n) float64, line extinction over the continuum's at the reference wavelength. wavelength:
    (n,) Angstrom, ascending. nodes, neutral: the gas and the population of H I, from `atmosphere.sample_nodes`.
    turbulence: km/s.
    """
    n = wavelength.size
    step = math.log(wavelength[-1] / wavelength[0]) / (n - 1)
    start = math.log(wavelength[0])
    for node in range(N_NODES):
        temperature, electrons = nodes[node, TEMPERATURE], nodes[node, ELECTRONS]
        field = FIELD_CONSTANT * electrons ** (2.0 / 3.0)
        thermal = math.sqrt(2.0 * BOLTZMANN * temperature / ATOMIC_MASS / 1.008) * 1e-5
        doppler_kms = math.sqrt(thermal * thermal + turbulence * turbulence)
        last_level = 10.0 ** ((INGLIS_TELLER - math.log10(electrons)) / 7.5)
        boltzmann = 2.0 * LOWER * LOWER * math.exp(-LOWER_ENERGY / temperature) * neutral[node]
        for line in range(CENTERS.size):
            center = CENTERS[line]
            emission = 1.0 - math.exp(-1.438777e8 / (center * temperature))
            survival = 1.0 / (1.0 + (UPPER_LEVELS[line] / last_level) ** 7.5)
            # pi e^2 / (m c) f n, times lambda^2 / c for a profile per Angstrom.
            area = (
                ABSORPTION * OSCILLATOR[line] * boltzmann * emission * survival * center * center * 1e-8 / 2.99792458e10
            )
            doppler = max(doppler_kms, NARROWEST_KMS) / SPEED_OF_LIGHT_KMS * center
            width = max(HOLTSMARK_WIDTH * field * STARK_CONSTANT[line], NARROWEST_KMS / SPEED_OF_LIGHT_KMS * center)
            stark_share = width / (width + 0.5 * doppler)
            stark = area * stark_share / (PROFILE_INTEGRAL * width)
            core = area * (1.0 - stark_share) / (math.sqrt(math.pi) * doppler)
            if stark + core < NEGLIGIBLE:
                continue
            reach = max(width * max(stark / NEGLIGIBLE, 1.0) ** 0.4, 3.5 * doppler)
            first = max(int((math.log(max(center - reach, 1.0)) - start) / step), 0)
            last = min(int((math.log(center + reach) - start) / step) + 1, n)
            for i in range(first, last):
                distance = abs(wavelength[i] - center)
                x = distance / width
                v = distance / doppler
                opacity[node, i] += stark / (1.0 + x * x * math.sqrt(x)) + core * math.exp(-min(v * v, 50.0))
