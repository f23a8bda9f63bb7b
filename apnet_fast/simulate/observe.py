"""Observe one visit: a spectrum seen through chips, sky and atmosphere, in the star's rest frame.

A visit's content is the same in every layout. How "no data" and bad pixels are written
differs, and is left to `rows.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.pixels import PixelBit
from apnet_fast.simulate.sky import SKY_CONTINUUM, observed_frame_sky
from apnet_fast.simulate.visits import Visit
from apnet_fast.support.grid import PIXEL_KMS, PIXELS

# First and last covered pixel of a visit at rest, blue to red, and the chip's relative noise, measured on visits.
# They differ by up to 11 pixels from the gaps in `grid`, which are measured on other files.
CHIPS = ((217.0, 3312.0, 1.0), (3550.0, 6115.0, 1.0), (6308.0, 8367.0, 1.4))
CHIP_JITTER_PIXELS = 1.5
CHIP_EDGE_PIXELS = 18.0
CHIP_EDGE_LN_ERROR = 6.0
"""Errors grow by e^6 over the last pixels of a chip, as errors of resampled spectra do."""
LARGEST_EDGE_NOISE = 3.0

SKYLINE_ERROR_FACTOR = 10.0
SKYLINE_FLUX_FRACTION = 0.2
"""SIG_SKYLINE is set if a line exceeds this share of the star: 3 % of pixels at H = 8, 18 % at H = 15."""
SKY_RESIDUAL_MEDIAN = 0.02
SKY_RESIDUAL_SPREAD = 0.7
OVERSUBTRACTED_SHARE = 0.12
LOWEST_FLUX = -1.0
"""The lowest flux that over-subtraction leaves, in units of the star's level."""

TELLURIC_LIMIT = 0.93
TELLURIC_RESIDUAL = 0.10

LITTROW_GHOST = (4452.0, 4510.0)
PERSISTENCE_BITS = (PixelBit.PERSIST_HIGH, PixelBit.PERSIST_MED, PixelBit.PERSIST_LOW)
PERSISTENCE_VARIANCE = (5.0, 4.0, 3.0)
"""Factors by which the pipelines raise the variance, from high to low persistence."""

BAD_PIXEL_CAUSES = (
    int(PixelBit.BADPIX | PixelBit.BADDARK),
    int(PixelBit.BADPIX | PixelBit.BADFLAT),
    int(PixelBit.BADPIX | PixelBit.NOT_ENOUGH_PSF),
    int(PixelBit.CRPIX),
    int(PixelBit.SATPIX),
    int(PixelBit.UNFIXABLE),
    int(PixelBit.NOSKY),
    int(PixelBit.BADERR),
)
BAD_PIXEL_ODDS = (0.34, 0.20, 0.20, 0.10, 0.04, 0.04, 0.06, 0.02)
BAD_RUN_PIXELS = (2, 6)


@dataclass(frozen=True)
class ObservedVisit:
    """A visit on the rest-frame grid; arrays are (8575,), fluxes in 1e-17 erg/s/cm^2/Angstrom.

    flux: float64, as measured. truth: float64, the same without noise and residuals.
    error: float64, 1-sigma as the pipelines report it. It exceeds the real noise by the factor
    `inflation` (float64, >= 1, and 1 in an ordinary pixel), so (flux - truth) * inflation / error
    has unit variance outside bad pixels and residuals. mask: int64, APOGEE_PIXMASK. covered: bool,
    False in pixels without data, where everything else is 0. sky, telluric and their errors: float64.
    """

    flux: NDArray[np.float64]
    error: NDArray[np.float64]
    inflation: NDArray[np.float64]
    mask: NDArray[np.int64]
    truth: NDArray[np.float64]
    covered: NDArray[np.bool_]
    sky: NDArray[np.float64]
    sky_error: NDArray[np.float64]
    telluric: NDArray[np.float64]
    telluric_error: NDArray[np.float64]


def observe_visit(spectrum: NDArray[np.float64], level: float, visit: Visit, rng: np.random.Generator) -> ObservedVisit:
    """Observe `spectrum` once.

    spectrum: (8575,) float64, noiseless rest-frame flux in any unit. level: median flux to
    reach over the covered pixels, in 1e-17 erg/s/cm^2/Angstrom. The reported errors are scaled
    so that median(truth / error) over the covered pixels is `visit.snr`. The pipelines define
    S/N in this way, inflated errors included.
    """
    if visit.dead:
        return _dead_visit()
    shift = visit.v_rel / PIXEL_KMS
    observed_pixel = np.arange(PIXELS) + shift
    chip_noise, edge = _chips(observed_pixel, rng)
    covered = chip_noise > 0
    truth = np.where(covered, spectrum * (level / np.median(spectrum[covered])), 0.0)

    lines, residual_gain = _sky_lines(observed_pixel, rng)
    transmission = _transmission(observed_pixel, rng)
    is_skyline = covered & (lines > SKYLINE_FLUX_FRACTION * level)
    is_telluric = covered & (transmission < TELLURIC_LIMIT)

    mask = np.zeros(PIXELS, dtype=np.int64)
    mask[is_skyline] |= PixelBit.SIG_SKYLINE
    mask[is_telluric] |= PixelBit.SIG_TELLURIC
    ghost = (observed_pixel >= LITTROW_GHOST[0]) & (observed_pixel < LITTROW_GHOST[1])
    mask[covered & ghost] |= PixelBit.LITTROW_GHOST
    variance_factor = _persistence(mask, covered, observed_pixel, visit.persistence, rng)
    _bad_pixels(mask, covered, visit.bad_fraction, rng)

    inflation = np.sqrt(variance_factor) * np.where(is_skyline, SKYLINE_ERROR_FACTOR, 1.0)
    inflation *= np.maximum(edge / LARGEST_EDGE_NOISE, 1.0)
    relative = np.where(covered, np.minimum(edge, LARGEST_EDGE_NOISE) * chip_noise / transmission, 0.0)
    noise = np.sqrt(np.maximum(truth, 0.0) * level) * relative
    reported = noise * inflation
    noise *= np.median(truth[covered] / reported[covered]) / visit.snr

    residual = np.where(is_skyline, lines * residual_gain, 0.0)
    wrong_absorption = TELLURIC_RESIDUAL * rng.normal() * (1.0 - transmission)
    residual += np.where(is_telluric, truth * wrong_absorption, 0.0)
    flux = truth + np.maximum(residual, LOWEST_FLUX * level - truth) + noise * rng.normal(size=PIXELS)
    _drop_below_zero(flux, covered & (is_skyline | (edge > LARGEST_EDGE_NOISE)), level, rng)

    sky = np.where(covered, lines + SKY_CONTINUUM * np.exp(0.3 * rng.normal()), 0.0)
    return ObservedVisit(
        flux=np.where(covered, flux, 0.0),
        error=noise * inflation,
        inflation=inflation,
        mask=mask,
        truth=truth,
        covered=covered,
        sky=sky,
        sky_error=0.5 * np.sqrt(sky),
        telluric=np.where(covered, transmission, 0.0),
        telluric_error=np.where(covered, 2e-4, 0.0),
    )


