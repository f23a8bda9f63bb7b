"""Make the rows of the image HDUs from visits: each layout's codes, and the coadds.

The coadds follow the pipelines' `visitcomb`: each visit is divided by its running
continuum, the visits are averaged with weights, and a mean continuum is multiplied
back. Row 0 weighs each pixel by its own error, row 1 by errors smoothed over 100
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.layouts import DR17_BAD_ERROR, LEGACY_BAD_ERROR, Layout
from apnet_fast.simulate.observe import ObservedVisit
from apnet_fast.simulate.pixels import BAD_BITS, PixelBit
from apnet_fast.support.grid import PIXELS

CONTINUUM_BLOCK = 175
ERROR_BLOCK = 100


@dataclass
class Planes:
    """The content of one file's image HDUs: arrays (rows, 8575) in the layout's dtypes.

    Fluxes and errors are in 1e-17 erg/s/cm^2/Angstrom; `Layout.rows` counts the rows.
    """

    flux: NDArray[np.floating]
    error: NDArray[np.floating]
    mask: NDArray[np.integer]
    sky: NDArray[np.floating]
    sky_error: NDArray[np.floating]
    telluric: NDArray[np.floating]
    telluric_error: NDArray[np.floating]

    def images(self) -> tuple[NDArray[np.generic], ...]:
        """Return the arrays in the order of HDUs 1 to 7."""
        return (
            self.flux,
            self.error,
            self.mask,
            self.sky,
            self.sky_error,
            self.telluric,
            self.telluric_error,
        )

    def has_data(self) -> NDArray[np.bool_]:
        """Return which pixels hold data, (rows, 8575)."""
        error = self.error.astype(np.float64)
        return np.isfinite(self.flux) & np.isfinite(error) & (error > 0) & (error != LEGACY_BAD_ERROR)

    def snr(self, row: int = 0, pixels: slice = slice(None)) -> float:
        """Return the median of flux / error over the pixels of `row` that hold data; NaN if none does."""
        usable = self.has_data()[row, pixels]
        flux, error = (values[row, pixels].astype(np.float64)[usable] for values in (self.flux, self.error))
        return float(np.median(flux / error)) if usable.any() else float("nan")


@dataclass(frozen=True)
class _CodedVisit:
    """A visit in a layout's codes, float64 (8575,), with the continuum by which it is divided."""

    flux: NDArray[np.float64]
    error: NDArray[np.float64]
    mask: NDArray[np.int64]
    continuum: NDArray[np.float64]
    has_data: NDArray[np.bool_]


def lay_out(visits: list[ObservedVisit], layout: Layout) -> Planes:
    """Return the rows of all image HDUs of one star. `visits` must not be empty."""
    coded = [_code(visit, layout) for visit in visits]
    flux, error, mask = _coadds(coded, layout)
    n_rows = layout.rows(len(visits))
    planes = Planes(
        flux=np.zeros((n_rows, PIXELS), layout.float_dtype),
        error=np.zeros((n_rows, PIXELS), layout.float_dtype),
        mask=np.zeros((n_rows, PIXELS), layout.mask_dtype),
        sky=np.zeros((n_rows, PIXELS), layout.float_dtype),
        sky_error=np.zeros((n_rows, PIXELS), layout.float_dtype),
        telluric=np.zeros((n_rows, PIXELS), layout.float_dtype),
        telluric_error=np.zeros((n_rows, PIXELS), layout.float_dtype),
    )
    n_coadds = 2 if len(visits) > 1 else 1
    planes.flux[:n_coadds], planes.error[:n_coadds] = flux[:n_coadds], error[:n_coadds]
    planes.mask[:n_coadds] = mask[:n_coadds]
    _fill_sky(planes, visits, layout, n_coadds)
    if len(visits) > 1:
        for row, visit in enumerate(coded, start=2):
            planes.flux[row], planes.error[row], planes.mask[row] = visit.flux, visit.error, visit.mask
    return planes


