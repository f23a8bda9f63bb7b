"""A label-dependent spectrum: not a model atmosphere, but every line answers to the labels.

Lines fall into families that share their dependence on temperature, gravity and
metallicity. A family's optical depths per unit strength are computed once on the
grid; a spectrum is then the exponential of their weighted sum, the Brackett lines
and a slope, seen at the resolution of the instrument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.grid import LOG_WAVELENGTH_STEP, N_PIXELS, add_gaussians, pixel_of, wavelength

RESOLVING_POWER = 22_500.0
LINE_SIGMA_PIXELS = 1.3
AIR_TO_VACUUM = 1.0002733
"""Ratio of vacuum to air wavelength, constant over the H band to 2e-7."""

RYDBERG_HYDROGEN = 1.0967758e-3  # per Angstrom
BRACKETT_UPPER_LEVELS = np.arange(11, 21)
"""Br10, at 17,367 A, is already beyond the red end of the grid."""

# Pairs of air wavelength in Angstrom and relative optical depth.
# Positions of known H-band lines, most of them in Smith et al. (2013, ApJ 765, 16); depths by eye.
NEUTRAL_LINES = {
    "Fe I": (15194.5, 0.35, 15207.5, 0.60, 15294.6, 0.65, 15395.7, 0.35, 15490.3, 0.30, 15591.5, 0.45,
             15621.7, 0.55, 15632.0, 0.50, 15648.5, 0.35, 15662.0, 0.45, 15723.6, 0.40, 15818.1, 0.45,
             15906.0, 0.45, 15964.9, 0.40, 15980.7, 0.55, 16006.8, 0.40, 16040.7, 0.45, 16102.4, 0.40,
             16153.2, 0.40, 16165.0, 0.45, 16198.5, 0.40, 16316.3, 0.45, 16324.5, 0.45, 16398.2, 0.40,
             16486.7, 0.50, 16517.2, 0.40, 16531.9, 0.45, 16561.8, 0.40, 16645.9, 0.40),
    "K I": (15163.1, 0.30, 15168.4, 0.35),
    "Ca I": (16136.8, 0.30, 16150.8, 0.40, 16155.2, 0.25, 16157.4, 0.40, 16197.1, 0.40),
    "Ti I": (15543.8, 0.35, 15602.8, 0.25, 15698.9, 0.25, 15715.6, 0.30, 16635.2, 0.25),
    "V I": (15924.8, 0.20),
    "Cr I": (15680.1, 0.35, 15860.2, 0.25),
    "Mn I": (15159.2, 0.35, 15217.7, 0.40, 15262.4, 0.35),
    "Co I": (16757.7, 0.20),
    "Ni I": (15605.7, 0.30, 15632.7, 0.30, 16584.4, 0.30, 16589.3, 0.35, 16673.7, 0.35, 16815.5, 0.30),
}  # fmt: skip
HIGH_EXCITATION_LINES = {
    "Mg I": (15740.7, 0.70, 15748.9, 0.85, 15765.8, 0.90, 15879.5, 0.45, 15886.2, 0.40, 15954.5, 0.30),
    "Al I": (16719.0, 0.75, 16750.6, 0.90, 16763.4, 0.55),
    "Si I": (15361.1, 0.25, 15376.8, 0.30, 15833.6, 0.25, 15888.4, 0.70, 15960.1, 0.65, 16060.0, 0.50,
             16094.8, 0.60, 16215.7, 0.50, 16241.8, 0.45, 16680.8, 0.65, 16828.2, 0.40),
}  # fmt: skip

# Band heads of 12C16O, v = (3,0) to (9,0), vacuum wavelengths in Angstrom.
CO_BAND_HEADS = np.array([15582.0, 15780.0, 15982.0, 16189.0, 16401.0, 16618.0, 16840.0])
CO_LINES_PER_BAND = 45

FOREST_SEED = 20_130_301


@dataclass(frozen=True)
class LineFamily:
    """Lines that grow and fade together.

    depth: (8575,) float64, optical depth per unit strength.
    strength: (teff in K, logg in dex, fe_h in dex) -> strength.
    """

    depth: NDArray[np.float64]
    strength: Callable[[float, float, float], float]


def template(teff: float, logg: float, fe_h: float) -> NDArray[np.float64]:
    """Noiseless rest-frame spectrum on the apStar grid, (8575,) float64, continuum about 1.

    teff in K, logg in log10(cm/s^2), fe_h in dex. Defined for any finite labels.
    """
    depth = brackett_depth(teff, logg)
    for family in line_families():
        depth += family.strength(teff, logg, fe_h) * family.depth
    flux = continuum(teff) * np.exp(-depth)
    return blur(flux)


def continuum(teff: float) -> NDArray[np.float64]:
    """The slope left after flux calibration, (8575,) float64: a few per cent end to end."""
    slope = 1.2 * (1.0 - 4500.0 / teff)
    return (wavelength() / 16_000.0) ** (-slope)


def brackett_depth(teff: float, logg: float) -> NDArray[np.float64]:
    """Optical depth of Br11 to Br20, (8575,) float64, strongest at 9,500 K, broad in dwarfs."""
    distance = np.log10(teff / 9500.0)
    peak = 0.36 * np.exp(-0.5 * (distance / (0.12 if distance < 0 else 0.30)) ** 2)
    ionised = 1.0 / (1.0 + np.exp((6000.0 - teff) / 400.0))
    half_width = (3.0 + 16.0 * ionised) * 10.0 ** (0.3 * (logg - 4.0))

    levels = BRACKETT_UPPER_LEVELS.astype(np.float64)
    centers = pixel_of(1.0 / (RYDBERG_HYDROGEN * (1.0 / 16.0 - 1.0 / levels**2)))
    peaks = peak * 11.0 / levels
    offsets = (np.arange(N_PIXELS) - centers[:, None]) / half_width
    return peaks @ (1.0 / (1.0 + offsets**2))


def blur(flux: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve (8575,) float64 with the Gaussian of the resolving power, 1.37 pixels wide."""
    sigma = 1.0 / (RESOLVING_POWER * np.sqrt(8 * np.log(2)) * np.log(10.0) * LOG_WAVELENGTH_STEP)
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(flux, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


@cache
def line_families() -> tuple[LineFamily, ...]:
    """The five families; the weak lines among them come from a fixed seed, the same for ever."""
    rng = np.random.default_rng(FOREST_SEED)
    heads = pixel_of(CO_BAND_HEADS)
    co_lines = (heads[:, None] + 0.09 * np.arange(CO_LINES_PER_BAND) ** 2).ravel()
    return (
        LineFamily(_depth(NEUTRAL_LINES) + _forest(rng, 700, 0.06), _neutral_strength),
        LineFamily(_depth(HIGH_EXCITATION_LINES) + _forest(rng, 250, 0.03), _high_excitation_strength),
        LineFamily(_at(co_lines, np.full(co_lines.size, 0.10)), _carbon_monoxide_strength),
        LineFamily(_forest(rng, 1200, 0.05), _light_molecule_strength),
        LineFamily(_forest(rng, 3500, 0.05), _water_strength),
    )


def _neutral_strength(teff: float, logg: float, fe_h: float) -> float:
    return 10.0 ** (0.6 * fe_h - 0.04 * (logg - 4.0)) * (5000.0 / teff) ** 1.5 * _below(teff, 7200.0, 500.0)


def _high_excitation_strength(teff: float, logg: float, fe_h: float) -> float:
    return 0.7 * 10.0 ** (0.5 * fe_h + 0.10 * (logg - 4.0)) * _below(teff, 8500.0, 700.0)


def _carbon_monoxide_strength(teff: float, logg: float, fe_h: float) -> float:
    return 10.0 ** (0.7 * fe_h - 0.12 * (logg - 2.0)) * _below(teff, 4500.0, 280.0)


def _light_molecule_strength(teff: float, logg: float, fe_h: float) -> float:
    return 10.0 ** (0.8 * fe_h - 0.05 * (logg - 2.0)) * _below(teff, 4300.0, 350.0)


def _water_strength(teff: float, logg: float, fe_h: float) -> float:
    return 10.0 ** (0.3 * fe_h + 0.10 * (logg - 4.5)) * _below(teff, 3500.0, 200.0)


def _below(teff: float, limit: float, softness: float) -> float:
    """1 well below `limit`, 0 well above it: what ionisation or dissociation leaves."""
    return float(1.0 / (1.0 + np.exp((teff - limit) / softness)))


def _depth(lines: dict[str, tuple[float, ...]]) -> NDArray[np.float64]:
    table = np.concatenate([np.reshape(values, (-1, 2)) for values in lines.values()])
    return _at(pixel_of(table[:, 0] * AIR_TO_VACUUM), table[:, 1])


def _forest(rng: np.random.Generator, count: int, mean_depth: float) -> NDArray[np.float64]:
    return _at(rng.uniform(0.0, N_PIXELS, count), rng.exponential(mean_depth, count))


def _at(pixels: NDArray[np.float64], depths: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros(N_PIXELS)
    add_gaussians(total, pixels, depths, LINE_SIGMA_PIXELS)
    return total
