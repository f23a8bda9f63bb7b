"""Recognise flux that is not a flux of APOGEE: another unit, a spectrum divided by its median, errors without meaning.

The networks know flux in 1e-17 erg/s/cm^2/Angstrom, and they read the brightness of a spectrum as well as its lines.
Flux on another scale gives labels that look plausible and raise no flag, so its scale is looked at here. A warning, no
refusal: the limits are wide, but there may be stars beyond them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.recipes.labels import Labels

FLUX_UNIT = "1e-17 erg/s/cm^2/Angstrom"
"""The unit of flux and errors in apStar files, and everywhere in this package."""

FluxRange = tuple[float, float]

SURVEY_FLUX_RANGE: FluxRange = (3.0, 3e7)
"""Least and greatest median flux of a plausible APOGEE spectrum.

Evidence: in 14 real files of DR12 to DR17 with H from 8.8 to 14.7, the median flux of coadds and visits is 0.89 to 1.05
x 1.133e7 x 10^(-0.4 H). DR17 holds stars from H = 5.9 to 15.3 (49,000 to 8.6), and the 1-m telescope's stars of DR12
are as bright as H = 0.45 (7.5e6). The limits are those of H = 16.4 and -1.1, and keep a factor of 3 from a spectrum
that was divided by its median or its continuum, whose flux is about 1.
"""

# Beyond the spectra that a network was trained on by more than this factor, its labels are extrapolations.
_MARGIN = 2.0
# One pixel in this many is enough for the order of magnitude; rows without data there are looked at whole.
_STEP = 16
# Scatter that rounding alone gives: of Teff relative, of logg and [Fe/H] in dex.
_ROUNDING = 1e-5


def plausible_range(trained: FluxRange | None) -> FluxRange:
    """Return the range of plausible median flux for weights trained on spectra of that range; None is the survey's."""
    if trained is None:
        return SURVEY_FLUX_RANGE
    return trained[0] / _MARGIN, trained[1] * _MARGIN


def median_flux(flux: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of the pixels with data (finite, not zero) of spectra (n, pixels), from a sample of pixels.

    NaN for spectra without data.
    """
    median = _median_of_known(flux[:, ::_STEP])
    missed = np.isnan(median)
    if missed.any():
        median[missed] = _median_of_known(flux[missed])
    return median


def _median_of_known(flux: NDArray[np.float32]) -> NDArray[np.float32]:
    known = np.isfinite(flux) & (flux != 0)
    ordered = np.sort(np.where(known, flux, np.float32(np.nan)), axis=1)  # NaN comes last
    number = known.sum(axis=1)
    middle = np.take_along_axis(ordered, np.maximum(number - 1, 0)[:, None] // 2, axis=1)[:, 0]
    return np.where(number > 0, middle, np.float32(np.nan))


def without_scatter(labels: Labels) -> NDArray[np.bool_]:
    """Tell which spectra have draws with one and the same label, but for rounding: bool (n,); False without errors."""
    return (
        (labels.raw_e_teff <= _ROUNDING * np.abs(labels.teff))
        & (labels.raw_e_logg <= _ROUNDING)
        & (labels.raw_e_fe_h <= _ROUNDING)
    )


@dataclass(frozen=True)
class FluxCounts:
    """Count spectra with a result, and those of them whose flux is implausible or whose draws have no scatter.

    Counts of batches, shards and workers add up; `messages` gives what to tell at the end of a run.
    """

    spectra: int = 0
    implausible: int = 0
    without_scatter: int = 0

    def __add__(self, other: FluxCounts) -> FluxCounts:
        return FluxCounts(
            self.spectra + other.spectra,
            self.implausible + other.implausible,
            self.without_scatter + other.without_scatter,
        )

    def messages(self, limits: FluxRange) -> list[str]:
        """Return a line for each kind of spectra there are; limits: those of `count_flux`."""
        lines = []
        if self.implausible:
            lines.append(
                f"{self.implausible} of {self.spectra} spectra have a median flux outside {limits[0]:.3g} to"
                f" {limits[1]:.3g}: the network knows flux in {FLUX_UNIT}, as apStar files have it, and its labels mean"
                " nothing on another scale"
            )
        if self.without_scatter:
            lines.append(
                f"{self.without_scatter} of {self.spectra} spectra have draws without scatter: their errors are zero"
                " or too small for their flux, so the errors of their labels mean nothing"
            )
        return lines


def count_flux(
    flux: NDArray[np.float32], labels: Labels, usable: NDArray[np.bool_], limits: FluxRange, draws: int
) -> FluxCounts:
    """Count what is implausible among n spectra.

    Parameters
    ----------
    flux: float32 (n, pixels), as read. labels: of the same spectra, in their order.
    usable: bool (n,), which of them have a result.
    limits: range of plausible median flux, from `plausible_range`.
    draws: noise realisations; without any, scatter is not looked at.
    """
    median = median_flux(flux[usable])
    still = without_scatter(labels) & usable if draws else np.zeros(len(usable), dtype=bool)
    return FluxCounts(
        spectra=int(usable.sum()),
        implausible=int((~((median >= limits[0]) & (median <= limits[1]))).sum()),
        without_scatter=int(still.sum()),
    )
