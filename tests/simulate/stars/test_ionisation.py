"""Saha's balance: limits that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.elements import N_ELEMENTS, NAMES, abundances
from apnet_fast.simulate.stars.ionisation import (
    electron_density,
    ionisation_energies,
    partition_table,
    saha_ratios,
    table_place,
)


def ratios_at(temperature: float) -> np.ndarray:
    out = np.empty((N_ELEMENTS, 2))
    saha_ratios(temperature, partition_table(), ionisation_energies(), out)
    return out


def solar() -> np.ndarray:
    one = np.ones(1)
    return abundances(5777.0 * one, 4.44 * one, 0.0 * one, 0.0 * one)[0]


def test_partition_functions_are_those_of_the_tables() -> None:
    index, _ = table_place(5040.0)
    # Gray (3rd ed.), table D.2, at theta = 1.
    for name, stage, log_u in [("Fe", 0, 1.45), ("Fe", 1, 1.63), ("Mg", 0, 0.01), ("Ca", 1, 0.34), ("Ti", 0, 1.49)]:
        assert np.log10(partition_table()[NAMES.index(name), stage, index]) == pytest.approx(log_u, abs=0.06)


def test_pure_hydrogen_follows_the_quadratic() -> None:
    pure = np.zeros(N_ELEMENTS)
    pure[0] = 1.0
    ratios = ratios_at(10_000.0)
    n_total = 1e15
    electrons = electron_density(n_total, ratios, pure, 0.0)
    assert electrons**2 / (n_total - 2.0 * electrons) == pytest.approx(ratios[0, 0], rel=1e-8)
    assert (1.2 * electrons) ** 2 / (n_total - 2.4 * electrons) != pytest.approx(ratios[0, 0], rel=1e-2)


def test_metals_give_the_electrons_of_cool_gas() -> None:
    n_total = 1e17
    with_metals = electron_density(n_total, ratios_at(4500.0), solar(), 0.0)
    hydrogen_alone = np.zeros(N_ELEMENTS)
    hydrogen_alone[0] = 1.0
    assert with_metals > 10.0 * electron_density(n_total, ratios_at(4500.0), hydrogen_alone, 0.0)
    assert 1e-5 < with_metals / n_total < 3e-4


def test_hot_gas_is_ionised() -> None:
    electrons = electron_density(1e14, ratios_at(20_000.0), solar(), 0.0)
    assert electrons / 1e14 == pytest.approx(0.5, abs=0.03)
