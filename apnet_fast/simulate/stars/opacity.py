"""Compute the continuous opacity of negative hydrogen, hydrogen and electrons.

H- follows John (1988, A&A 193, 189), equations 3 to 6 and tables 2 and 3. H has Kramers' cross-sections
with Gaunt factors of 1 (Gray, 3rd ed., section 8.4). Metals, H2- and collisions of H2 are left out.
"""

from __future__ import annotations

import math

import numpy as np

from apnet_fast.simulate.stars.ionisation import BOLTZMANN
from apnet_fast.support.compiled import compiled

H_MINUS_EDGE = 1.6419  # micron
ALPHA = 1.439e4  # hc/k, micron K
_BOUND_FREE = np.array([152.519, 49.534, -118.858, 92.536, -34.194, 4.982])
_FREE_FREE_RED = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [2483.3460, 285.8270, -2054.2910, 2827.7760, -1341.5370, 208.9520],
        [-3449.8890, -1158.3820, 8746.5230, -11485.6320, 5303.6090, -812.9390],
        [2200.0400, 2427.7190, -13651.1050, 16755.5240, -7510.4940, 1132.7380],
        [-696.2710, -1841.4000, 8624.9700, -10051.5300, 4400.0670, -655.0200],
        [88.2830, 444.5170, -1863.8640, 2095.2880, -901.7880, 132.9850],
    ]
)
_FREE_FREE_BLUE = np.array(
    [
        [518.1021, -734.8666, 1021.1775, -479.0721, 93.1373, -6.4285],
        [472.2636, 1443.4137, -1977.3395, 922.3575, -178.9275, 12.3600],
        [-482.2089, -737.1616, 1096.8827, -521.1341, 101.7963, -7.0571],
        [115.5291, 169.6374, -245.6490, 114.2430, -21.9972, 1.5097],
    ]
)
FREE_FREE_SPLIT = 0.3645
SHORTEST_WAVELENGTH = 0.1823  # micron: the free-free fit begins here, and shorter wavelengths get its value here

THOMSON = 6.6524587e-25  # cm^2
RAYLEIGH = 5.80e-13  # cm^2 Angstrom^4, hydrogen far from its resonances
PHOTOIONISATION = 7.907e-18  # cm^2, at the Lyman edge
RYDBERG_KELVIN = 157_888.0
LYMAN_EDGE = 0.0911753  # micron
N_LEVELS = 9
EDGE_SOFTNESS = 0.04
"""Series limits are blurred over this much of ln(wavelength), because the lines of a series run together there."""


@compiled
def h_minus(wavelength, temperature):  # type: ignore[no-untyped-def]
    """Return H-'s opacity, bound-free and free-free, in cm^4/dyn: per neutral H atom and unit electron pressure.

    wavelength: micron. temperature: K. Stimulated emission is included.
    """
    theta = 5040.0 / temperature
    total = 0.0
    if wavelength < H_MINUS_EDGE:
        distance = 1.0 / wavelength - 1.0 / H_MINUS_EDGE
        root = math.sqrt(distance)
        series = 0.0
        power = 1.0
        for n in range(6):
            series += _BOUND_FREE[n] * power
            power *= root
        cross_section = 1e-18 * wavelength**3 * distance * root * series
        emission = 1.0 - math.exp(-ALPHA / (wavelength * temperature))
        total += 0.750 * temperature**-2.5 * math.exp(ALPHA / (H_MINUS_EDGE * temperature)) * emission * cross_section
    reach = max(wavelength, SHORTEST_WAVELENGTH)
    inverse = 1.0 / reach
    table = _FREE_FREE_RED if reach > FREE_FREE_SPLIT else _FREE_FREE_BLUE
    free = 0.0
    power = theta
    for n in range(table.shape[0]):
        c = table[n]
        polynomial = c[2] + inverse * (c[3] + inverse * (c[4] + inverse * c[5]))
        free += power * (reach * reach * c[0] + c[1] + inverse * polynomial)
        power *= math.sqrt(theta)
    return total + 1e-29 * max(free, 0.0)


@compiled
def hydrogen(wavelength, temperature):  # type: ignore[no-untyped-def]
    """Return H I's opacity, bound-free and free-free, in cm^2 per neutral atom with partition function 2.

    wavelength: micron. temperature: K. Stimulated emission is included.
    """
    x = RYDBERG_KELVIN / temperature
    inverse_cube = (wavelength / LYMAN_EDGE) ** 3
    total = 0.0
    for level in range(1, N_LEVELS + 1):
        edge = LYMAN_EDGE * level * level
        soft = 1.0 / (1.0 + math.exp(min(math.log(wavelength / edge) / EDGE_SOFTNESS, 60.0)))
        weight = 2.0 * level * level * math.exp(-x * (1.0 - 1.0 / (level * level)))
        total += soft * weight * PHOTOIONISATION * inverse_cube / level**5
    # Levels above the last, as an integral (Unsoeld), and free-free transitions.
    first = x / ((N_LEVELS + 0.5) * (N_LEVELS + 0.5))
    total += PHOTOIONISATION * inverse_cube * math.exp(-x) * math.exp(first) / x
    emission = 1.0 - math.exp(-ALPHA / (wavelength * temperature))
    return 0.5 * total * emission


@compiled
def continuous(wavelength, temperature, n_hydrogen, n_electrons):  # type: ignore[no-untyped-def]
    """Return the continuous extinction in 1/cm; n_hydrogen and n_electrons: neutral H and electrons per cm^3.

    Scattering counts as absorption, as in a grey atmosphere.
    """
    electron_pressure = n_electrons * BOLTZMANN * temperature
    per_atom = h_minus(wavelength, temperature) * electron_pressure + hydrogen(wavelength, temperature)
    rayleigh = RAYLEIGH / (1e4 * max(wavelength, SHORTEST_WAVELENGTH)) ** 4
    return n_hydrogen * (per_atom + rayleigh) + THOMSON * n_electrons
