"""Solve the equations of Saha and Boltzmann: partition functions, and the electrons of a gas in equilibrium.

Source: Gray, "The Observation and Analysis of Stellar Photospheres" (3rd ed.), sections 1.6 and 9.8.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.stars.elements import ELEMENTS, N_ELEMENTS
from apnet_fast.support.compiled import compiled

BOLTZMANN = 1.380649e-16  # erg/K
BOLTZMANN_EV = 8.617333e-5  # eV/K
KELVIN_PER_WAVENUMBER = 1.438777  # K cm
SAHA_CONSTANT = 4.829366e15  # 2 (2 pi m k / h^2)^1.5, per cm^3 and K^1.5

LN_T_START, LN_T_STEP, N_LN_T = math.log(1200.0), 0.02, 200
"""The tables cover 1,200 K to 64,000 K; beyond that their end values hold."""
N_STAGES = 3

LOWEST_LN_ELECTRONS = math.log(1e-10)
SOLVER_TOLERANCE = 1e-11
SOLVER_STEPS = 80


@cache
def partition_table() -> NDArray[np.float64]:
    """Return the partition functions, (N_ELEMENTS, 3 stages, N_LN_T) float64."""
    temperature = np.exp(LN_T_START + LN_T_STEP * np.arange(N_LN_T))
    table = np.empty((N_ELEMENTS, N_STAGES, N_LN_T))
    for row, element in zip(table, ELEMENTS, strict=True):
        for stage, terms in enumerate(element.terms):
            row[stage] = sum(g * np.exp(-KELVIN_PER_WAVENUMBER * e / temperature) for g, e in terms)
    return table


@cache
def ionisation_energies() -> NDArray[np.float64]:
    """Return the ionisation energies of stages I and II, (N_ELEMENTS, 2) float64, in eV."""
    return np.array([element.ionisation for element in ELEMENTS])


@compiled
def table_place(temperature):  # type: ignore[no-untyped-def]
    """Return index and fraction of `temperature` (K) in a table over LN_T_START, LN_T_STEP, N_LN_T."""
    place = (math.log(temperature) - LN_T_START) / LN_T_STEP
    place = min(max(place, 0.0), N_LN_T - 1.000001)
    index = int(place)
    return index, place - index


@compiled
def saha_ratios(temperature, partition, energies, out):  # type: ignore[no-untyped-def]
    """Fill `out` (N_ELEMENTS, 2) with n(stage + 1) n_e / n(stage) of every element, per cm^3."""
    index, fraction = table_place(temperature)
    factor = SAHA_CONSTANT * temperature * math.sqrt(temperature)
    for element in range(out.shape[0]):
        for stage in range(2):
            lower = (1 - fraction) * partition[element, stage, index] + fraction * partition[element, stage, index + 1]
            upper = (1 - fraction) * partition[element, stage + 1, index] + fraction * (
                partition[element, stage + 1, index + 1]
            )
            out[element, stage] = (
                factor * upper / lower * math.exp(-energies[element, stage] / (BOLTZMANN_EV * temperature))
            )


@compiled
def hydrogen_density(n_total, n_electrons, saha_hydrogen, h2_constant, metals):  # type: ignore[no-untyped-def]
    """Return neutral atomic hydrogen per cm^3 in a gas of `n_total` particles per cm^3.

    h2_constant: n(H2) / n(H)^2 in cm^3. metals: nuclei of all other elements per hydrogen nucleus.
    """
    heavy = n_total - n_electrons
    linear = (1.0 + saha_hydrogen / n_electrons) * (1.0 + metals)
    square = h2_constant * (1.0 + 2.0 * metals)
    # The root of square x^2 + linear x = heavy, in the form that stays exact as H2 vanishes.
    return 2.0 * heavy / (linear + math.sqrt(linear * linear + 4.0 * square * heavy))


@compiled
def _charge_excess(ln_electrons, n_total, ratios, abundance, h2_constant, metals):  # type: ignore[no-untyped-def]
    """Return ln of the electrons that the ions would give, over those assumed."""
    electrons = math.exp(ln_electrons)
    neutral = hydrogen_density(n_total, electrons, ratios[0, 0], h2_constant, metals)
    nuclei = neutral * (1.0 + ratios[0, 0] / electrons) + 2.0 * h2_constant * neutral * neutral
    given = neutral * ratios[0, 0] / electrons
    for element in range(1, abundance.shape[0]):
        first = ratios[element, 0] / electrons
        second = first * ratios[element, 1] / electrons
        given += nuclei * abundance[element] * (first + 2.0 * second) / (1.0 + first + second)
    return math.log(given + 1e-300) - ln_electrons


@compiled
def electron_density(n_total, ratios, abundance, h2_constant):  # type: ignore[no-untyped-def]
    """Return the electrons per cm^3 that balance the charges of all ions, for `n_total` particles per cm^3.

    ratios: from `saha_ratios`. abundance: (N_ELEMENTS,), hydrogen 1. The solver is regula falsi with
    the Illinois rule, to 1e-11, so that numerical derivatives over labels do not see it.
    """
    metals = 0.0
    for element in range(1, abundance.shape[0]):
        metals += abundance[element]
    low, high = LOWEST_LN_ELECTRONS, math.log(n_total) - 1e-6
    f_low = _charge_excess(low, n_total, ratios, abundance, h2_constant, metals)
    f_high = _charge_excess(high, n_total, ratios, abundance, h2_constant, metals)
    if f_low <= 0.0:
        return math.exp(low)
    side = 0
    middle = high
    for _ in range(SOLVER_STEPS):
        middle = (low * f_high - high * f_low) / (f_high - f_low)
        f_middle = _charge_excess(middle, n_total, ratios, abundance, h2_constant, metals)
        if abs(f_middle) < SOLVER_TOLERANCE or high - low < SOLVER_TOLERANCE:
            break
        if f_middle > 0.0:
            low, f_low = middle, f_middle
            if side == 1:
                f_high *= 0.5
            side = 1
        else:
            high, f_high = middle, f_middle
            if side == -1:
                f_low *= 0.5
            side = -1
    return math.exp(middle)
