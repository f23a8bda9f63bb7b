"""Solve a grey atmosphere in hydrostatic and ionisation equilibrium, and sample it where the H band forms.

T(tau) is the scaled solar law of Krishna Swamy (1966, ApJ 145, 174). Pressure follows from
dP / dtau = g / kappa with the Rosseland mean of the continuous opacity and, in cool gas, a
constant cross-section of water that stands for all molecular blanketing. The atmosphere is
plane-parallel and in LTE, without convection or radiation pressure: Gray (3rd ed.), chapter 9,
without its refinements.
"""

from __future__ import annotations

import math

import numpy as np

from apnet_fast.simulate.stars.elements import MASSES, N_ELEMENTS
from apnet_fast.simulate.stars.ionisation import BOLTZMANN, electron_density, hydrogen_density, saha_ratios, table_place
from apnet_fast.simulate.stars.molecules import N_MOLECULES, associate, h2_constant, water_partition
from apnet_fast.simulate.stars.opacity import ALPHA, continuous
from apnet_fast.support.compiled import compiled

ATOMIC_MASS = 1.66054e-24
LN_TAU_START, LN_TAU_STEP, N_LAYERS = math.log(1e-6), 0.5, 40
"""The structure's Rosseland depths: 1e-6 to 300."""

NODE_TAU = np.array([1e-4, 1e-3, 6e-3, 3e-2, 0.12, 0.45, 1.5, 6.0])
"""Continuous optical depths at 16,000 Angstrom at which the gas is sampled to form lines."""
N_NODES = NODE_TAU.size

CONTINUUM_KNOTS = np.array([1.5100, 1.5700, 1.6300, 1.6419, 1.6460, 1.7000])
"""Opacity and Planck function are straight lines between these wavelengths in micron; H- ends at 1.6419."""
REFERENCE_WAVELENGTH = 1.6

ROSSELAND_X = np.array([0.7, 1.3, 2.0, 2.8, 3.6, 4.5, 5.5, 6.7, 8.2, 10.5])
_ROSSELAND_STEP = np.gradient(ROSSELAND_X)
ROSSELAND_WEIGHT = ROSSELAND_X**4 * np.exp(ROSSELAND_X) / np.expm1(ROSSELAND_X) ** 2 * _ROSSELAND_STEP
ROSSELAND_WEIGHT /= ROSSELAND_WEIGHT.sum()
"""Weights of the Rosseland mean: dB/dT over frequency, at h nu / k T."""

WATER_BLANKET = 1e-22
"""cm^2 per water molecule: gives a Rosseland opacity of about 1e-2 cm^2/g at 2,500 K (Ferguson et al. 2005)."""

# Columns of a node's quantities.
TEMPERATURE, DENSITY, ELECTRONS, HYDROGEN, EXTINCTION = range(5)
N_QUANTITIES = 5


@compiled
def hopf(tau):  # type: ignore[no-untyped-def]
    """Return q(tau) of T^4 = 3/4 Teff^4 (tau + q), from Krishna Swamy (1966)."""
    return 1.39 - 0.815 * math.exp(-2.54 * tau) - 0.025 * math.exp(-30.0 * tau)


@compiled
def solve_gas(temperature, pressure, abundance, partition, energies, ratios, atoms, neutral, molecules):  # type: ignore[no-untyped-def]
    """Solve the equilibrium of gas at temperature (K) and pressure (dyn/cm^2).

    Return electrons and free H per cm^3, and density in g/cm^3. Fill ratios (N_ELEMENTS, 2), atoms
    (N_ELEMENTS,), the free neutral atoms per cm^3, and molecules (N_MOLECULES,), density over partition
    function. neutral (N_ELEMENTS,) is scratch space.
    """
    n_total = pressure / (BOLTZMANN * temperature)
    saha_ratios(temperature, partition, energies, ratios)
    h2 = h2_constant(temperature)
    electrons = electron_density(n_total, ratios, abundance, h2)
    metals = 0.0
    for element in range(1, N_ELEMENTS):
        metals += abundance[element]
    hydrogen = hydrogen_density(n_total, electrons, ratios[0, 0], h2, metals)
    nuclei = hydrogen * (1.0 + ratios[0, 0] / electrons) + 2.0 * h2 * hydrogen * hydrogen
    index, fraction = table_place(temperature)
    density = 0.0
    for element in range(N_ELEMENTS):
        first = ratios[element, 0] / electrons
        atoms[element] = nuclei * abundance[element] / (1.0 + first * (1.0 + ratios[element, 1] / electrons))
        neutral[element] = (1 - fraction) * partition[element, 0, index] + fraction * partition[element, 0, index + 1]
        density += nuclei * abundance[element] * MASSES[element]
    atoms[0] = hydrogen
    associate(temperature, atoms, neutral, molecules)
    return electrons, hydrogen, density * ATOMIC_MASS


@compiled
def rosseland(temperature, hydrogen, electrons, water):  # type: ignore[no-untyped-def]
    """Return the Rosseland mean extinction in 1/cm; water: molecules per cm^3."""
    inverse = 0.0
    for n in range(ROSSELAND_X.size):
        wavelength = ALPHA / (ROSSELAND_X[n] * temperature)
        inverse += ROSSELAND_WEIGHT[n] / (
            continuous(wavelength, temperature, hydrogen, electrons) + WATER_BLANKET * water
        )
    return 1.0 / inverse


