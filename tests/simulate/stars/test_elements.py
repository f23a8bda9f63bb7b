"""Abundances of stars: solar ones, alpha elements and the first dredge-up."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.elements import ELEMENTS, MASSES, N_ELEMENTS, NAMES, abundances, default_alpha

CARBON, NITROGEN, MAGNESIUM, IRON = (NAMES.index(name) for name in ("C", "N", "Mg", "Fe"))


def of(teff: float, logg: float, fe_h: float, alpha_fe: float = 0.0) -> np.ndarray:
    """Logarithms of abundances, hydrogen 12."""
    one = np.ones(1)
    return 12.0 + np.log10(abundances(teff * one, logg * one, fe_h * one, alpha_fe * one)[0])


def test_a_solar_dwarf_has_solar_abundances() -> None:
    assert of(5777.0, 4.44, 0.0) == pytest.approx([element.log_abundance for element in ELEMENTS], abs=1e-3)


def test_metals_scale_and_hydrogen_and_helium_do_not() -> None:
    change = of(5777.0, 4.44, -1.0, 0.3) - of(5777.0, 4.44, 0.0)
    assert change[:2] == pytest.approx([0.0, 0.0])
    assert change[IRON] == pytest.approx(-1.0)
    assert change[MAGNESIUM] == pytest.approx(-0.7)


def test_giants_have_less_carbon_and_more_nitrogen() -> None:
    change = of(4500.0, 1.5, 0.0) - of(4500.0, 4.6, 0.0)
    assert change[CARBON] == pytest.approx(-0.15, abs=0.01)
    assert change[NITROGEN] == pytest.approx(0.30, abs=0.01)
    assert change[IRON] == 0.0
    assert np.allclose(of(9000.0, 1.5, 0.0), of(9000.0, 4.6, 0.0), atol=1e-3)


def test_the_plateau_and_knee_of_alpha() -> None:
    assert default_alpha(np.array([-2.0, -1.0, -0.5, 0.0])).tolist() == pytest.approx([0.35, 0.35, 0.175, 0.0])
    assert default_alpha(np.array([0.5]))[0] == pytest.approx(-0.05)


def test_elements_are_in_order_of_mass() -> None:
    assert len(NAMES) == len(set(NAMES)) == N_ELEMENTS
    assert np.all(np.diff(MASSES[: NAMES.index("Co")]) > 0)
    assert all(first < second for element in ELEMENTS for first, second in [element.ionisation])
