"""Molecules: heads and lines where spectra show them, and carbon that goes into CO."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.elements import N_ELEMENTS, NAMES
from apnet_fast.simulate.stars.molecules import N_MOLECULES, associate, bands, carbon_monoxide, hydroxyl


def test_heads_of_carbon_monoxide() -> None:
    wavelength = 1e8 / carbon_monoxide().wavenumber
    # Vacuum wavelengths of the heads of 12CO 3-0, 4-1 and 5-2.
    for head, window in [(15_582.0, 60.0), (15_780.0, 60.0), (15_982.0, 60.0)]:
        behind = np.histogram(wavelength, bins=[head - window, head - 1.5, head + 1.5])[0]
        assert behind[1] >= 5, "lines pile up at the head"
    assert wavelength.min() == pytest.approx(15_582.0, abs=1.5)


def test_known_lines_of_hydroxyl() -> None:
    wavelength = 1e8 / hydroxyl().wavenumber
    # Vacuum wavelengths of OH lines at 15,278.5, 15,281.1, 15,558.0 and 15,560.2 Angstrom in air.
    for line in (15_282.7, 15_285.2, 15_562.3, 15_564.5):
        assert np.abs(wavelength - line).min() < 1.5
    assert np.abs(wavelength - 15_300.0).min() > 1.0


def test_bands_hold_sane_lines() -> None:
    for band in bands():
        assert band.gf.size > 100
        assert np.all(band.gf > 0)
        assert np.all(np.isfinite(band.lower))
        assert np.all((band.wavenumber > 5882) & (band.wavenumber < 6623))


def bind(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    atoms = np.zeros(N_ELEMENTS)
    atoms[0] = 1e16
    atoms[NAMES.index("C")], atoms[NAMES.index("O")] = 2.7e12, 4.9e12
    atoms[NAMES.index("N")], atoms[NAMES.index("Fe")] = 7e11, 3e11
    out = np.empty(N_MOLECULES)
    associate(temperature, atoms, np.full(N_ELEMENTS, 9.0), out)
    return atoms, out


def test_carbon_binds_in_cool_gas_and_not_in_hot() -> None:
    carbon, oxygen = NAMES.index("C"), NAMES.index("O")
    cool, molecules = bind(2800.0)
    assert cool[carbon] < 1e-3 * 2.7e12
    assert cool[oxygen] < 4.9e12 - 2.6e12
    assert np.all(molecules > 0)
    hot, _ = bind(7000.0)
    assert hot[carbon] == pytest.approx(2.7e12, rel=1e-2)
