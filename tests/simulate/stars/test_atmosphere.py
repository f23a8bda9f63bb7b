"""The atmosphere: hydrostatic, hotter inwards, and denser in dwarfs than in giants."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.atmosphere import (
    ATOMIC_MASS,
    DENSITY,
    ELECTRONS,
    HYDROGEN,
    N_ELEMENTS,
    N_LAYERS,
    N_MOLECULES,
    N_NODES,
    N_QUANTITIES,
    ROSSELAND_WEIGHT,
    TEMPERATURE,
    hopf,
    rosseland,
    sample_nodes,
    solve_gas,
    structure,
)
from apnet_fast.simulate.stars.elements import abundances
from apnet_fast.simulate.stars.ionisation import BOLTZMANN, ionisation_energies, partition_table

TABLES = partition_table(), ionisation_energies()


def solar(fe_h: float = 0.0) -> np.ndarray:
    one = np.ones(1)
    return abundances(5777.0 * one, 4.44 * one, fe_h * one, 0.0 * one)[0]


def nodes_of(teff: float, logg: float) -> np.ndarray:
    nodes = np.empty((N_NODES, N_QUANTITIES))
    populations = np.empty((2 * N_ELEMENTS + N_MOLECULES, N_NODES))
    layers = structure(teff, logg, solar(), *TABLES)
    sample_nodes(teff, layers, solar(), *TABLES, nodes, populations)
    assert np.all(populations >= 0)
    return nodes


def test_the_scaled_solar_law() -> None:
    # T^4 = 3/4 Teff^4 (tau + q): Krishna Swamy's law has T = 0.80 Teff at the surface and T = Teff at tau = 0.312.
    assert (0.75 * hopf(0.0)) ** 0.25 == pytest.approx(0.80, abs=0.01)
    assert (0.75 * (0.312 + hopf(0.312))) ** 0.25 == pytest.approx(1.0, abs=0.001)
    assert hopf(50.0) == pytest.approx(1.39)


def test_pressure_and_depth_grow_inwards() -> None:
    layers = structure(5777.0, 4.44, solar(), *TABLES)
    assert layers.shape == (3, N_LAYERS)
    assert np.all(np.diff(layers, axis=1) > 0)
    # The gas pressure of the solar photosphere at Rosseland depth 1 is about 1e5 dyn/cm^2.
    assert np.interp(0.0, layers[0], layers[1]) == pytest.approx(np.log(1.2e5), abs=0.5)


def test_giants_are_thin() -> None:
    dwarf, giant = nodes_of(4500.0, 4.6), nodes_of(4500.0, 1.5)
    assert np.all(giant[:, DENSITY] < 0.1 * dwarf[:, DENSITY])
    np.testing.assert_allclose(giant[4, TEMPERATURE], dwarf[4, TEMPERATURE], rtol=0.05)
    assert np.all(np.diff(dwarf[:, TEMPERATURE]) > 0)


def test_gas_keeps_its_particles() -> None:
    ratios, atoms, neutral = np.empty((N_ELEMENTS, 2)), np.empty(N_ELEMENTS), np.empty(N_ELEMENTS)
    molecules = np.empty(N_MOLECULES)
    for temperature in (3500.0, 6000.0, 15_000.0):
        electrons, hydrogen, density = solve_gas(temperature, 1e5, solar(), *TABLES, ratios, atoms, neutral, molecules)
        total = 1e5 / (BOLTZMANN * temperature)
        assert 0 < electrons < 0.6 * total
        assert 0 < hydrogen < total
        # The mean weight per particle lies between half of and three times that of hydrogen.
        assert 0.5 < density / ATOMIC_MASS / total < 3.0


def test_rosseland_weights_and_water() -> None:
    assert ROSSELAND_WEIGHT.sum() == pytest.approx(1.0)
    dry, wet = (rosseland(2800.0, 1e16, 1e9, water) for water in (0.0, 1e12))
    assert wet > 1.5 * dry > 0


def test_nodes_have_electrons_from_metals_and_hydrogen() -> None:
    hot, cool = nodes_of(9500.0, 4.0), nodes_of(4000.0, 4.0)
    assert hot[4, ELECTRONS] / hot[4, HYDROGEN] > 100 * cool[4, ELECTRONS] / cool[4, HYDROGEN]
