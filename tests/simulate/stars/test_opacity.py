"""Continuous opacity: published values of H-, edges of hydrogen, and the limits of what is left."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.opacity import THOMSON, continuous, h_minus, hydrogen


def test_h_minus_of_gray() -> None:
    # Gray (3rd ed.), figure 8.5: at theta = 0.8 (6,300 K) and 8,000 A some 2e-26 cm^4/dyn; minimum near 1.64 micron.
    assert h_minus(0.8, 6300.0) == pytest.approx(2.0e-26, rel=0.25)
    grid = np.linspace(0.9, 2.4, 200)
    values = [h_minus(wavelength, 6300.0) for wavelength in grid]
    assert grid[int(np.argmin(values))] == pytest.approx(1.64, abs=0.03)


def test_free_free_opacity_grows_with_wavelength() -> None:
    assert h_minus(4.0, 5000.0) / h_minus(2.0, 5000.0) == pytest.approx(4.0, rel=0.2)


def test_hydrogen_has_edges() -> None:
    # Beyond the Balmer edge (0.3647 micron) only n >= 3 absorbs.
    assert hydrogen(0.35, 9000.0) > 2.0 * hydrogen(0.39, 9000.0)
    assert hydrogen(1.6, 12_000.0) > 100.0 * hydrogen(1.6, 6000.0)


def test_nothing_absorbs_in_a_vacuum() -> None:
    assert continuous(1.6, 5000.0, 0.0, 0.0) == 0.0
    assert continuous(1.6, 30_000.0, 0.0, 1e15) == pytest.approx(THOMSON * 1e15)
    assert continuous(1.6, 5000.0, 2e16, 1e12) == pytest.approx(2.0 * continuous(1.6, 5000.0, 1e16, 1e12), rel=1e-4)
