"""The transfer equation: limits that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.stars.atmosphere import (
    CONTINUUM_KNOTS,
    ELECTRONS,
    EXTINCTION,
    HYDROGEN,
    N_NODES,
    N_QUANTITIES,
    TEMPERATURE,
)
from apnet_fast.simulate.stars.elements import N_ELEMENTS, NAMES
from apnet_fast.simulate.stars.opacity import continuous
from apnet_fast.simulate.stars.transfer import (
    _exponential,
    add_lines,
    continuum_flux,
    emergent_flux,
    knot_values,
    planck,
)

WAVELENGTH = np.linspace(1.512, 1.698, 600).astype(np.float32)
IRON = 2 * NAMES.index("Fe")


def gas(temperature: float = 5000.0, rise: float = 0.0) -> np.ndarray:
    nodes = np.empty((N_NODES, N_QUANTITIES))
    nodes[:, TEMPERATURE] = temperature + rise * np.arange(N_NODES)
    nodes[:, ELECTRONS], nodes[:, HYDROGEN] = 1e13, 1e17
    nodes[:, EXTINCTION] = [continuous(1.6, t, 1e17, 1e13) for t in nodes[:, TEMPERATURE]]
    return nodes


def flux_of(nodes: np.ndarray, opacity: float = 0.0) -> np.ndarray:
    source, ratio = (np.empty((CONTINUUM_KNOTS.size, N_NODES)) for _ in range(2))
    knot_values(nodes, source, ratio)
    source /= continuum_flux(nodes)
    out = np.empty(WAVELENGTH.size, dtype=np.float32)
    emergent_flux(np.full((N_NODES, WAVELENGTH.size), opacity, dtype=np.float32), WAVELENGTH, source, ratio, out)
    return out


def test_gas_of_one_temperature_is_a_black_body() -> None:
    flux = flux_of(gas())
    expected = np.array([planck(w, 5000.0) for w in WAVELENGTH.astype(float)]) / planck(1.6, 5000.0)
    np.testing.assert_allclose(flux, expected, rtol=5e-3)
    np.testing.assert_allclose(flux_of(gas(), opacity=5.0), flux, rtol=1e-3, err_msg="no lines without a gradient")


def test_opacity_shows_higher_and_cooler_layers() -> None:
    nodes = gas(4000.0, rise=400.0)
    plain, dark, black = (flux_of(nodes, opacity).mean() for opacity in (0.0, 3.0, 1e6))
    assert plain > 1.1 * dark > 1.1 * black
    assert black == pytest.approx(
        flux_of(gas(4000.0)).mean() * continuum_flux(gas(4000.0)) / continuum_flux(nodes), 0.02
    )


def test_the_fast_exponential() -> None:
    x = np.linspace(0.0, 20.0, 500).astype(np.float32)
    np.testing.assert_allclose([_exponential(value) for value in x[:50]], np.exp(-x[:50]), rtol=1e-3)
    assert all(_exponential(value) > 0 for value in x)


def line_opacity(population: float, van_der_waals: float = 1e-8) -> np.ndarray:
    """Opacity of one iron line in the middle of a grid of 1 km/s."""
    opacity = np.zeros((N_NODES, 401), dtype=np.float32)
    populations = np.zeros((2 * N_ELEMENTS + 5, N_NODES))
    populations[IRON] = population
    one = np.ones(1)
    add_lines(
        opacity, 200.0 * one, 1.0, 16_000.0 * one, np.array([IRON]), 0.1 * one, 60_000.0 * one, van_der_waals * one,
        0.0 * one, np.full(len(populations), 55.8), gas(), populations, 1.5,
    )  # fmt: skip
    return opacity[4]


def test_a_line_has_its_area_and_its_wings() -> None:
    weak, strong = line_opacity(1e17), line_opacity(2e17)
    assert int(np.argmax(weak)) == 200
    assert weak[199] == pytest.approx(weak[201], rel=1e-4)
    assert strong.sum() / weak.sum() == pytest.approx(2.0, rel=0.02)
    assert line_opacity(1e17, van_der_waals=1e-6)[230] > 5.0 * weak[230]
    assert not line_opacity(1e8).any(), "negligible lines are left out"