@compiled
def _extinctions(temperature, pressure, abundance, partition, energies, ratios, atoms, neutral, molecules):  # type: ignore[no-untyped-def]
    """Return the Rosseland mean and the extinction at the reference wavelength, both over density, in cm^2/g."""
    electrons, hydrogen, density = solve_gas(
        temperature, pressure, abundance, partition, energies, ratios, atoms, neutral, molecules
    )
    water = molecules[3] * water_partition(temperature)
    mean = rosseland(temperature, hydrogen, electrons, water)
    return mean / density, continuous(REFERENCE_WAVELENGTH, temperature, hydrogen, electrons) / density


@compiled
def structure(teff, logg, abundance, partition, energies):  # type: ignore[no-untyped-def]
    """Return the logarithms of Rosseland depth, gas pressure and H-band depth per layer, (3, N_LAYERS) float64."""
    ratios = np.empty((N_ELEMENTS, 2))
    atoms = np.empty(N_ELEMENTS)
    neutral = np.empty(N_ELEMENTS)
    molecules = np.empty(N_MOLECULES)
    gravity = 10.0**logg
    out = np.empty((3, N_LAYERS))

    tau = math.exp(LN_TAU_START)
    temperature = teff * (0.75 * (tau + hopf(tau))) ** 0.25
    pressure = 1e-3 * gravity**0.6
    for _ in range(12):
        mean, band = _extinctions(
            temperature, pressure, abundance, partition, energies, ratios, atoms, neutral, molecules
        )
        pressure = math.sqrt(pressure * 2.0 * gravity * tau / mean)
    depth = band / mean * tau
    ln_pressure = math.log(pressure)
    slope = gravity * tau / (mean * pressure)
    weight = band / mean * tau
    for layer in range(N_LAYERS):
        out[0, layer], out[1, layer], out[2, layer] = math.log(tau), ln_pressure, math.log(depth)
        if layer == N_LAYERS - 1:
            break
        tau *= math.exp(LN_TAU_STEP)
        temperature = teff * (0.75 * (tau + hopf(tau))) ** 0.25
        # Heun's method for ln P over ln tau; the slope starts between 1/2 and 1.
        guess = ln_pressure + LN_TAU_STEP * min(slope, 2.0)
        mean, band = _extinctions(
            temperature, math.exp(guess), abundance, partition, energies, ratios, atoms, neutral, molecules
        )
        next_slope = min(gravity * tau / mean * math.exp(-guess), 2.0)
        ln_pressure += 0.5 * LN_TAU_STEP * (min(slope, 2.0) + next_slope)
        mean, band = _extinctions(
            temperature, math.exp(ln_pressure), abundance, partition, energies, ratios, atoms, neutral, molecules
        )
        slope = gravity * tau / mean * math.exp(-ln_pressure)
        next_weight = band / mean * tau
        depth += 0.5 * LN_TAU_STEP * (weight + next_weight)
        weight = next_weight
    return out


@compiled
def sample_nodes(teff, layers, abundance, partition, energies, nodes, populations):  # type: ignore[no-untyped-def]
    """Sample the gas at the depths `NODE_TAU` of the `layers` from `structure`.

    Fill nodes (N_NODES, N_QUANTITIES) with temperature, density, electrons and free H per cm^3, and continuous
    extinction at the reference wavelength in 1/cm. Fill populations (2 N_ELEMENTS + N_MOLECULES, N_NODES) with
    density over partition function and extinction: neutral and ionised atoms, then molecules.
    """
    ratios = np.empty((N_ELEMENTS, 2))
    atoms = np.empty(N_ELEMENTS)
    neutral = np.empty(N_ELEMENTS)
    molecules = np.empty(N_MOLECULES)
    layer = 0
    for node in range(N_NODES):
        target = math.log(NODE_TAU[node])
        while layer < N_LAYERS - 2 and layers[2, layer + 1] < target:
            layer += 1
        fraction = (target - layers[2, layer]) / (layers[2, layer + 1] - layers[2, layer])
        fraction = min(max(fraction, -20.0), 1.0)
        tau = math.exp(layers[0, layer] + fraction * LN_TAU_STEP)
        pressure = math.exp(layers[1, layer] + fraction * (layers[1, layer + 1] - layers[1, layer]))
        temperature = teff * (0.75 * (tau + hopf(tau))) ** 0.25
        electrons, hydrogen, density = solve_gas(
            temperature, pressure, abundance, partition, energies, ratios, atoms, neutral, molecules
        )
        extinction = continuous(REFERENCE_WAVELENGTH, temperature, hydrogen, electrons)
        nodes[node, TEMPERATURE], nodes[node, DENSITY] = temperature, density
        nodes[node, ELECTRONS], nodes[node, HYDROGEN], nodes[node, EXTINCTION] = electrons, hydrogen, extinction
        index, part = table_place(temperature)
        for element in range(N_ELEMENTS):
            free = atoms[element] / neutral[element]
            ion = (1 - part) * partition[element, 1, index] + part * partition[element, 1, index + 1]
            populations[2 * element, node] = free / extinction
            populations[2 * element + 1, node] = atoms[element] * ratios[element, 0] / electrons / ion / extinction
        for molecule in range(N_MOLECULES):
            populations[2 * N_ELEMENTS + molecule, node] = molecules[molecule] / extinction
