"""The line table: complete, in vacuum, and with damping of the right size."""

from __future__ import annotations

import numpy as np

from apnet_fast.simulate.stars.elements import N_ELEMENTS, NAMES
from apnet_fast.simulate.stars.lines import AIR_TO_VACUUM, ATOMIC_LINES, line_table
from apnet_fast.simulate.stars.molecules import N_MOLECULES


def test_all_lines_are_in_the_table() -> None:
    table = line_table()
    atomic = table.species < 2 * N_ELEMENTS
    assert atomic.sum() == sum(len(values) // 3 for values in ATOMIC_LINES.values())
    assert set(table.species[~atomic]) == set(range(2 * N_ELEMENTS, 2 * N_ELEMENTS + N_MOLECULES))
    assert table.masses.shape == (2 * N_ELEMENTS + N_MOLECULES,)
    for column in (table.wavelength, table.gf, table.van_der_waals):
        assert column.shape == table.species.shape
        assert np.all(column > 0)


def test_species_stand_together() -> None:
    species = line_table().species
    assert np.count_nonzero(np.diff(species)) == len(set(species)) - 1


def test_wavelengths_are_in_vacuum_and_on_the_grid() -> None:
    table = line_table()
    assert np.abs(table.wavelength - 15_207.53 * AIR_TO_VACUUM).min() < 1e-6
    assert 15_090 < table.wavelength.min() < table.wavelength.max() < 17_010


def test_ions_and_energies() -> None:
    table = line_table()
    iron = table.species == 2 * NAMES.index("Fe")
    magnesium_ion = table.species == 2 * NAMES.index("Mg") + 1
    # Lines of Mg II start 12.08 eV above the ground state, 140,200 K.
    assert np.allclose(table.lower[magnesium_ion], 12.083 * 11_604.5, rtol=1e-4)
    assert magnesium_ion.sum() == 2
    # Broadening by hydrogen of iron lines of 5 to 6 eV: log width of about -7 per atom (Barklem et al. 2000).
    assert -7.6 < np.median(np.log10(table.van_der_waals[iron])) < -6.6
    assert np.median(table.stark[iron]) > 0
