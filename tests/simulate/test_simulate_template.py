"""The template spectrum: its lines exist, are as deep as real ones, and answer to the labels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.simulate.grid import N_PIXELS, pixel_of, wavelength
from apnet_fast.simulate.template import AIR_TO_VACUUM, RESOLVING_POWER, blur, continuum, template

SILICON = 15888.4 * AIR_TO_VACUUM
BRACKETT_11 = 16811.1


def depth_at(flux: NDArray[np.float64], vacuum_wavelength: float, teff: float) -> float:
    """Depth below the continuum at a wavelength in Angstrom."""
    pixel = round(float(pixel_of(np.array(vacuum_wavelength))))
    return float(1.0 - (flux / continuum(teff))[pixel])


def test_grid_is_that_of_the_archive() -> None:
    grid = wavelength()
    assert grid.shape == (8575,)
    assert grid[0] == pytest.approx(15100.80, abs=0.01)
    assert grid[-1] == pytest.approx(16999.81, abs=0.01)


@pytest.mark.parametrize("labels", [(3000, 5.0, 0.0), (4500, 2.0, 0.3), (5772, 4.4, 0.0), (25_000, 4.0, 0.0)])
def test_spectrum_is_normalised_and_finite(labels: tuple[float, float, float]) -> None:
    flux = template(*labels)
    assert flux.shape == (N_PIXELS,)
    assert flux.dtype == np.float64
    assert np.all((flux > 0.2) & (flux < 1.2))


def test_lines_of_a_giant_are_as_deep_as_in_real_giants() -> None:
    flux = template(4500.0, 2.0, 0.0)
    p1, p5, p95 = np.percentile(flux / np.median(flux), [1, 5, 95])
    assert 0.65 < p1 < 0.82
    assert 0.80 < p5 < 0.92
    assert p95 < 1.08


def test_hot_stars_show_little_but_hydrogen() -> None:
    flux = template(22_000.0, 4.0, 0.0)
    assert depth_at(flux, SILICON, 22_000.0) < 0.05
    assert depth_at(flux, BRACKETT_11, 22_000.0) > 0.10


def test_brackett_lines_peak_in_a_stars_and_are_broader_in_dwarfs() -> None:
    depths = [depth_at(template(teff, 4.0, 0.0), BRACKETT_11, teff) for teff in (5000, 7000, 9500, 25_000)]
    assert depths[0] < depths[1] < depths[2] > depths[3]
    wing = BRACKETT_11 + 12.0
    assert depth_at(template(9500, 4.4, 0.0), wing, 9500) > depth_at(template(9500, 2.0, 0.0), wing, 9500) + 0.02


def test_cool_giants_have_stronger_molecular_bands_than_warm_ones() -> None:
    scatter = [float(np.std(template(teff, 1.5, 0.0))) for teff in (3700.0, 4300.0, 5200.0)]
    assert scatter[0] > scatter[1] > scatter[2]


def test_line_depth_follows_metallicity_and_a_scrambled_mapping_does_not() -> None:
    fe_h = np.linspace(-2.0, 0.5, 12)
    depths = np.array([depth_at(template(5000.0, 3.0, m), SILICON, 5000.0) for m in fe_h])

    def follows(order: NDArray[np.int64]) -> bool:
        return float(np.corrcoef(fe_h, depths[order])[0, 1]) > 0.9

    assert follows(np.arange(fe_h.size))
    assert np.all(np.diff(depths) > 0)
    assert not follows(np.random.default_rng(0).permutation(fe_h.size))


def test_every_label_changes_the_spectrum() -> None:
    base = template(4800.0, 2.5, -0.1)
    for labels in [(4900.0, 2.5, -0.1), (4800.0, 2.8, -0.1), (4800.0, 2.5, 0.0)]:
        assert np.std(template(*labels) - base) > 1e-3


def test_resolution() -> None:
    spike = np.zeros(N_PIXELS)
    spike[4000] = 1.0
    profile = blur(spike)
    assert profile.sum() == pytest.approx(1.0)
    spread = np.sqrt(np.sum(profile * (np.arange(N_PIXELS) - 4000.0) ** 2))
    width = np.sqrt(8 * np.log(2)) * spread * 6e-6 * np.log(10.0)
    assert 1.0 / width == pytest.approx(RESOLVING_POWER, rel=0.01)
