"""Synthetic spectra: every label is written into them by the physics that writes it in stars."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.simulate.stars.lines import AIR_TO_VACUUM
from apnet_fast.simulate.stars.synthesis import synthesise
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import PIXELS, wavelength

IRON = 15207.53 * AIR_TO_VACUUM
STRONG_IRON = 15294.56 * AIR_TO_VACUUM
LOW_EXCITATION_IRON = 15490.34 * AIR_TO_VACUUM
HIGH_EXCITATION_IRON = 15648.51 * AIR_TO_VACUUM
BRACKETT_11 = 16811.1
CO_HEAD = (15579.0, 15590.0)

STARS = {
    "dwarf": (5777.0, 4.44, 0.0, 2.0),
    "giant": (4300.0, 1.8, -0.3, 2.0),
    "metal-poor giant": (4700.0, 1.7, -1.8, 2.0),
    "M dwarf": (3300.0, 4.95, 0.0, 3.0),
    "A star": (9500.0, 4.1, 0.0, 120.0),
    "B star": (18_000.0, 4.0, 0.0, 150.0),
}


def equivalent_width(flux: NDArray[np.float32], center: float, reach: float = 2.2) -> float:
    """Equivalent width in Angstrom, with the continuum from either side of the line."""
    grid = wavelength()
    inside = np.abs(grid - center) < reach
    level = np.percentile(flux[np.abs(grid - center) < 2 * reach], 95)
    return float(np.sum((1.0 - flux[inside] / level) * np.gradient(grid)[inside]))


def depth(flux: NDArray[np.float32], center: float, off: float) -> float:
    """Depth at a wavelength relative to the mean of the places `off` Angstrom to either side."""
    at = np.interp([center - off, center, center + off], wavelength(), flux)
    return float(1.0 - at[1] / (0.5 * (at[0] + at[2])))


def test_spectra_are_finite_and_in_range_everywhere() -> None:
    teff, logg, fe_h = (
        axis.ravel() for axis in np.meshgrid([2900, 4000, 6000, 12_000, 35_000], [0.0, 2.5, 5.5], [-2.5, 0.5])
    )
    flux = synthesise(teff, logg, fe_h)
    assert flux.shape == (teff.size, PIXELS)
    assert flux.dtype == np.float32
    assert np.isfinite(flux).all()
    assert flux.min() > 0.1
    assert flux.max() < 1.4


def test_a_spectrum_depends_on_its_own_labels_alone() -> None:
    teff, logg, fe_h, vsini = (np.array(column) for column in zip(*STARS.values(), strict=True))
    together = synthesise(teff, logg, fe_h, vsini=vsini)
    alone = np.concatenate([synthesise(*star[:3], vsini=star[3]) for star in STARS.values()])
    assert np.array_equal(together, alone)
    assert not np.array_equal(together[0], together[1])


def test_iron_grows_with_metallicity_and_the_curve_of_growth_flattens() -> None:
    fe_h = np.array([-2.0, -1.5, -1.0, -0.5, 0.0, 0.5])
    # At 6,300 K the electrons come from hydrogen, so that metals do not change the continuum.
    flux = synthesise(6300.0, 4.3, fe_h)
    for line in (IRON, STRONG_IRON):
        widths = np.array([equivalent_width(f, line) for f in flux])
        assert np.all(np.diff(widths) > 0)
    slopes = np.diff(np.log10([equivalent_width(f, IRON, 1.2) for f in flux])) / np.diff(fe_h)
    assert slopes[0] > 0.75, "nearly linear where the line is weak"
    assert slopes[-1] < 0.6 * slopes[0]


def test_microturbulence_delays_saturation() -> None:
    def width(vmicro: float, fe_h: float) -> float:
        return equivalent_width(synthesise(5200.0, 2.0, fe_h, vmicro=vmicro)[0], HIGH_EXCITATION_IRON, 0.8)

    assert width(3.0, 0.0) > 1.1 * width(1.0, 0.0)
    assert width(3.0, -2.0) == pytest.approx(width(1.0, -2.0), rel=0.06)


def test_line_ratio_of_excitations_is_a_thermometer() -> None:
    flux = synthesise(np.array([4500.0, 5000.0, 5500.0, 6000.0]), 4.5, 0.0)
    ratio = [
        equivalent_width(f, LOW_EXCITATION_IRON, 0.8) / equivalent_width(f, HIGH_EXCITATION_IRON, 0.8) for f in flux
    ]
    assert np.all(np.diff(ratio) < 0)
    assert ratio[0] > 1.6 * ratio[-1]


def test_neutral_lines_vanish_in_hot_stars() -> None:
    cool, hot = synthesise(np.array([5000.0, 15_000.0]), 4.2, 0.0)
    assert depth(cool, IRON, 2.0) > 0.1
    assert abs(depth(hot, IRON, 2.0)) < 0.005


def test_brackett_lines_are_strongest_in_a_stars() -> None:
    teff = np.array([5000.0, 7000.0, 9500.0, 14_000.0, 28_000.0])
    widths = [equivalent_width(f, BRACKETT_11, 60.0) for f in synthesise(teff, 4.1, -2.0)]
    assert int(np.argmax(widths)) == 2
    assert widths[0] < 0.35 * widths[2]
    assert widths[4] < 0.5 * widths[2]


def test_brackett_wings_grow_with_gravity() -> None:
    flux = synthesise(10_000.0, np.array([2.0, 3.0, 4.0, 4.5]), 0.0)
    wing, far = (np.array([np.interp(BRACKETT_11 + off, wavelength(), f) for f in flux]) for off in (18.0, 120.0))
    assert np.all(np.diff(1.0 - wing / far) > 0.005)


def test_carbon_monoxide_grows_towards_cool_stars_of_low_gravity() -> None:
    grid = wavelength()
    head, before = (grid > CO_HEAD[0]) & (grid < CO_HEAD[1]), (grid > 15_568.0) & (grid < 15_577.0)

    def strength(teff: float, logg: float) -> float:
        flux = synthesise(teff, logg, 0.0)[0]
        return float(1.0 - flux[head].mean() / flux[before].mean())

    assert strength(3700.0, 0.8) > strength(4200.0, 0.8) + 0.02 > strength(5500.0, 0.8) + 0.03
    assert strength(3900.0, 0.8) > strength(3900.0, 2.5) > strength(3900.0, 4.7)


def test_pressure_broadens_strong_lines_of_dwarfs() -> None:
    aluminium = 16750.54 * AIR_TO_VACUUM
    wings = [depth(synthesise(4500.0, logg, 0.0)[0], aluminium + 1.6, 6.0) for logg in (2.0, 4.7)]
    assert wings[1] > wings[0] + 0.01


def test_water_marks_m_dwarfs() -> None:
    flux = synthesise(np.array([3100.0, 3600.0, 4200.0]), 4.9, 0.0)
    roughness = [float(np.std(np.diff(f)) / np.median(f)) for f in flux]
    assert roughness[0] > roughness[1] > roughness[2]


def test_rotation_keeps_widths_and_lowers_depths() -> None:
    slow, fast = (synthesise(5777.0, 4.44, 0.0, vsini=v)[0] for v in (2.0, 25.0))
    assert depth(fast, STRONG_IRON, 3.0) < 0.75 * depth(slow, STRONG_IRON, 3.0)
    assert float(slow.mean()) == pytest.approx(float(fast.mean()), rel=1e-3)


def test_continuum_is_about_one_and_bluer_in_hot_stars() -> None:
    cool, hot = synthesise(np.array([4800.0, 20_000.0]), 3.0, -2.4)
    grid = wavelength()
    for flux in (cool, hot):
        assert np.percentile(flux[np.abs(grid - 16_000.0) < 60.0], 95) == pytest.approx(1.0, abs=0.02)
    assert hot[200] / hot[-200] > cool[200] / cool[-200] > 1.0


def fisher_errors(labels: tuple[float, ...], snr: float = 100.0) -> NDArray[np.float64]:
    """Smallest errors of teff (relative), logg, fe_h that any method can have, a cubic continuum being unknown."""
    teff, logg, fe_h, vsini = labels
    steps = np.diag([0.005 * teff, 0.03, 0.03])
    center = np.array([teff, logg, fe_h])
    ends = np.concatenate([center + steps, center - steps, center[None]])
    flux = synthesise(*ends.T, vsini=vsini).astype(np.float64) / np.median(synthesise(teff, logg, fe_h, vsini=vsini))
    slopes = (flux[:3] - flux[3:6]) / (2.0 * np.diag(steps)[:, None])
    continuum = flux[6] * np.vander(np.linspace(-1.0, 1.0, PIXELS), 4).T
    jacobian = snr * np.concatenate([slopes, continuum])
    errors = np.sqrt(np.diag(np.linalg.inv(jacobian @ jacobian.T)))[:3]
    return errors / np.array([teff, 1.0, 1.0])


@pytest.mark.parametrize("name", list(STARS))
def test_labels_can_be_told_apart_at_snr_100(name: str) -> None:
    errors = fisher_errors(STARS[name])
    assert errors[0] < 0.01
    assert errors[1] < 0.08
    if name != "B star":
        assert errors[2] < 0.12
    assert fisher_errors(STARS[name], snr=1.0)[0] > 0.01, "the check must notice spectra that hold no information"


@pytest.mark.parametrize(
    ("labels", "name"),
    [((2000.0, 4.0, 0.0), "teff"), ((5000.0, 7.0, 0.0), "logg"), ((5000.0, 4.0, np.nan), "fe_h")],
)
def test_labels_out_of_range_are_refused(labels: tuple[float, ...], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        synthesise(*labels)