def running_continuum(flux: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a smooth continuum, (8575,) float64: medians of blocks of 175 pixels, joined by straight lines.

    It replaces the pipelines' median filter (501 pixels) and Gaussian (sigma 100).
    """
    medians = _block_medians(flux, usable, CONTINUUM_BLOCK)
    centers = CONTINUUM_BLOCK * (np.arange(medians.size) + 0.5) - 0.5
    found = np.isfinite(medians)
    return np.interp(np.arange(PIXELS), centers[found], medians[found])


def _block_medians(values: NDArray[np.float64], usable: NDArray[np.bool_], width: int) -> NDArray[np.float64]:
    """Return the medians of the usable values in consecutive blocks; NaN for a block without any."""
    n_blocks = -(-values.size // width)
    padded = np.full(n_blocks * width, np.inf)
    padded[: values.size] = np.where(usable, values, np.inf)
    blocks = np.sort(padded.reshape(n_blocks, width), axis=1)
    counts = np.isfinite(blocks).sum(axis=1)
    middle = blocks[np.arange(n_blocks), np.maximum(counts - 1, 0) // 2]
    return np.where(counts > 0, middle, np.nan)


def _code(visit: ObservedVisit, layout: Layout) -> _CodedVisit:
    """Write "no data" and bad pixels of one visit the way the layout's pipeline does."""
    covered = visit.covered
    if not covered.any():
        gap = np.full(PIXELS, layout.visit_gap_flux)
        return _CodedVisit(
            flux=gap,
            error=np.full(PIXELS, layout.visit_gap_error),
            mask=np.full(PIXELS, layout.gap_mask, dtype=np.int64),
            continuum=np.ones(PIXELS),
            has_data=covered,
        )
    is_bad = (visit.mask & BAD_BITS) != 0
    # From the truth: the continuum of a faint star's measured flux could be negative.
    continuum = running_continuum(visit.truth, covered)
    flux, error, has_data = visit.flux.copy(), visit.error.copy(), covered
    if layout.name == "legacy":
        # Interpolation mends bad pixels; the error is set to "no data" only if it could not.
        lost = covered & ((visit.mask & PixelBit.UNFIXABLE) != 0)
        flux[lost], error[lost] = 0.0, LEGACY_BAD_ERROR
        has_data = covered & ~lost
    else:
        flux[is_bad] = continuum[is_bad]
        if layout.name == "dr17":
            error[is_bad] = DR17_BAD_ERROR * continuum[is_bad] * visit.inflation[is_bad]
        else:
            error[is_bad] = running_continuum(visit.error, covered & ~is_bad)[is_bad]
    flux[~covered], error[~covered] = layout.visit_gap_flux, layout.visit_gap_error
    mask = np.where(covered, visit.mask, layout.gap_mask)
    return _CodedVisit(flux, error, mask, continuum, has_data)


def _coadds(
    visits: list[_CodedVisit], layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return flux, error and mask of rows 0 and 1, each (2, 8575)."""
    has_data = np.array([visit.has_data for visit in visits])
    continuum = np.array([visit.continuum for visit in visits])
    flux = np.where(has_data, [visit.flux for visit in visits], 0.0) / continuum
    error = np.where(has_data, [visit.error for visit in visits], 1.0) / continuum
    smooth_error = np.array([_smooth_error(e, found) for e, found in zip(error, has_data, strict=True)])
    covered = has_data.all(axis=0) if layout.gap_if_any else has_data.any(axis=0)

    coadd_flux = np.full((2, PIXELS), layout.coadd_gap_flux)
    coadd_error = np.full((2, PIXELS), layout.coadd_gap_error)
    alive = has_data.any(axis=1)
    if covered.any():
        weights = np.where(has_data, error**-2.0, 0.0)[:, covered]
        if layout.name == "dr17":
            mean_continuum = (continuum[:, covered] * weights).sum(axis=0) / weights.sum(axis=0)
        else:
            mean_continuum = np.median(continuum[alive][:, covered], axis=0)
        for row, row_error in enumerate((error, smooth_error)):
            weights = np.where(has_data, row_error**-2.0, 0.0)[:, covered]
            total = weights.sum(axis=0)
            coadd_flux[row, covered] = (flux[:, covered] * weights).sum(axis=0) / total * mean_continuum
            coadd_error[row, covered] = total**-0.5 * mean_continuum

    masks = np.array([visit.mask for visit in visits])
    every, some = np.bitwise_and.reduce(masks), np.bitwise_or.reduce(masks)
    rows = (some, every) if layout.name == "legacy" else (every, np.zeros_like(every))
    return coadd_flux, coadd_error, np.array(rows)


def _smooth_error(error: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Replace the errors of one visit by the medians of their blocks of 100 pixels."""
    medians = np.repeat(_block_medians(error, usable, ERROR_BLOCK), ERROR_BLOCK)[:PIXELS]
    return np.where(usable, medians, 1.0)


def _fill_sky(planes: Planes, visits: list[ObservedVisit], layout: Layout, n_coadds: int) -> None:
    """Fill the sky and telluric rows of visits, and of coadds only in the legacy layout.

    DR17 and SDSS-V fill visit rows alone, so their single-visit files hold zeros.
    """
    sources = (
        (planes.sky, [visit.sky for visit in visits]),
        (planes.sky_error, [visit.sky_error for visit in visits]),
        (planes.telluric, [visit.telluric for visit in visits]),
        (planes.telluric_error, [visit.telluric_error for visit in visits]),
    )
    n_covering = np.maximum(np.sum([visit.covered for visit in visits], axis=0), 1)
    for plane, rows in sources:
        if layout.name == "legacy":
            plane[:n_coadds] = np.sum(rows, axis=0) / n_covering
        if len(visits) > 1:
            plane[2:] = rows