def _dead_visit() -> ObservedVisit:
    zeros = np.zeros(PIXELS)
    return ObservedVisit(
        flux=zeros,
        error=zeros,
        inflation=np.ones(PIXELS),
        mask=np.zeros(PIXELS, dtype=np.int64),
        truth=zeros,
        covered=np.zeros(PIXELS, dtype=np.bool_),
        sky=zeros,
        sky_error=zeros,
        telluric=zeros,
        telluric_error=zeros,
    )


def _chips(
    observed_pixel: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the relative noise (0 off the chips) and the factor by which errors grow towards chip edges."""
    noise = np.zeros(PIXELS)
    edge = np.ones(PIXELS)
    for first, last, chip_noise in CHIPS:
        first, last = np.array([first, last]) + CHIP_JITTER_PIXELS * rng.normal(size=2)
        inside = (observed_pixel >= first) & (observed_pixel < last)
        distance = np.minimum(observed_pixel - first, last - observed_pixel)[inside]
        noise[inside] = chip_noise
        edge[inside] = np.exp(CHIP_EDGE_LN_ERROR * np.maximum(1.0 - distance / CHIP_EDGE_PIXELS, 0.0))
    return noise, edge


def _sky_lines(
    observed_pixel: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the OH lines of this night, and the share of each that sky subtraction leaves."""
    sky = observed_frame_sky()
    lines = np.interp(observed_pixel, np.arange(PIXELS), sky.lines) * np.exp(0.3 * rng.normal())
    gains = SKY_RESIDUAL_MEDIAN * np.exp(SKY_RESIDUAL_SPREAD * rng.normal(size=sky.n_lines))
    gains[rng.random(sky.n_lines) < OVERSUBTRACTED_SHARE] *= -1.0
    nearest = np.clip(np.rint(observed_pixel), 0, PIXELS - 1).astype(np.int64)
    return lines, gains[sky.line_of_pixel[nearest]]


def _transmission(observed_pixel: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the transmission of the atmosphere at this night's airmass and humidity."""
    typical = np.interp(observed_pixel, np.arange(PIXELS), observed_frame_sky().transmission)
    return typical ** rng.uniform(0.6, 1.15)


def _persistence(
    mask: NDArray[np.int64],
    covered: NDArray[np.bool_],
    observed_pixel: NDArray[np.float64],
    share: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Set persistence bits on the first `share` of the blue chip, in patches; return variance factors."""
    factor = np.ones(PIXELS)
    if share <= 0:
        return factor
    first, last, _ = CHIPS[0]
    affected = np.flatnonzero(covered & (observed_pixel < first + share * (last - first)))
    for patch in np.array_split(affected, 12):
        strength = rng.integers(len(PERSISTENCE_BITS))
        mask[patch] |= PERSISTENCE_BITS[strength]
        factor[patch] = PERSISTENCE_VARIANCE[strength]
    return factor


def _bad_pixels(mask: NDArray[np.int64], covered: NDArray[np.bool_], fraction: float, rng: np.random.Generator) -> None:
    """Set level-1 bits in short runs until about `fraction` of the covered pixels are bad."""
    candidates = np.flatnonzero(covered)
    mean_run = 0.5 * (BAD_RUN_PIXELS[0] + BAD_RUN_PIXELS[1] - 1)
    n_runs = max(1, round(fraction * candidates.size / mean_run))
    starts = rng.integers(0, candidates.size, n_runs)
    lengths = rng.integers(*BAD_RUN_PIXELS, n_runs)
    causes = rng.choice(BAD_PIXEL_CAUSES, n_runs, p=BAD_PIXEL_ODDS)
    for start, length, cause in zip(starts, lengths, causes, strict=True):
        mask[candidates[start : start + length]] |= cause


def _drop_below_zero(
    flux: NDArray[np.float64], candidates: NDArray[np.bool_], level: float, rng: np.random.Generator
) -> None:
    """Make a few pixels with inflated errors negative, as sky subtraction and resampling do."""
    pixels = np.flatnonzero(candidates)
    count = min(int(rng.poisson(1.5)), pixels.size)
    chosen = rng.choice(pixels, count, replace=False)
    flux[chosen] = -rng.uniform(0.02, 0.6, count) * level
