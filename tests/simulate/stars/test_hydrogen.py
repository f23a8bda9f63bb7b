"""Brackett lines: their places, their areas, and wings that grow with electrons."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.atmosphere import ELECTRONS, N_NODES, N_QUANTITIES, TEMPERATURE
from apnet_fast.simulate.stars.hydrogen import CENTERS, OSCILLATOR, UPPER_LEVELS, add_brackett

GRID = np.exp(np.linspace(np.log(15_100.0), np.log(17_000.0), 4000))
BR11 = int(np.searchsorted(GRID, 16_811.1))


def opacity(electrons: float, temperature: float = 9000.0, neutral: float = 1e25) -> np.ndarray:
    out = np.zeros((N_NODES, GRID.size))
    nodes = np.zeros((N_NODES, N_QUANTITIES))
    nodes[:, TEMPERATURE], nodes[:, ELECTRONS] = temperature, electrons
    add_brackett(out, GRID, nodes, np.full(N_NODES, neutral), 2.0)
    return out[0]


def test_centers_and_strengths_are_those_of_tables() -> None:
    # Vacuum wavelengths of Br 11 to Br 14, and f = 0.0120 of 4-10 (Menzel & Pekeris 1935).
    centers = CENTERS[np.isin(UPPER_LEVELS, [11, 12, 13, 14])]
    assert centers == pytest.approx([16_811.1, 16_411.7, 16_113.7, 15_884.9], abs=0.8)
    assert np.all(np.diff(OSCILLATOR) < 0)
    assert OSCILLATOR[0] == pytest.approx(0.0120, rel=0.1)


def test_lines_stand_at_their_centers() -> None:
    lines = opacity(1e14)
    assert abs(int(np.argmax(lines[BR11 - 40 : BR11 + 40])) - 40) <= 2
    assert lines[BR11] > 3.0 * lines[BR11 + 200]


def test_electrons_widen_the_wings_and_dissolve_high_lines() -> None:
    few, many = opacity(1e13), opacity(1e15)
    assert many[BR11 + 60] > 3.0 * few[BR11 + 60]
    br20 = int(np.searchsorted(GRID, CENTERS[UPPER_LEVELS == 20][0]))
    assert many[br20] < 0.2 * few[br20]


def test_opacity_is_in_proportion_to_hydrogen() -> None:
    assert opacity(1e14, neutral=2e25)[BR11] == pytest.approx(2.0 * opacity(1e14)[BR11], rel=1e-3)
    assert not opacity(1e14, neutral=1.0).any()
